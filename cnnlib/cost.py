"""What a network costs, layer by layer: ``trace(net, image)`` on any PyTorch module.

The network runs once on PyTorch's ``meta`` device, where tensors have shapes and no numbers, with one rule for each
operation that does arithmetic. So functional calls, shared layers and attention are counted like any other.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.meta import MetaCopy
from cnnlib.moves import FREE
from cnnlib.ops import RULES, Work, axes_of, joined
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
        total = ("total", "", None, self.params, self.macs, size(self.memory) + " at peak", self.receptive_field)
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
            (_label(r), r.kind, r.out, r.params, r.macs, r.activations, r.memory, _sees(r.span)) for r in self.rows
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
        return span and ceil(span.size)
    return tuple(ceil(s.size) for s in span)


def _span(axes: Sequence[Span | None]) -> Span | tuple[Span, ...] | None:
    spans = tuple(s for s in axes if s is not None)
    return (spans[0] if len(set(spans)) == 1 else spans) if spans else None


@dataclass
class _Event:
    """One operation that did arithmetic or made a new map."""

    op: str
    out: Shape
    numel: int
    work: Work
    params: int
    memory: int
    span: Span | tuple[Span, ...] | None
    layer: bool


@dataclass
class _Frame:
    """One call of one module. Holds no tensor, so that maps die when the network lets go of them."""

    name: str
    module: nn.Module
    call: int
    got: list[Shape]
    events: list[_Event | _Frame] = field(default_factory=list)
    out: Shape = ()
    numel: int = 0
    span: Span | tuple[Span, ...] | None = None


class _Counter(TorchDispatchMode):
    """Sees every operation, in order, and files it under the module that runs."""

    def __init__(self, copy: MetaCopy) -> None:
        super().__init__()
        self.weights = {_key(t) for t in copy.tensors()}
        self.unused = {_key(p): p.numel() for p in copy.module.parameters()}
        self.unsupported: dict[str, int] = {}
        self.root = _Frame("", copy.module, 0, [])
        self.stack = [self.root]
        self.spans: Span | tuple[Span, ...] | None = None
        self.live = self.peak = 0
        self._held: dict[int, weakref.finalize] = {}
        self._names: dict[nn.Module, list[str]] = {}
        for name, module in copy.module.named_modules(remove_duplicate=False):
            self._names.setdefault(module, []).append(name)
        self._calls: dict[str, int] = {}
        self._last: tuple[int, _Event] | None = None

    def enter(self, module: nn.Module, args: Sequence) -> None:
        """A module begins; one that stands at several places is named by the parent that called it."""
        inside = self.stack[-1].name + "." if self.stack[-1].name else ""
        names = self._names.get(module, [type(module).__name__])
        name = next((n for n in names if n.startswith(inside)), names[0])
        call = self._calls[name] = self._calls.get(name, -1) + 1
        frame = _Frame(name, module, call, [tuple(t.shape) for t in tree_leaves(args) if isinstance(t, Tensor)])
        self.stack[-1].events.append(frame)
        self.stack.append(frame)

    def leave(self, out: object) -> None:
        """A module ends with this output."""
        frame = self.stack.pop()
        first = next((t for t in tree_leaves(out) if isinstance(t, Tensor)), None)
        if first is not None:
            frame.out, frame.numel, frame.span = tuple(first.shape[1:]), first.numel(), _span(axes_of(first))

    def where(self) -> tuple[str, nn.Module, list[Shape]]:
        """The module that was running, for the message of an error."""
        frame = self.stack[-1]
        return frame.name, frame.module, frame.got

    def see(self, tensor: Tensor) -> int:
        """Counts a new map as alive until it is freed; returns its bytes."""
        key = _key(tensor)
        if key in self._held or key in self.weights or not (tensor.is_floating_point() or tensor.is_complex()):
            return 0
        storage = tensor.untyped_storage()
        n_bytes = storage.nbytes()
        self.live += n_bytes
        self.peak = max(self.peak, self.live)
        self._held[key] = weakref.finalize(storage, self._free, key, n_bytes)
        return n_bytes

    def _free(self, key: int, n_bytes: int) -> None:
        self.live -= n_bytes
        del self._held[key]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        outs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        ins = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        if not outs or not ins:
            return result
        packet, out, work, layer = func.overloadpacket, outs[0], Work(), False
        rule, move = RULES.get(packet), FREE.get(packet)
        if rule is not None:
            work, layer = rule.work(args, out), rule.layer
        elif move is None:
            name = packet.__name__
            self.unsupported[name] = self.unsupported.get(name, 0) + 1
        look = rule.axes if rule else move
        axes = look(args, out) if look else joined(ins, out.ndim)
        for t in outs:
            t._cnnlib_axes = axes if t.ndim == len(axes) else joined(ins, t.ndim)
        self._file(packet.__name__, out, ins, work, layer, sum(map(self.see, outs)), _span(axes))
        return result

    def _file(self, op: str, out: Tensor, ins: list[Tensor], work: Work, layer: bool, memory: int, span) -> None:
        params = sum(self.unused.pop(_key(t), 0) for t in ins)
        self.spans = span or self.spans
        if any(work) or memory or params:
            event = _Event(op, tuple(out.shape[1:]), out.numel(), work, params, memory, span, layer)
            self.stack[-1].events.append(event)
            self._last = _key(out), event
        elif self._last and self._last[0] == _key(out) and self._last[1].numel == out.numel():
            self._last[1].out = tuple(out.shape[1:])  # a view of the last result: its final shape


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _rows(frame: _Frame):
    """A layer makes one row; in the ``forward`` of a larger module each operation makes its own."""
    kind = type(frame.module).__name__
    events = [e for e in frame.events if isinstance(e, _Event)]
    leaf = len(events) == len(frame.events) and next(frame.module.children(), None) is None
    if leaf and sum(e.work.macs > 0 for e in events) < 2:
        work = sum((e.work for e in events), Work())
        yield Row(
            frame.name or kind, kind, frame.out, sum(e.params for e in events), work.macs, frame.numel,
            frame.span, events[-1].memory if events else 0, work, frame.call, any(e.layer for e in events),
        )  # fmt: skip
        return
    for e in frame.events:
        if isinstance(e, _Frame):
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
        idle = sum(unused.pop(_key(p), 0) for p in module.parameters(recurse=False))
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
    counter = _Counter(copy)
    inputs = copy.inputs()
    for x in inputs:
        x._cnnlib_axes = (None, None, *(Span() for _ in x.shape[2:]))[: x.ndim]
        counter.see(x)
    counter.spans = _span(axes_of(inputs[0]))
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
