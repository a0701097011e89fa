"""Devices in a run without numbers: whatever device a network asks for, it gets ``meta``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_any, tree_map

META = torch.device("meta")
_STAYS = frozenset(
    getattr(Tensor, name) for name in ("cpu", "cuda", "xpu", "ipu", "pin_memory") if hasattr(Tensor, name)
)
# Numbers of these, drawn on the CPU by name and few, decide what runs: which paths to drop, say. They are drawn.
_DRAWS = frozenset((torch.rand, torch.randn, torch.randint, torch.randperm))


def _device(value: object) -> bool:
    """Is this the name of a device? A tensor's dtype may be a string in no call of PyTorch."""
    return isinstance(value, torch.device | str) or (isinstance(value, int) and not isinstance(value, bool))


def _foreign(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_meta


class MetaDevice(TorchFunctionMode):
    """Puts all tensors of a run on ``meta``: new ones, moved ones, and those that came from outside with numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _STAYS:
            return args[0]
        if func in _DRAWS and str(kwargs.get("device")) == "cpu":
            drawn = func(*args, **{k: v for k, v in kwargs.items() if k != "generator"})
            if drawn.ndim < 2:
                return drawn
        if kwargs.get("device") is not None or kwargs.get("generator") is not None:
            kwargs = {**kwargs, "device": META} if "device" in kwargs else dict(kwargs)
            kwargs.pop("generator", None)  # none makes numbers there, so that its state stays as it is
        if func is Tensor.to:
            first, *rest = args
            if rest and isinstance(rest[0], Tensor):
                rest[0] = rest[0].dtype
            elif rest and _device(rest[0]):
                rest[0] = META
            if isinstance(kwargs.get("other"), Tensor):
                kwargs = {"dtype": kwargs["other"].dtype}
            args = (first, *rest)
        if func is Tensor.type and len(args) == 2 and not isinstance(args[1], torch.dtype):
            kind = getattr(torch, args[1].rpartition(".")[2]) if isinstance(args[1], str) else args[1]
            return args[0].to(kind.dtype)
        try:
            return func(*args, **kwargs)
        except (RuntimeError, NotImplementedError):
            if not tree_any(_foreign, (args, kwargs)):
                raise
        here = tree_map(lambda t: torch.empty_like(t, device=META) if _foreign(t) else t, (args, kwargs))
        return func(*here[0], **here[1])


@contextmanager
def autocast_allowed() -> Iterator[None]:
    """``torch.autocast`` of the device that an input is on: there is none for ``meta``, so that of the CPU, unfelt."""
    begin = torch.autocast.__init__

    def init(self: torch.autocast, device_type: str, *args, **kwargs) -> None:
        begin(self, "cpu" if device_type == "meta" else device_type, *args, **kwargs)

    torch.autocast.__init__ = init
    try:
        yield
    finally:
        torch.autocast.__init__ = begin
