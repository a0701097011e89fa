"""Watches one run of a network and files every operation under the layer that ran it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import NamedTuple

from torch import Tensor, nn
from torch._C import DisableTorchFunction, _DisableTorchDispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlib.costs.clone import ATOMIC_TYPES
from cnnlib.costs.fast_path import LAYERS, FastPath, no_transforms
from cnnlib.costs.indexing import mark_range
from cnnlib.costs.memory import LiveMaps, key
from cnnlib.costs.meta_copy import MetaCopy, Observer, Shape
from cnnlib.costs.operations import MOVEMENT_RULES, RULES, SPLITS, Look, Work, aten, each_piece
from cnnlib.costs.places import LOST, Axes, Unknown, axes_of, depends, joined
from cnnlib.costs.receptive_field import lost
from cnnlib.costs.rows import ModuleCall, Operation, Row, count_parameters


def tensors_in(tree: object) -> list[Tensor]:
    """All tensors in a structure; the usual ones, which are flat, take a short way."""
    if isinstance(tree, Tensor):
        return [tree]
    if type(tree) not in (tuple, list):
        return [] if type(tree) in ATOMIC_TYPES else [t for t in tree_leaves(tree) if isinstance(t, Tensor)]
    found: list[Tensor] = []
    for part in tree:
        kind = type(part)
        if kind is Tensor or kind is nn.Parameter:
            found.append(part)
        elif kind not in ATOMIC_TYPES:
            found += tensors_in(part)
    return found


def propagate(
    packet, look: Look | None, args: Sequence, outs: Sequence[Tensor], ins: Sequence[Tensor], layer: str
) -> Axes:
    """Marks what the outputs of an operation see, which runs in ``layer``, and returns what the first does.

    ``look``: its rule; without one an output sees what the inputs see.
    """
    if not any(map(depends, ins)):
        if packet is aten.slice:
            look(args, outs[0])  # remembers of what, as images are written into zeros
        elif packet is aten.arange:
            mark_range(args, outs[0])
        found = [()] * len(outs)
    elif look is each_piece:
        found = SPLITS[packet](args, outs)
    else:
        found = [look(args, outs[0]) if look else joined(ins, outs[0].ndim)] * len(outs)
    for t, axes in zip(outs, found, strict=True):
        axes = named(axes, packet, layer)
        t._cnnlib_axes = axes if t.ndim == len(axes) or not axes else joined(ins, t.ndim)
    whole = outs[0]
    while packet is aten.copy_ and hasattr(whole, "_cnnlib_slice_of"):  # what was written into
        whole = whole._cnnlib_slice_of[0]
    return whole._cnnlib_axes


def named(axes: Axes, packet, layer: str) -> Axes:
    """Places that were lost just now, with the operation that lost them and where it stands."""
    if LOST not in axes:
        return axes
    here = Unknown(packet.__name__.strip("_") + (f" in {layer}" if layer else ""))
    return tuple(here if entry == LOST else entry for entry in axes)


class _ModuleInfo(NamedTuple):
    """Where a module stands in its network, once or more often, and the ids of its parameters and buffers."""

    names: list[str]
    tensor_ids: list[int]


class Counter(Observer, TorchDispatchMode):
    """Sees every operation, in order, and files it under the module that runs."""

    fast_path = FastPath

    def __init__(self, copy: MetaCopy) -> None:
        super().__init__()
        self._shortcuts: FastPath | None = None
        self.unused: dict[int, Tensor] = {}  # parameters and buffers, by their id
        self.ops: dict[str, list[Work]] = {}
        self.unsupported: dict[str, int] = {}
        self.root = ModuleCall("", copy.module, 0, [])
        self.stack = [self.root]
        self.axes: Axes = ()  # of the last map that has any place in it
        self.alive = LiveMaps()
        self._module_info: dict[nn.Module, _ModuleInfo] = {}
        self._visit(copy.module, "")
        self._weights, self._registered = copy.held, list(self.unused.values())
        self._calls: dict[str, int] = {}
        self._last: tuple[int, Operation] | None = None

    def _visit(self, module: nn.Module, name: str) -> None:
        info = self._module_info.get(module)
        if info is None:
            info = self._module_info[module] = _ModuleInfo([], [])
            for t in (*module._parameters.values(), *module._buffers.values()):
                if t is not None:
                    info.tensor_ids.append(id(t))
                    self.unused[id(t)] = t
        info.names.append(name)
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
        known = module in self._module_info  # a run may make modules
        name, call = self._called(self._module_info[module].names if known else (type(module).__name__,))
        with DisableTorchFunction():
            frame = ModuleCall(name, module, call, [tuple(t.shape) for t in tensors_in(args)])
            if module._buffers and not module._modules:  # a layer's: also those that only training uses
                frame.first_used = self._first_used(map(id, module._buffers.values()))
        self.stack[-1].events.append(frame)
        self.stack.append(frame)

    def leave(self, module: nn.Module, args: Sequence, out: object) -> None:
        """A module ends with this output."""
        frame = self.stack.pop()
        frame.live = self.alive.n_bytes
        first = next(iter(tensors_in(out)), None)
        if first is not None:
            with DisableTorchFunction():
                frame.out, frame.numel, frame.axes = tuple(first.shape[1:]), first.numel(), axes_of(first)

    def around(self, module: nn.Module, forward: Callable) -> Callable:
        """A layer of PyTorch's own that gets a usual input is answered at once."""
        answer = LAYERS.get(type(module))
        if answer is None or len(module._parameters) > 2:  # it was given one more than a weight and a bias
            return super().around(module, forward)
        return partial(self._layer, module, forward, answer, self._module_info[module])

    def _layer(
        self, module: nn.Module, forward: Callable, answer: Callable, info: _ModuleInfo, *args, **kwargs
    ) -> object:
        if len(args) == 1 and not kwargs and no_transforms():
            with DisableTorchFunction(), _DisableTorchDispatch():
                found = answer(module, *args)
                if found is not None:
                    self._file_layer(module, info, *found)
                    return found[2]
        return self.through(module, forward, *args, **kwargs)

    def _file_layer(self, module: nn.Module, info: _ModuleInfo, packet, args: Sequence, out: Tensor) -> None:
        """The row of a layer that is one operation."""
        rule, kind, in_place = RULES[packet], type(module).__name__, out is args[0]
        work = rule.work(args, out)
        axes = named(rule.axes(args, out), packet, self.stack[-1].name) if rule.axes else axes_of(args[0])
        out._cnnlib_axes = axes
        memory = 0 if in_place else self.alive.add(out)
        self._note(packet.__name__, work, axes)
        self._last = None
        name, call = self._called(info.names)
        own = self._first_used(info.tensor_ids) if info.tensor_ids else ()
        self.stack[-1].events.append(
            Row(
                name or kind, kind, tuple(out.shape[1:]), out.numel(), work, axes, memory, call=call, layer=rule.layer,
                in_place=in_place, live=self.alive.n_bytes, **(count_parameters(own) if own else {}),
            )
        )  # fmt: skip

    def _note(self, op: str, work: Work, axes: Axes) -> None:
        if len(axes) > 2 and any(axes):
            self.axes = axes
        if any(work):
            self.ops.setdefault(op.rstrip("_"), []).append(work)

    def _first_used(self, ids: Iterable[int]) -> list[Tensor]:
        """Those parameters and buffers that no operation used before."""
        return [self.unused.pop(i) for i in ids if i in self.unused]

    @cached_property
    def _owners(self) -> dict[int, int]:
        """Whose memory is it? The ids of parameters and buffers by their key."""
        return {key(t): id(t) for t in self._registered}

    @cached_property
    def _weight_keys(self) -> set[int]:
        return {*self._owners, *map(key, self._weights)}

    def where(self) -> tuple[str, nn.Module, list[Shape]]:
        """The module that was running, for the message of an error."""
        frame = self.stack[-1]
        return frame.name, frame.module, frame.input_shapes

    def _see(self, tensor: Tensor) -> int:
        """Bytes of an output, if it is a map in memory of its own and not the view of a map or of a weight."""
        known = tensor in self.alive or key(tensor) in self._weight_keys
        return 0 if known else self.alive.add(tensor)

    def __enter__(self) -> Counter:
        self._shortcuts = self.fast_path(self._answered)
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

    def _answered(self, packet, args: Sequence, result: Tensor | tuple[Tensor, ...]) -> None:
        self._seen(packet, args, result, fresh=result is not args[0])

    def _seen(self, packet, args, result, kwargs=None, fresh: bool = False) -> None:
        """An operation ran, or would have: files what it did and marks what its outputs see.

        ``fresh``: the outputs are known to lie in memory of their own.
        """
        outs, ins = tensors_in(result), tensors_in(args)
        if kwargs:
            ins += tensors_in(list(kwargs.values()))
        if not outs or not ins:
            if outs:
                propagate(packet, None, args, outs, ins, "")
            return
        out, work, layer = outs[0], Work(), False
        rule, move = RULES.get(packet), None
        if rule is not None:
            work, layer, look = rule.work(args, out), rule.layer, rule.axes
        else:
            look = move = MOVEMENT_RULES.get(packet)
            if move is None:
                look, name = lost, packet.__name__
                self.unsupported[name] = self.unsupported.get(name, 0) + 1
        axes = propagate(packet, look, args, outs, ins, self.stack[-1].name)
        first_used: list[Tensor] = []
        if move is not None and len(ins) == 1:  # such as the transpose of a weight: used where it goes
            self._pass_on(self._owner(ins[0]), outs)
        else:
            first_used = self._first_used(map(self._owner, ins))
        memory = sum(map(self.alive.add if fresh else self._see, outs))
        self._file(packet.__name__, out, work, first_used, memory, axes, layer)

    def _owner(self, t: Tensor) -> int | None:
        """The id of the parameter or buffer that ``t`` is, or is another form of."""
        if id(t) in self.unused:
            return id(t)
        if hasattr(t, "_cnnlib_axes"):
            return getattr(t, "_cnnlib_owner", None)
        return self._owners.get(key(t))  # nothing marked it: p.data is a parameter under another name

    def _pass_on(self, owner: int | None, outs: list[Tensor]) -> None:
        if owner in self.unused:
            for t in outs:
                t._cnnlib_owner = owner

    def _file(
        self, op: str, out: Tensor, work: Work, first_used: list[Tensor], memory: int, axes: Axes, layer: bool
    ) -> None:
        self._note(op, work, axes)
        busy, shape = any(work), tuple(out.shape[1:])
        if busy or memory or first_used:
            in_place = busy and op[-1] == "_"
            event = Operation(
                op, shape, out.numel(), work, first_used, memory, axes, layer, in_place, self.alive.n_bytes
            )
            self.stack[-1].events.append(event)
            self._last = key(out), event
        elif self._last and self._last[0] == key(out) and self._last[1].numel == out.numel():
            self._last[1].out, self._last[1].axes = shape, axes  # seen as it is used
