"""Watches one run of a network and files every operation under the layer that ran it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.axes import Axes, axes_of, joined
from cnnlib.meta import MetaCopy
from cnnlib.moves import FREE
from cnnlib.ops import RULES, Work, aten

Shape = tuple[int, ...]


def key(tensor: Tensor) -> int:
    """Names the memory behind a tensor; views share it."""
    return tensor.untyped_storage()._cdata


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in a structure; the usual ones, which are flat, take a short way."""
    if isinstance(tree, Tensor):
        return [tree]
    if type(tree) in (tuple, list):
        return [t for part in tree if not isinstance(part, PLAIN) for t in tensors_in(part)]
    return [] if isinstance(tree, PLAIN) else [t for t in tree_leaves(tree) if isinstance(t, Tensor)]


PLAIN = (int, float, str, type(None), torch.dtype, torch.device)


def _batch_norm(x: Tensor, *settings: object) -> tuple[Tensor, Tensor, Tensor] | None:
    training = settings[4]
    return None if training else (x.new_empty_strided(x.shape, x.stride()), x.new_empty(0), x.new_empty(0))


def _cat(parts: Sequence[Tensor], axis: int = 0) -> Tensor | None:
    first = parts[0]
    shape, axis = list(first.shape), axis % max(first.ndim, 1)
    for part in parts[1:]:
        rest = [n for i, n in enumerate(part.shape) if i != axis]
        if part.dtype != first.dtype or rest != [n for i, n in enumerate(shape) if i != axis]:
            return None
        shape[axis] += part.shape[axis]
    return first.new_empty(shape)


def _like(x: Tensor, *others: object) -> Tensor | None:
    same = all(isinstance(t, Tensor) and t.shape == x.shape and t.dtype == x.dtype for t in others)
    return x.new_empty_strided(x.shape, x.stride()) if same else None


# Operations whose result PyTorch works out in Python, slowly, on a device without numbers: -> the result, or None
# where the general way must be gone.
SHORTCUTS = {
    aten.native_batch_norm: _batch_norm,
    aten.cat: _cat,
    aten.relu: _like,
    aten.relu_: lambda x: x,
    aten.add: _like,
    aten.add_: lambda x, y: x if _like(x, y) is not None else None,
}


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
        self.weights = {key(t) for t in copy.tensors()}
        self.unused = {key(t): t for t in (*copy.module.parameters(), *copy.module.buffers())}
        self.ops: dict[str, list[Work]] = {}
        self.unsupported: dict[str, int] = {}
        self.root = Frame("", copy.module, 0, [])
        self.stack = [self.root]
        self.axes: Axes = ()  # of the last map that has any place in it
        self.live = self.peak = 0
        self._held: dict[int, weakref.finalize] = {}
        self._names: dict[nn.Module, list[str]] = {}
        for name, module in copy.module.named_modules(remove_duplicate=False):
            self._names.setdefault(module, []).append(name)
        self._calls: dict[str, int] = {}
        self._last: tuple[int, Event] | None = None

    def enter(self, module: nn.Module, args: Sequence) -> None:
        """A module begins; one that stands at several places is named by the parent that called it."""
        inside = self.stack[-1].name + "." if self.stack[-1].name else ""
        names = self._names.get(module, [type(module).__name__])
        name = next((n for n in names if n.startswith(inside)), names[0])
        call = self._calls[name] = self._calls.get(name, -1) + 1
        frame = Frame(
            name, module, call, [tuple(t.shape) for t in tensors_in(args)]
        )
        if module._buffers and not module._modules:  # a layer's: also those that only training uses
            own = (self.unused.pop(key(b), None) for b in module._buffers.values() if b is not None)
            frame.held = [b for b in own if b is not None]
        self.stack[-1].events.append(frame)
        self.stack.append(frame)

    def leave(self, out: object) -> None:
        """A module ends with this output."""
        frame = self.stack.pop()
        frame.live = self.live
        first = next(iter(tensors_in(out)), None)
        if first is not None:
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
        self._held[held] = weakref.finalize(storage, self._free, held, n_bytes)
        return n_bytes

    def _free(self, held: int, n_bytes: int) -> None:
        self.live -= n_bytes
        del self._held[held]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet, shortcut = func.overloadpacket, SHORTCUTS.get(func.overloadpacket)
        result = shortcut(*args) if shortcut and not kwargs else None
        if result is None:
            result = func(*args, **(kwargs or {}))
        outs = tensors_in(result)
        ins = tensors_in((args, kwargs))
        if not outs or not ins:
            return result
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
        return result

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
