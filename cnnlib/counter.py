"""Watches one run of a network and files every operation under the layer that ran it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.axes import Axes, axes_of, joined
from cnnlib.meta import ATOMS, MetaCopy
from cnnlib.moves import FREE
from cnnlib.ops import RULES, Work, aten
from cnnlib.shortcuts import Shortcuts

Shape = tuple[int, ...]


def key(tensor: Tensor) -> int:
    """Names the memory behind a tensor; views share it."""
    return tensor.untyped_storage()._cdata


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in a structure; the usual ones, which are flat, take a short way."""
    if isinstance(tree, Tensor):
        return [tree]
    if type(tree) in (tuple, list):
        return [t for part in tree if type(part) not in ATOMS for t in tensors_in(part)]
    return [] if type(tree) in ATOMS else [t for t in tree_leaves(tree) if isinstance(t, Tensor)]


@dataclass
class Event:
    """One operation that did arithmetic or made a new map."""

    op: str
    out: Shape
    numel: int
    work: Work
    held: list[Tensor]  # parameters and buffers that no operation used before
    memory: int
    axes: Axes
    layer: bool
    in_place: bool
    live: int


@dataclass
class Frame:
    """One call of one module. Holds no map, so that maps die when the network lets go of them."""

    name: str
    module: nn.Module
    call: int
    got: list[Shape]
    events: list[Event | Frame] = field(default_factory=list)
    out: Shape = ()
    numel: int = 0
    axes: Axes = ()
    held: list[Tensor] = field(default_factory=list)
    live: int = 0


class Counter(TorchDispatchMode):
    """Sees every operation, in order, and files it under the module that runs."""

    def __init__(self, copy: MetaCopy) -> None:
        super().__init__()
        self._shortcuts = Shortcuts(self._seen)
        self.unused = {key(t): t for t in (*copy.module.parameters(), *copy.module.buffers())}
        self.weights = {*self.unused, *map(key, copy.held)}
        self.ops: dict[str, list[Work]] = {}
        self.unsupported: dict[str, int] = {}
        self.root = Frame("", copy.module, 0, [])
        self.stack = [self.root]
        self.axes: Axes = ()  # of the last map that has any place in it
        self.live = self.peak = 0
        self._held: dict[int, weakref.ref] = {}
        self._names: dict[nn.Module, list[str]] = {}
        for name, module in copy.module.named_modules(remove_duplicate=False):
            self._names.setdefault(module, []).append(name)
        self._calls: dict[str, int] = {}
        self._last: tuple[int, Event] | None = None

    def enter(self, module: nn.Module, args: Sequence) -> None:
        """A module begins; one that stands at several places is named by the parent that called it."""
        inside = self.stack[-1].name + "." if self.stack[-1].name else ""
        names = self._names.get(module, [type(module).__name__])
        name = names[0] if len(names) == 1 else next((n for n in names if n.startswith(inside)), names[0])
        call = self._calls[name] = self._calls.get(name, -1) + 1
        with DisableTorchFunction():
            frame = Frame(name, module, call, [tuple(t.shape) for t in tensors_in(args)])
            if module._buffers and not module._modules:  # a layer's: also those that only training uses
                own = (self.unused.pop(key(b), None) for b in module._buffers.values() if b is not None)
                frame.held = [b for b in own if b is not None]
        self.stack[-1].events.append(frame)
        self.stack.append(frame)

    def leave(self, module: nn.Module, args: Sequence, out: object) -> None:
        """A module ends with this output."""
        frame = self.stack.pop()
        frame.live = self.live
        first = next(iter(tensors_in(out)), None)
        if first is not None:
            with DisableTorchFunction():
                frame.out, frame.numel, frame.axes = tuple(first.shape[1:]), first.numel(), axes_of(first)

    def where(self) -> tuple[str, nn.Module, list[Shape]]:
        """The module that was running, for the message of an error."""
        frame = self.stack[-1]
        return frame.name, frame.module, frame.got

    def see(self, tensor: Tensor) -> int:
        """Counts a new map as alive until it is freed; returns its bytes."""
        held = key(tensor)
        if (
            held in self._held
            or held in self.weights
            or not (tensor.is_floating_point() or tensor.is_complex())
        ):
            return 0
        storage = tensor.untyped_storage()
        n_bytes = storage.nbytes()
        self.live += n_bytes
        self.peak = max(self.peak, self.live)

        def free(_: weakref.ref) -> None:
            self.live -= n_bytes
            del self._held[held]

        self._held[held] = weakref.ref(storage, free)
        return n_bytes

    def __enter__(self) -> Counter:
        self._shortcuts.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._shortcuts.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result, packet = func(*args, **(kwargs or {})), func.overloadpacket
        evaluates = packet is aten.native_batch_norm and not args[5]
        with DisableTorchFunction():  # in evaluation only this device puts out statistics beside the map
            self._seen(packet, args, result[0] if evaluates else result, kwargs)
        return result

    def _seen(self, packet, args, result, kwargs=None) -> None:
        """An operation ran, or would have: files what it did and marks what its outputs see."""
        outs, ins = tensors_in(result), tensors_in(args)
        if kwargs:
            ins += tensors_in(list(kwargs.values()))
        if not outs or not ins:
            return
        out, work, layer = outs[0], Work(), False
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
        self._file(packet.__name__, out, ins, work, layer, sum(map(self.see, outs)), axes)

    def _file(
        self, op: str, out: Tensor, ins: list[Tensor], work: Work, layer: bool, memory: int, axes: Axes
    ) -> None:
        held = [self.unused.pop(k) for k in map(key, ins) if k in self.unused]
        if any(axes):
            self.axes = axes
        busy = any(work)
        if busy:
            self.ops.setdefault(op.rstrip("_"), []).append(work)
        if busy or memory or held:
            in_place = busy and op[-1] == "_"
            shape = tuple(out.shape[1:])
            event = Event(op, shape, out.numel(), work, held, memory, axes, layer, in_place, self.live)
            self.stack[-1].events.append(event)
            self._last = key(out), event
        elif self._last and self._last[0] == key(out) and self._last[1].numel == out.numel():
            self._last[1].out, self._last[1].axes = tuple(out.shape[1:]), axes  # seen as it is used
