"""A copy of a network's structure with tensors that have shapes and no numbers."""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin

META = torch.device("meta")
# Types whose values hold no tensor and can be shared.
ATOMIC_TYPES = frozenset(
    (int, float, complex, bool, str, bytes, type(None), type, torch.dtype, torch.device, torch.Size)
)
# What every module keeps, such as the dictionaries of its hooks.
_MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))


class Cloner:
    """``copy.deepcopy`` without numbers, with a short way for what a network is made of."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        self.dtype = dtype  # of the floating-point tensors, if not their own
        self.tensors: list[Tensor] = []  # all that were met, in their new form
        self.scripted = False  # was a module met whose layers nobody sees?
        self._memo: dict[int, object] = {}

    def __call__(self, value: object) -> object:
        """The copy of ``value``: the same one for the same object, so that shared layers stay shared."""
        kind = type(value)
        return value if kind in ATOMIC_TYPES else self._new(value, kind)

    def _new(self, value: object, kind: type) -> object:
        memo, place = self._memo, id(value)
        if place in memo:
            return memo[place]
        if kind is nn.Parameter or kind is Tensor or isinstance(value, Tensor):
            new = memo[place] = self._tensor(value, kind)
            self.tensors.append(new)
        elif kind is dict or kind is OrderedDict:
            new = memo[place] = kind()
            for key, item in value.items():
                new[key if type(key) is str else self(key)] = self(item)
        elif kind is list:
            new = memo[place] = []
            new.extend(map(self, value))
        elif kind is tuple and ATOMIC_TYPES.issuperset(map(type, value)):
            new = value
        elif isinstance(value, nn.Module) and _plain(kind):
            new = memo[place] = kind.__new__(kind)
            state = {} if _restores(kind) else vars(new)
            self._fill(state, vars(value))
            if _restores(kind):
                new.__setstate__(state)
        elif kind in (set, frozenset, tuple):
            new = memo[place] = kind(map(self, value))
        elif kind is deque:
            new = memo[place] = deque(map(self, value), value.maxlen)
        elif _plain_object(kind):
            new = memo[place] = kind.__new__(kind)
            vars(new).update((name, self(item)) for name, item in vars(value).items())
        else:
            self._look_through(value, set())
            new = value if self.scripted else self._copied(value)
        return new

    def _copied(self, value: object) -> object:
        """A copy by the object's own way; where it has none, as locks and open files, the object itself."""
        try:
            return copy.deepcopy(value, self._memo)
        except Exception:  # whatever somebody's class raises
            return value

    def _fill(self, new: dict, old: dict) -> None:
        """What a module keeps; a row of short ways, since there is so much of it."""
        for name, value in old.items():
            kind = type(value)
            if kind in ATOMIC_TYPES or (kind is tuple and ATOMIC_TYPES.issuperset(map(type, value))):
                new[name] = value
            elif name in _MODULE_ATTRIBUTES and not value:
                new[name] = kind()
            elif name in _MODULE_ATTRIBUTES and kind is dict:
                new[name] = {
                    key: item if item is None else self._new(item, type(item)) for key, item in value.items()
                }
            elif name != "_compiled_call_impl":  # that one runs the original
                new[name] = self._new(value, kind)

    def _tensor(self, tensor: Tensor, kind: type) -> Tensor:
        dtype = self.dtype if self.dtype and tensor.is_floating_point() else tensor.dtype
        if kind is not nn.Parameter and kind is not Tensor and isinstance(tensor, UninitializedTensorMixin):
            return kind(device=META)
        if tensor.is_meta and tensor.layout is torch.strided:  # empty_like takes a long way there
            new = torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device=META)
        else:
            new = torch.empty_like(tensor, dtype=dtype, device=META)
        if kind is nn.Parameter:
            new.__class__ = kind  # as lazy parameters become real ones; nn.Parameter() makes a second tensor
            new.requires_grad = tensor.requires_grad
        elif kind is not Tensor and isinstance(tensor, nn.Parameter):
            new = nn.Parameter(new, tensor.requires_grad)
        return new

    def _look_through(self, value: object, seen: set[int]) -> None:
        """Finds the tensors in what copies itself, so that the copy will hold their new forms."""
        if id(value) in seen or type(value) in ATOMIC_TYPES:
            return
        seen.add(id(value))
        if isinstance(value, Tensor):
            self(value)
        self.scripted |= isinstance(value, torch.jit.ScriptModule)
        inside = vars(value) if isinstance(value, nn.Module) else value
        if isinstance(inside, dict | list | tuple | set):
            for item in inside.values() if isinstance(inside, dict) else inside:
                self._look_through(item, seen)


_WAYS = ("deepcopy", "getstate", "reduce", "reduce_ex", "getnewargs", "getnewargs_ex")


def _as_usual(kind: type, base: type, ways: Sequence[str]) -> bool:
    """Does this class copy its objects in the same ways as ``base``, and all that they keep by name?"""
    names = [f"__{way}__" for way in ways]
    slots = any(vars(parent).get("__slots__") for parent in kind.__mro__)
    return not slots and all(getattr(kind, name, None) is getattr(base, name, None) for name in names)


@cache
def _plain_object(kind: type) -> bool:
    """Does this class of objects copy itself attribute by attribute, as a dataclass does?"""
    return _as_usual(kind, object, (*_WAYS, "copy", "setstate", "new")) and kind.__dictoffset__ != 0


@cache
def _plain(kind: type) -> bool:
    """Does this class of modules copy itself as ``nn.Module`` does?"""
    return _as_usual(kind, nn.Module, _WAYS) and not issubclass(kind, torch.jit.ScriptModule)


@cache
def _restores(kind: type) -> bool:
    """Does it do more with the state of a copy than to take it? Convolutions only look for what old files lack."""
    return kind.__setstate__ not in (nn.Module.__setstate__, nn.modules.conv._ConvNd.__setstate__)
