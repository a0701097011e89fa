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

from cnnlib.axes import axes_of
from cnnlib.counter import Counter, Event, Frame, key, span_of
from cnnlib.meta import MetaCopy
from cnnlib.ops import Work
from cnnlib.shapes import Span
from cnnlib.table import Table, number, size

Shape = tuple[int, ...]
CONVENTION = "1 MAC = one multiply and its add, of convolutions, linear layers and matrix products."


@dataclass(frozen=True)
class Row:
    """What one layer, or one operation outside any layer, costs."""

    name: str  # where it stands: "layer1.0.conv1"; an operation written in forward: "layer1.0:add"
    kind: str  # "Conv2d", "add"
    out: Shape  # its output without the batch axis
    params: int  # scalars of the parameters it is the first to use
    macs: int
    activations: int  # elements it puts out
    span: Span | tuple[Span, ...] | None  # what a unit sees; one a spatial axis where they differ
    memory: int  # bytes it allocates for its output; 0 in place or for a view
    work: Work  # the same macs, and all other arithmetic by kind
    call: int = 0  # how often this layer had run before
    layer: bool = False  # a convolution or a linear layer


@dataclass(frozen=True)
class Cost:
    """The rows of one network and their totals. Prints as a text table, shows as HTML in a notebook."""

    name: str
    image: Shape | tuple[Shape, ...]
    batch: int
    dtype: torch.dtype
    rows: tuple[Row, ...]
    memory: int  # peak bytes of live feature maps in inference, the image among them
    param_bytes: int
    buffers: int  # elements of buffers, such as running means: no parameters
    receptive_field: int | Shape  # of the last spatial map before global pooling or flattening
    unsupported: dict[str, int]  # operations without a rule, and how often they ran
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
        caption = f"{self.name}: image {number(self.image)}, batch {self.batch}, {str(self.dtype)[6:]}. {CONVENTION}"
        if self.unsupported:
            caption += f" NOT COUNTED: {', '.join(self.unsupported)}."
        return Table(columns, [*rows, total], caption, total=True)

    def __repr__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def to_markdown(self) -> str:
        """The table in Markdown."""
        return self.table().to_markdown()

    def to_csv(self) -> str:
        """The rows as comma-separated text, memory in bytes."""
        columns = ("name", "kind", "out", "params", "macs", "activations", "memory", "sees")
        rows = (
            (_label(r), r.kind, r.out, r.params, r.macs, r.activations, r.memory, _sees(r.span))
            for r in self.rows
        )
        return Table(columns, rows).to_csv()

    def to_pandas(self):
        """The rows as a ``pandas.DataFrame``."""
        import pandas

        return pandas.DataFrame([vars(r) for r in self.rows])


def _label(row: Row) -> str:
    return row.name + (f" (call {row.call + 1})" if row.call else "")


def _sees(span: Span | tuple[Span, ...] | None) -> int | Shape | None:
    if span is None or isinstance(span, Span):
        return span and floor(span.size)
    return tuple(floor(s.size) for s in span)


def _rows(frame: Frame):
    """A layer makes one row; in the ``forward`` of a larger module each operation makes its own."""
    kind = type(frame.module).__name__
    events = [e for e in frame.events if isinstance(e, Event)]
    leaf = len(events) == len(frame.events) and next(frame.module.children(), None) is None
    if leaf and sum(e.work.macs > 0 for e in events) < 2:
        work = sum((e.work for e in events), Work())
        yield Row(
            frame.name or kind, kind, frame.out, sum(e.params for e in events), work.macs, frame.numel,
            frame.span, events[-1].memory if events else 0, work, frame.call, any(e.layer for e in events),
        )  # fmt: skip
        return
    for e in frame.events:
        if isinstance(e, Frame):
            yield from _rows(e)
        elif any(e.work) or e.params or e.op in ("cat", "stack"):
            op = e.op.rstrip("_")
            name = f"{frame.name}:{op}" if frame.name else op
            yield Row(
                name, op, e.out, e.params, e.work.macs, e.numel, e.span, e.memory, e.work, frame.call, e.layer
            )


def _idle_rows(copy: MetaCopy, unused: dict[int, int]):
    """Parameters that the forward pass did not touch, a row for each module that holds some."""
    for name, module in copy.module.named_modules():
        idle = sum(unused.pop(key(p), 0) for p in module.parameters(recurse=False))
        if idle:
            kind = type(module).__name__
            yield Row(f"{name or kind} (not used)", kind, (), idle, 0, 0, None, 0, Work())


def trace(
    net: nn.Module, image: Shape | list[Shape], batch: int = 1, dtype: torch.dtype | None = None
) -> Cost:
    """What ``net`` costs on images of shape ``image``, (C, H, W) without the batch axis.

    Several inputs: a list of shapes. ``dtype``: of weights and maps, if not the network's own. The network is
    counted in evaluation mode; it is copied without its numbers, so neither it nor any random state changes.
    MACs, activations and memory hold for the whole batch.

    Raises ``ValueError`` if the network cannot run on such images; it names the layer and what it got.
    """
    copy = MetaCopy(net, image, batch, dtype)
    counter = Counter(copy)
    inputs = copy.inputs()
    for x in inputs:
        x._cnnlib_axes = (None, None, *(Span() for _ in x.shape[2:]))[: x.ndim]
        counter.see(x)
    counter.spans = span_of(axes_of(inputs[0]))
    del x
    copy.run(inputs, counter, counter.enter, counter.leave, counter.where)
    rows = [row for e in counter.root.events for row in _rows(e)]
    rows += _idle_rows(copy, counter.unused)
    sees = _sees(counter.spans) or 1
    return Cost(
        name=copy.name,
        image=copy.shapes[0] if len(copy.shapes) == 1 else tuple(copy.shapes),
        batch=batch,
        dtype=copy.dtype,
        rows=tuple(rows),
        memory=counter.peak,
        param_bytes=sum(p.numel() * p.element_size() for p in copy.module.parameters()),
        buffers=sum(b.numel() for b in copy.module.buffers()),
        receptive_field=sees if isinstance(sees, int) or len(set(sees)) > 1 else sees[0],
        unsupported=dict(counter.unsupported),
        _copy=copy,
    )
