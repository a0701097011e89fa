"""The calls that networks are made of, answered with a shape at once: PyTorch's own way to a shape is long.

Each function takes the arguments of a PyTorch function and returns what its ATen operation would be called with and
give, on a device without numbers: (operation, arguments, result). It returns ``None`` where something is unusual or
does not fit; then PyTorch goes its own way, and says itself what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction, _DisableTorchDispatch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from cnnlib.axes import each
from cnnlib.ops import aten
from cnnlib.shapes import out_size

Answer = tuple[object, tuple, Tensor]


def _plain(*tensors: object) -> bool:
    """Tensors without numbers of no class that could have its own ways."""
    return all(type(t) in (Tensor, nn.Parameter) and t.is_meta for t in tensors)


def _conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Answer | None:
    if not (_plain(x, weight) and x.ndim == weight.ndim == 4) or isinstance(padding, str):
        return None
    (n, c_in, *sides), (c_out, per_group, *kernel) = x.shape, weight.shape
    settings = [each(stride, 2), each(padding, 2), each(dilation, 2)]
    fits = c_in == per_group * groups and c_out % groups == 0 and x.dtype == weight.dtype
    if bias is not None:
        fits = fits and _plain(bias) and bias.shape == (c_out,) and bias.dtype == x.dtype
    if not (fits and x.is_contiguous() and weight.is_contiguous()):
        return None
    try:
        out = [out_size(*axis) for axis in zip(sides, kernel, *settings, strict=True)]
    except ValueError:
        return None
    return aten.convolution, (x, weight, bias, *settings, False), x.new_empty((n, c_out, *out))


def _batch_norm(
    x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
) -> Answer | None:
    held = [t for t in (mean, var, weight, bias) if t is not None]
    if training or mean is None or var is None or not _plain(x, *held) or x.ndim < 2:
        return None
    if any(t.shape != x.shape[1:2] for t in held):
        return None
    return aten.native_batch_norm, (x, weight, bias, mean, var), _like(x)


def _like(x: Tensor) -> Tensor:
    return x.new_empty_strided(x.shape, x.stride())


def _relu(x, inplace=False) -> Answer | None:
    if not _plain(x):
        return None
    return (aten.relu_, (x,), x) if inplace else (aten.relu, (x,), _like(x))


def _same(x: object, y: object) -> bool:
    return _plain(x, y) and x.shape == y.shape and x.dtype == y.dtype and x.stride() == y.stride()


def _add(x, y) -> Answer | None:
    return (aten.add, (x, y), _like(x)) if _same(x, y) else None


def _add_(x, y) -> Answer | None:
    return (aten.add_, (x, y), x) if _same(x, y) else None


def _cat(parts: Sequence[Tensor], dim: int = 0) -> Answer | None:
    if type(parts) not in (list, tuple) or not parts or not _plain(*parts):
        return None
    first = parts[0]
    if not -first.ndim <= dim < first.ndim:
        return None
    dim %= first.ndim
    shape = list(first.shape)
    shape[dim] = sum(part.shape[dim] for part in parts if part.ndim == first.ndim)
    for part in parts:
        rest = [*part.shape[:dim], shape[dim], *part.shape[dim + 1 :]]
        if rest != shape or part.dtype != first.dtype or not part.is_contiguous():
            return None
    return aten.cat, (parts, dim), first.new_empty(shape)


FUNCTIONS: dict[object, Callable[..., Answer | None]] = {
    torch.conv2d: _conv2d,
    F.batch_norm: _batch_norm,
    F.relu: _relu,
    torch.add: _add,
    Tensor.add: _add,
    Tensor.add_: _add_,
    torch.cat: _cat,
}


class Shortcuts(TorchFunctionMode):
    """Answers the calls in ``FUNCTIONS`` and tells ``seen(operation, arguments, result)`` of each."""

    def __init__(self, seen: Callable[[object, tuple, Tensor], None]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func, types, args=(), kwargs=None):
        short = FUNCTIONS.get(func)
        if short is not None:
            # What happens in here is no call of the network.
            with DisableTorchFunction(), _DisableTorchDispatch():
                try:
                    answer = short(*args, **(kwargs or {}))
                except TypeError:  # an argument that is seldom given, such as alpha or out
                    answer = None
                if answer is not None:
                    self.seen(*answer)
                    return answer[2]
        return func(*args, **(kwargs or {}))
