"""Watches one run of a network and files every operation under the layer that ran it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn
from torch._C import DisableTorchFunction, _DisableTorchDispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.axes import Axes, axes_of, joined
from cnnlib.meta import ATOMS, MetaCopy, Watcher
from cnnlib.moves import FREE
from cnnlib.ops import RULES, Work, aten
from cnnlib.rows import NOTHING, Event, Frame, Row, held
from cnnlib.shortcuts import LAYERS, Shortcuts

Shape = tuple[int, ...]


def key(tensor: Tensor) -> int:
    """Names the memory behind a tensor; views share it."""
    return tensor.untyped_storage()._cdata


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in a structure; the usual ones, which are flat, take a short way."""
    if isinstance(tree, Tensor):
        return [tree]
    if type(tree) not in (tuple, list):
        return [] if type(tree) in ATOMS else [t for t in tree_leaves(tree) if isinstance(t, Tensor)]
    found: list[Tensor] = []
    for part in tree:
        kind = type(part)
        if kind is Tensor or kind is nn.Parameter:
            found.append(part)
        elif kind not in ATOMS:
            found += tensors_in(part)
    return found


class _Place(NamedTuple):
    """Where a module stands in its network, once or more often, and the keys of its parameters and buffers."""

    names: list[str]
    held: list[int]


class Counter(Watcher, TorchDispatchMode):
    """Sees every operation, in order, and files it under the module that runs."""

    def __init__(self, copy: MetaCopy) -> None:
        super().__init__()
        self._shortcuts: Shortcuts | None = None
        self.unused: dict[int, Tensor] = {}
        self.ops: dict[str, list[Work]] = {}
        self.unsupported: dict[str, int] = {}
        self.root = Frame("", copy.module, 0, [])
        self.stack = [self.root]
        self.axes: Axes = ()  # of the last map that has any place in it
        self.live = self.peak = 0
        self._held: dict[int, weakref.ref] = {}
        self._places: dict[nn.Module, _Place] = {}
        self._visit(copy.module, "")
        self.weights = {*self.unused, *map(key, copy.held)}
        self._calls: dict[str, int] = {}
        self._last: tuple[int, Event] | None = None

    def _visit(self, module: nn.Module, name: str) -> None:
        place = self._places.get(module)
        if place is None:
            place = self._places[module] = _Place([], [])
            for t in (*module._parameters.values(), *module._buffers.values()):
                if t is not None:
                    place.held.append(key(t))
                    self.unused[place.held[-1]] = t
        place.names.append(name)
        for child_name, child in module._modules.items():
            if child is not None:
                self._visit(child, f"{name}.{child_name}" if name else child_name)

    def _called(self, names: Sequence[str]) -> tuple[str, int]:
        """The name of a module that runs now, and how often it did before; of several names, the parent's own."""
        name = names[0]
        if len(names) > 1:
            inside = self.stack[-1].name + "." if self.stack[-1].name else ""
            name = next((n for n in names if n.startswith(inside)), name)
        call = self._calls[name] = self._calls.get(name, -1) + 1
        return name, call

    def enter(self, module: nn.Module, args: Sequence) -> None:
        """A module begins."""
        known = module in self._places  # a run may make modules
        name, call = self._called(self._places[module].names if known else (type(module).__name__,))
        with DisableTorchFunction():
            frame = Frame(name, module, call, [tuple(t.shape) for t in tensors_in(args)])
            if module._buffers and not module._modules:  # a layer's: also those that only training uses
                frame.held = self._first_used([key(b) for b in module._buffers.values() if b is not None])
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

    def around(self, module: nn.Module, forward: Callable) -> Callable:
        """A layer of PyTorch's own that gets a usual input is answered at once."""
        answer = LAYERS.get(type(module))
        if answer is None:
            return super().around(module, forward)
        return partial(self._layer, module, forward, answer, self._places[module])

    def _layer(
        self, module: nn.Module, forward: Callable, answer: Callable, place: _Place, *args, **kwargs
    ) -> object:
        if len(args) == 1 and not kwargs:
            with DisableTorchFunction(), _DisableTorchDispatch():
                told = answer(module, *args)
                if told is not None:
                    self._file_layer(module, place, *told)
                    return told[2]
        return self.through(module, forward, *args, **kwargs)

    def _file_layer(self, module: nn.Module, place: _Place, packet, args: Sequence, out: Tensor) -> None:
        """The row of a layer that is one operation."""
        rule, kind = RULES[packet], type(module).__name__
        work = rule.work(args, out)
        axes = out._cnnlib_axes = rule.axes(args, out) if rule.axes else axes_of(args[0])
        if any(axes):
            self.axes = axes
        self.ops.setdefault(packet.__name__.rstrip("_"), []).append(work)
        self._last = None
        name, call = self._called(place.names)
        memory = self.see(out)
        own = place.held and self._first_used(place.held)
        (_, *shape), numel, in_place = out.shape, out.numel(), out is args[0]
        row = Row(name or kind, kind, tuple(shape), numel, work, axes, memory, own and held(own) or NOTHING, call, rule.layer, in_place, self.live)
        self.stack[-1].events.append(row)

    def _first_used(self, keys: Iterable[int]) -> list[Tensor]:
        """Those parameters and buffers that no operation used before."""
        return [self.unused.pop(k) for k in keys if k in self.unused]

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
        self._shortcuts = Shortcuts(self._seen)
        self._shortcuts.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._shortcuts.__exit__(*error)
        self._shortcuts = None  # it refers to this counter, and a circle would keep the copy

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
        held = self._first_used(map(key, ins))
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
