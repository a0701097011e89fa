"""What a network costs, layer by layer: ``trace(net, image)`` on any PyTorch module.

The network runs once on PyTorch's ``meta`` device, where tensors have shapes and no numbers, with one rule for each
operation that does arithmetic. So functional calls, shared layers and attention are counted like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn

from cnnlib.costs import folds
from cnnlib.costs.counter import Counter
from cnnlib.costs.meta_copy import MetaCopy, without_garbage_collection
from cnnlib.costs.operations import Work
from cnnlib.costs.places import Place, axes_of, span_of, unknown
from cnnlib.costs.rows import Row, rows_of, unused_rows
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
    receptive_field: int | Shape | None  # of the last spatial map before global pooling or flattening
    lost_at: str | None  # the operation behind which no receptive field is known
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
        return f"{said} {self.warning}".strip()

    @property
    def warning(self) -> str:
        """What is missing from the numbers; nothing, as a rule."""
        said = [f"NOT COUNTED: {', '.join(self.unsupported)}."] if self.unsupported else []
        if self.lost_at:
            said.append(f"RECEPTIVE FIELD NOT KNOWN behind {self.lost_at}.")
        return " ".join(said)

    def table(self) -> Table:
        """One row a layer, and the total."""
        rows = [
            (
                folds.label(r),
                r.kind,
                r.out,
                r.params,
                r.macs,
                size(r.memory) if r.memory else "",
                folds.sees(r.span),
            )
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
        return Table(columns, [*rows, total], self.caption, total=True).warn(self.warning)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return self.table().to_markdown()

    def by(self, depth: int) -> Table:
        """Folded by the first ``depth`` pieces of the layers' names: 1 for stages, 2 for blocks, as a rule."""
        return folds.by_depth(self.rows, depth, self.caption).warn(self.warning)

    def by_size(self) -> Table:
        """Folded by the size of the map: the stages of a network that does not name them."""
        return folds.by_size(self.rows, self.caption).warn(self.warning)

    def by_kind(self) -> Table:
        """Folded by the kind of layer or operation."""
        return folds.by_kind(self.rows, self.caption).warn(self.warning)

    def top(self, k: int, quantity: str) -> Table:
        """The ``k`` rows with the most ``"macs"``, ``"params"``, ``"activations"``, ``"memory"`` ..."""
        return folds.top(self.rows, k, quantity, self.caption).warn(self.warning)

    def details(self) -> Table:
        """Every column there is, plain numbers, memory in bytes."""
        return folds.details(self.rows).warn(self.warning)

    def to_csv(self) -> str:
        """All columns as comma-separated text."""
        return self.details().to_csv()

    def to_pandas(self):
        """All columns as a ``pandas.DataFrame``."""
        return self.details().to_pandas()


def trace(
    net: nn.Module, image: Shape | list[Shape], batch: int = 1, dtype: torch.dtype | None = None
) -> Cost:
    """What ``net`` costs on images of shape ``image``, (C, H, W) without the batch axis.

    Several inputs: a list of shapes. ``dtype``: of weights and maps, if not the network's own; one of whole numbers,
    such as ``torch.long`` for an embedding, is that of the inputs alone. The network is counted in evaluation mode;
    it is copied without its numbers, so neither it nor any random state changes. It runs on the device ``meta``
    whatever device it asks for; what cannot be copied, such as a lock, is shared. MACs, activations and memory hold
    for the whole batch.

    The receptive field is the window that a unit of the last map sees, of all branches together. Gates that look at
    the whole map are left out. Behind attention of any kind, which looks at every place that it attends to, and
    behind operations that lose track of places, there is no such number: ``receptive_field`` is ``None``, and
    ``lost_at`` and the caption name the operation.

    Raises ``ValueError`` if the network cannot run on such images; it names the layer and what it got.
    """
    return without_garbage_collection(lambda: _traced(MetaCopy(net, image, batch, dtype)))


def _traced(copy: MetaCopy) -> Cost:
    counter = Counter(copy)
    inputs = copy.inputs()
    for x in inputs:
        x._cnnlib_axes = (None, None, *(Place(dim, Span()) for dim in range(x.ndim - 2)))[: x.ndim]
        counter.alive.add(x)
    counter.axes = axes_of(inputs[0])
    del x
    copy.run(inputs, counter)
    rows = [row for e in counter.root.events for row in rows_of(e)]
    rows += unused_rows(copy.module, counter.unused.values())
    lost_at = unknown(counter.axes)
    sees = None if lost_at else folds.sees(span_of(counter.axes)) or 1
    return Cost(
        name=copy.name,
        image=copy.shapes[0] if len(copy.shapes) == 1 else tuple(copy.shapes),
        batch=copy.batch,
        dtype=copy.dtype,
        rows=tuple(rows),
        memory=counter.alive.peak,
        receptive_field=sees[0] if isinstance(sees, tuple) and len(set(sees)) == 1 else sees,
        lost_at=lost_at,
        unsupported=dict(counter.unsupported),
        ops={op: Work(*map(sum, zip(*works, strict=True))) for op, works in counter.ops.items()},
        _copy=copy,
    )
