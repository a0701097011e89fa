"""From what a run did to rows: one a layer, and one for each operation that a larger module does by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlib.costs.operations import Work
from cnnlib.costs.places import Axes, Place, Unknown, span_of
from cnnlib.shapes import Span

Shape = tuple[int, ...]


def count_parameters(tensors: Iterable[Tensor]) -> dict[str, int | tuple[tuple[torch.dtype, int], ...]]:
    """What these parameters and buffers come to, under the names that a :class:`Row` has for it."""
    params = frozen = buffers = 0
    n_bytes: dict[torch.dtype, int] = {}
    for t in tensors:
        n = t.numel()
        if type(t) is Tensor or not isinstance(t, nn.Parameter):
            buffers += n
            continue
        params += n
        frozen += 0 if t.requires_grad else n
        n_bytes[t.dtype] = n_bytes.get(t.dtype, 0) + n * t.element_size()
    return {"params": params, "frozen": frozen, "buffers": buffers, "param_bytes": tuple(n_bytes.items())}


class Row(NamedTuple):
    """What one layer, or one operation outside any layer, costs."""

    name: str  # where it stands: "layer1.0.conv1"; an operation written in forward: "layer1.0:add"
    kind: str  # "Conv2d", "add"
    out: Shape  # its output without the batch axis
    activations: int  # elements it puts out
    work: Work  # its arithmetic by kind
    axes: Axes  # what the units of its output see along each axis
    memory: int  # bytes it allocates for its output; 0 in place or for a view
    params: int = 0  # scalars of the parameters it is the first to use
    frozen: int = 0  # those of its params that need no gradient
    buffers: int = 0  # elements of the buffers it is the first to use
    param_bytes: tuple[tuple[torch.dtype, int], ...] = ()  # of its params, by dtype
    call: int = 0  # how often this layer had run before
    layer: bool = False  # a convolution or a linear layer
    in_place: bool = False  # it overwrites its input
    live: int = 0  # bytes of all feature maps that are alive when it is done

    @property
    def macs(self) -> int:
        """Its multiply-accumulates."""
        return self.work.macs

    @property
    def trainable(self) -> int:
        """Scalars of its params that need a gradient."""
        return self.params - self.frozen

    @property
    def span(self) -> Span | tuple[Span, ...] | None:
        """What a unit sees; one a spatial axis where they differ."""
        return span_of(self.axes)

    @property
    def sides(self) -> Shape:
        """Height and width of its map, where it is one."""
        inner = enumerate(zip(self.out, self.axes[1:], strict=False))
        return tuple(n for i, (n, e) in inner if type(e) is Place or (i and type(e) is Unknown))


@dataclass
class Operation:
    """One operation that did arithmetic or made a new map."""

    op: str
    out: Shape
    numel: int
    work: Work
    first_used: list[Tensor]  # parameters and buffers that no operation used before
    memory: int
    axes: Axes
    layer: bool
    in_place: bool
    live: int

    @property
    def has_row(self) -> bool:
        """Does it make a row, in a module that is no layer? What only moves numbers makes none."""
        return any(self.work) or bool(self.first_used) or self.op in ("cat", "stack")


@dataclass
class ModuleCall:
    """One call of one module. Holds no map, so that maps die when the network lets go of them."""

    name: str
    module: nn.Module
    call: int
    input_shapes: list[Shape]
    events: list[Operation | ModuleCall | Row] = field(default_factory=list)
    out: Shape = ()
    numel: int = 0
    axes: Axes = ()
    first_used: list[Tensor] = field(default_factory=list)
    live: int = 0

    @property
    def is_layer(self) -> bool:
        """Does it make one row? No module ran in it, and no more than one convolution or product."""
        operations = [e for e in self.events if isinstance(e, Operation)]
        leaf = len(operations) == len(self.events) and next(self.module.children(), None) is None
        return leaf and sum(e.work.macs > 0 for e in operations) < 2


def rows_of(frame: ModuleCall | Row) -> Iterator[Row]:
    """A layer makes one row; in the ``forward`` of a larger module each operation makes its own."""
    if isinstance(frame, Row):
        yield frame
        return
    kind = type(frame.module).__name__
    if frame.is_layer:
        events = frame.events
        memory = next((e.memory for e in reversed(events) if e.memory), 0)
        yield Row(
            name=frame.name or kind,
            kind=kind,
            out=frame.out,
            activations=frame.numel,
            work=sum((e.work for e in events), Work()),
            axes=frame.axes,
            memory=memory,
            call=frame.call,
            layer=any(e.layer for e in events),
            in_place=not memory and any(e.in_place for e in events),
            live=frame.live,
            **count_parameters([*frame.first_used, *(t for e in events for t in e.first_used)]),
        )
        return
    for e in frame.events:
        if not isinstance(e, Operation):
            yield from rows_of(e)
        elif e.has_row:
            op = e.op.rstrip("_")
            yield Row(
                name=f"{frame.name}:{op}" if frame.name else op,
                kind=op,
                out=e.out,
                activations=e.numel,
                work=e.work,
                axes=e.axes,
                memory=e.memory,
                call=frame.call,
                layer=e.layer,
                in_place=e.in_place,
                live=e.live,
                **count_parameters(e.first_used),
            )


def unused_rows(net: nn.Module, unused: Iterable[Tensor]) -> Iterator[Row]:
    """What the forward pass did not touch, a row for each module that holds some."""
    left = {id(t) for t in unused}
    for name, module in net.named_modules() if left else ():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        idle = [t for t in own if id(t) in left]
        left.difference_update(map(id, idle))
        if idle:
            kind = type(module).__name__
            yield Row(f"{name or kind} (not used)", kind, (), 0, Work(), (), 0, **count_parameters(idle))
