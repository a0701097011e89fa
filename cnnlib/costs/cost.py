"""What a network costs, layer by layer: ``trace(net, image)`` on any PyTorch module.

The network runs once on PyTorch's ``meta`` device, where tensors have shapes and no numbers, with one rule for each
operation that does arithmetic. So functional calls, shared layers and attention are counted like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import floor

import torch
from torch import nn

from cnnlib.costs import folds
from cnnlib.costs.counter import Counter
from cnnlib.costs.meta_copy import MetaCopy, without_garbage_collection
from cnnlib.costs.operations import Work
from cnnlib.costs.receptive_field import axes_of
from cnnlib.costs.rows import Row, rows_of, span_of, unused_rows
from cnnlib.shapes import Span
from cnnlib.table import Table, number, size

Shape = tuple[int, ...]
CONVENTION = "1 MAC = one multiply and its add, of convolutions, linear layers and matrix products."


@dataclass(frozen=True)
class Cost:
    """The rows of one network and their totals. Prints as a text table, shows as HTML in a notebook."""

    name: str
    image: Shape | tuple[Shape, ...]
    batch: int
    dtype: torch.dtype
    rows: tuple[Row, ...]
    memory: int  # peak bytes of live feature maps in inference, the image among them
    receptive_field: int | Shape  # of the last spatial map before global pooling or flattening
    unsupported: dict[str, int]  # operations without a rule, and how often they ran
    ops: dict[str, Work]  # arithmetic by operation, as PyTorch names them
    _copy: MetaCopy = field(repr=False, compare=False)

    convention = CONVENTION

    @property
    def module(self) -> nn.Module:
        """The network without its numbers, for renderers that ask a layer for its kernel size."""
        return self._copy.module

    @property
    def params(self) -> int:
        """Scalars in all parameters, each tensor once; biases and norm scales included, buffers not."""
        return sum(row.params for row in self.rows)

    @property
    def frozen(self) -> int:
        """Scalars of parameters that need no gradient: part of ``params``."""
        return sum(row.frozen for row in self.rows)

    @property
    def trainable(self) -> int:
        """Scalars of parameters that need a gradient."""
        return self.params - self.frozen

    @property
    def buffers(self) -> int:
        """Elements of buffers, such as running means: no parameters."""
        return sum(row.buffers for row in self.rows)

    @property
    def param_bytes(self) -> int:
        """Bytes of all parameters."""
        return sum(self.bytes_by_dtype.values())

    @property
    def bytes_by_dtype(self) -> dict[torch.dtype, int]:
        """Bytes of the parameters of each dtype."""
        found: dict[torch.dtype, int] = {}
        for row in self.rows:
            for dtype, n_bytes in row.param_bytes:
                found[dtype] = found.get(dtype, 0) + n_bytes
        return found

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions, linear layers and matrix products. FLOPs = 2 x MACs."""
        return sum(row.macs for row in self.rows)

    @property
    def activations(self) -> int:
        """Elements put out by convolutions and linear layers."""
        return sum(row.activations for row in self.rows if row.layer)

    @property
    def all_activations(self) -> int:
        """Elements put out by layers and operations of every kind."""
        return sum(row.activations for row in self.rows)

    @property
    def work(self) -> Work:
        """All arithmetic by kind."""
        return sum((row.work for row in self.rows), Work())

    @cached_property
    def training_memory(self) -> int:
        """Bytes kept for the backward pass in training mode: saved tensors, without parameters and buffers."""
        return self._copy.saved_bytes()

    @property
    def caption(self) -> str:
        """What was counted and how, for every table; what was not counted is named in it."""
        said = f"{self.name}: image {number(self.image)}, batch {self.batch}, {str(self.dtype)[6:]}. {CONVENTION}"
        if self.unsupported:
            said += f" NOT COUNTED: {', '.join(self.unsupported)}."
        return said

    def table(self) -> Table:
        """One row a layer, and the total."""
        rows = [
            (_label(r), r.kind, r.out, r.params, r.macs, size(r.memory) if r.memory else "", _sees(r.span))
            for r in self.rows
        ]
        total = (
            "total",
            "",
            None,
            self.params,
            self.macs,
            size(self.memory) + " at peak",
            self.receptive_field,
        )
        columns = ("layer", "kind", "output", "params", "MACs", "memory", "sees")
        return Table(columns, [*rows, total], self.caption, total=True)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return self.table().to_markdown()

    def by(self, depth: int) -> Table:
        """Folded by the first ``depth`` pieces of the layers' names: 1 for stages, 2 for blocks, as a rule."""
        return folds.by_depth(self.rows, depth, self.caption)

    def by_size(self) -> Table:
        """Folded by the size of the map: the stages of a network that does not name them."""
        return folds.by_size(self.rows, self.caption)

    def by_kind(self) -> Table:
        """Folded by the kind of layer or operation."""
        return folds.by_kind(self.rows, self.caption)

    def top(self, k: int, quantity: str) -> Table:
        """The ``k`` rows with the most ``"macs"``, ``"params"``, ``"activations"``, ``"memory"`` ..."""
        return folds.top(self.rows, k, quantity, self.caption)

    def details(self) -> Table:
        """Every column there is, plain numbers, memory in bytes."""
        columns = (
            "name", "kind", "out", "params", "trainable", "frozen", "buffers", "param_bytes", "macs",
            *(f"{kind}_ops" for kind in Work._fields[1:]),
            "activations", "memory", "in_place", "live", "sees", "stride", "start",
        )  # fmt: skip
        rows = (
            (
                _label(r), r.kind, r.out, r.params, r.trainable, r.frozen, r.buffers, _bytes(r.param_bytes), r.macs,
                *r.work[1:],
                r.activations, r.memory, r.in_place, r.live, _sees(r.span), _each(r.span, "stride"),
                _each(r.span, "start"),
            )
            for r in self.rows
        )  # fmt: skip
        return Table(columns, rows)

    def to_csv(self) -> str:
        """All columns as comma-separated text."""
        return self.details().to_csv()

    def to_pandas(self):
        """All columns as a ``pandas.DataFrame``."""
        return self.details().to_pandas()


def _label(row: Row) -> str:
    return row.name + (f" (call {row.call + 1})" if row.call else "")


def _bytes(by_dtype: tuple[tuple[torch.dtype, int], ...]) -> str:
    """``float32 1024``; several dtypes are set apart by a semicolon."""
    return "; ".join(f"{str(dtype)[6:]} {n_bytes}" for dtype, n_bytes in by_dtype)


def _each(span: Span | tuple[Span, ...] | None, field: str) -> object:
    if span is None or isinstance(span, Span):
        return span and getattr(span, field)
    return tuple(getattr(s, field) for s in span)


def _sees(span: Span | tuple[Span, ...] | None) -> int | Shape | None:
    if span is None or isinstance(span, Span):
        return span and floor(span.size)
    return tuple(floor(s.size) for s in span)


def trace(
    net: nn.Module, image: Shape | list[Shape], batch: int = 1, dtype: torch.dtype | None = None
) -> Cost:
    """What ``net`` costs on images of shape ``image``, (C, H, W) without the batch axis.

    Several inputs: a list of shapes. ``dtype``: of weights and maps, if not the network's own. The network is
    counted in evaluation mode; it is copied without its numbers, so neither it nor any random state changes.
    MACs, activations and memory hold for the whole batch.

    Raises ``ValueError`` if the network cannot run on such images; it names the layer and what it got.
    """
    return without_garbage_collection(lambda: _traced(MetaCopy(net, image, batch, dtype)))


def _traced(copy: MetaCopy) -> Cost:
    counter = Counter(copy)
    inputs = copy.inputs()
    for x in inputs:
        x._cnnlib_axes = (None, None, *(Span() for _ in x.shape[2:]))[: x.ndim]
        counter.alive.add(x)
    counter.axes = axes_of(inputs[0])
    del x
    copy.run(inputs, counter)
    rows = [row for e in counter.root.events for row in rows_of(e)]
    rows += unused_rows(copy.module, counter.unused.values())
    sees = _sees(span_of(counter.axes)) or 1
    return Cost(
        name=copy.name,
        image=copy.shapes[0] if len(copy.shapes) == 1 else tuple(copy.shapes),
        batch=copy.batch,
        dtype=copy.dtype,
        rows=tuple(rows),
        memory=counter.alive.peak,
        receptive_field=sees if isinstance(sees, int) or len(set(sees)) > 1 else sees[0],
        unsupported=dict(counter.unsupported),
        ops={op: Work(*map(sum, zip(*works, strict=True))) for op, works in counter.ops.items()},
        _copy=copy,
    )
