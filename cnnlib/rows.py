"""From what a run did to rows: one a layer, and one for each operation that a larger module does by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnlib.axes import Axes
from cnnlib.counter import Event, Frame, key
from cnnlib.ops import Work
from cnnlib.shapes import Span

Shape = tuple[int, ...]


def span_of(axes: Axes) -> Span | tuple[Span, ...] | None:
    """One span if all places of the image agree, else one an axis; ``None`` where there is none."""
    spans = tuple(s if type(s) is Span else Span(s.size, s.stride, s.start) for s in axes if s is not None)
    return (spans[0] if len(set(spans)) == 1 else spans) if spans else None


def sides_of(out: Shape, axes: Axes) -> Shape:
    """Lengths of those axes of an output, the batch left out, that are places in the image."""
    return tuple(n for n, span in zip(out, axes[1:], strict=False) if span is not None)


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
    frozen: int = 0  # those of its params that need no gradient
    buffers: int = 0  # elements of the buffers it is the first to use
    param_bytes: tuple[tuple[torch.dtype, int], ...] = ()  # of its params, by dtype
    in_place: bool = False  # it overwrites its input
    sides: Shape = ()  # height and width of its map, where it is one
    live: int = 0  # bytes of all feature maps that are alive when it is done

    @property
    def trainable(self) -> int:
        """Scalars of its parameters that need a gradient."""
        return self.params - self.frozen


def held(tensors: Iterable[Tensor]) -> dict:
    """The fields of a row that tell what it holds: parameters, frozen ones, buffers, bytes by dtype."""
    params = [t for t in tensors if isinstance(t, nn.Parameter)]
    n_bytes: dict[torch.dtype, int] = {}
    for p in params:
        n_bytes[p.dtype] = n_bytes.get(p.dtype, 0) + p.numel() * p.element_size()
    return {
        "params": sum(p.numel() for p in params),
        "frozen": sum(p.numel() for p in params if not p.requires_grad),
        "buffers": sum(t.numel() for t in tensors if not isinstance(t, nn.Parameter)),
        "param_bytes": tuple(n_bytes.items()),
    }


def rows_of(frame: Frame) -> Iterator[Row]:
    """A layer makes one row; in the ``forward`` of a larger module each operation makes its own."""
    kind = type(frame.module).__name__
    events = [e for e in frame.events if isinstance(e, Event)]
    leaf = len(events) == len(frame.events) and next(frame.module.children(), None) is None
    if leaf and sum(e.work.macs > 0 for e in events) < 2:
        work = sum((e.work for e in events), Work())
        memory = next((e.memory for e in reversed(events) if e.memory), 0)
        yield Row(
            name=frame.name or kind,
            kind=kind,
            out=frame.out,
            macs=work.macs,
            activations=frame.numel,
            span=span_of(frame.axes),
            sides=sides_of(frame.out, frame.axes),
            memory=memory,
            work=work,
            call=frame.call,
            layer=any(e.layer for e in events),
            in_place=not memory and any(e.in_place for e in events),
            live=frame.live,
            **held([*frame.held, *(t for e in events for t in e.held)]),
        )
        return
    for e in frame.events:
        if isinstance(e, Frame):
            yield from rows_of(e)
        elif any(e.work) or e.held or e.op in ("cat", "stack"):
            op = e.op.rstrip("_")
            yield Row(
                name=f"{frame.name}:{op}" if frame.name else op,
                kind=op,
                out=e.out,
                macs=e.work.macs,
                activations=e.numel,
                span=span_of(e.axes),
                sides=sides_of(e.out, e.axes),
                memory=e.memory,
                work=e.work,
                call=frame.call,
                layer=e.layer,
                in_place=e.in_place,
                live=e.live,
                **held(e.held),
            )


def idle_rows(net: nn.Module, unused: dict[int, Tensor]) -> Iterator[Row]:
    """What the forward pass did not touch, a row for each module that holds some."""
    for name, module in net.named_modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        idle = [t for t in own if unused.pop(key(t), None) is not None]
        if idle:
            kind = type(module).__name__
            yield Row(
                name=f"{name or kind} (not used)",
                kind=kind,
                out=(),
                macs=0,
                activations=0,
                span=None,
                memory=0,
                work=Work(),
                **held(idle),
            )
