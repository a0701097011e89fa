"""The calls that networks are made of, answered with a shape at once: PyTorch's own way to a shape is long.

Each function takes the arguments of a PyTorch function and returns what its ATen operation would be called with and
give, on a device without numbers: (operation, arguments, result). It returns ``None`` where something is unusual or
does not fit; then PyTorch goes its own way, and says itself what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction, _DisableTorchDispatch
from torch._C._functorch import peek_interpreter_stack
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from cnnlib.costs.clone import META
from cnnlib.costs.operations import aten
from cnnlib.costs.receptive_field import each
from cnnlib.shapes import out_size

Answer = tuple[object, tuple, Tensor | tuple[Tensor, ...]]
_KINDS = frozenset((Tensor, nn.Parameter))
_side = lru_cache(4096)(out_size)


def _plain(x: object) -> bool:
    """A tensor without numbers, of no class that could have its own ways."""
    return type(x) in _KINDS and x.is_meta


def _dense(x: object) -> bool:
    """Such a tensor without gaps, whose layout an operation on single elements keeps."""
    return _plain(x) and (
        x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))
    )


def _like(x: Tensor) -> Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=META)


def _same(x: object, y: object) -> bool:
    return _dense(x) and _plain(y) and x.shape == y.shape and x.dtype == y.dtype and x.stride() == y.stride()


def _conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Answer | None:
    if not (_plain(x) and _plain(weight) and x.ndim == weight.ndim == 4) or type(padding) is str:
        return None
    (n, c_in, h, w), (c_out, per_group, kh, kw) = x.shape, weight.shape
    stride, padding, dilation = each(stride, 2), each(padding, 2), each(dilation, 2)
    if c_in != per_group * groups or c_out % groups or x.dtype != weight.dtype:
        return None
    if bias is not None and not (_plain(bias) and bias.shape == (c_out,) and bias.dtype == x.dtype):
        return None
    if not (x.is_contiguous() and weight.is_contiguous()):
        return None
    try:
        h = _side(h, kh, stride[0], padding[0], dilation[0])
        w = _side(w, kw, stride[1], padding[1], dilation[1])
    except ValueError:
        return None
    out = torch.empty((n, c_out, h, w), dtype=x.dtype, device=META)
    return aten.convolution, (x, weight, bias, stride, padding, dilation, False), out


def _batch_norm(
    x, mean, var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
) -> Answer | None:
    if training or mean is None or var is None or not _dense(x) or x.ndim < 2:
        return None
    channels = x.shape[1:2]
    for t in (mean, var, weight, bias):
        if t is not None and not (_plain(t) and t.shape == channels):
            return None
    return aten.native_batch_norm, (x, weight, bias, mean, var), _like(x)


def _layer_norm(x, shape, weight=None, bias=None, eps=1e-5) -> Answer | None:
    if not (_plain(x) and x.is_contiguous() and type(shape) is tuple and x.shape[-len(shape) :] == shape):
        return None
    if any(t is not None and not (_plain(t) and t.shape == shape) for t in (weight, bias)):
        return None
    each_mean = (*x.shape[: -len(shape)], *(1 for _ in shape))
    stats = [torch.empty(each_mean, dtype=x.dtype, device=META) for _ in ("mean", "1 / deviation")]
    return aten.native_layer_norm, (x, shape, weight, bias), (_like(x), *stats)


def _relu(x, inplace=False) -> Answer | None:
    if inplace:
        return (aten.relu_, (x,), x) if _plain(x) else None
    return (aten.relu, (x,), _like(x)) if _dense(x) else None


def _single(op) -> Callable[..., Answer | None]:
    """An operation on single elements; in place PyTorch does it."""

    def answer(x, inplace=False, approximate="none") -> Answer | None:
        usual = _dense(x) and x.is_floating_point() and inplace is False
        return (op, (x,), _like(x)) if usual else None

    return answer


def _add(x, y) -> Answer | None:
    return (aten.add, (x, y), _like(x)) if _same(x, y) else None


def _add_(x, y) -> Answer | None:
    return (aten.add_, (x, y), x) if _same(x, y) else None


def _mul(x, y) -> Answer | None:
    """Of two alike, or of maps and one factor a channel, as a gate gives."""
    gate = _dense(x) and x.ndim == 4 and _plain(y) and y.dtype == x.dtype and y.shape == (*x.shape[:2], 1, 1)
    if not (_same(x, y) or (gate and x.is_contiguous() and y.is_contiguous())):
        return None
    return aten.mul, (x, y), _like(x)


def _linear(x, weight, bias=None) -> Answer | None:
    """As ATen runs it where there is a bias: one operation multiplies and adds."""
    if not (_plain(x) and _plain(weight) and _plain(bias) and x.ndim >= 2 and weight.ndim == 2):
        return None
    (*rows, c_in), (c_out, wanted) = x.shape, weight.shape
    if c_in != wanted or bias.shape != (c_out,) or not x.dtype == weight.dtype == bias.dtype:
        return None
    if not x.is_contiguous():
        return None
    return aten.addmm, (bias, x, weight), torch.empty((*rows, c_out), dtype=x.dtype, device=META)


def _pool(op, x, kernel, stride, padding, dilation, ceil_mode) -> Answer | None:
    if not (_plain(x) and x.ndim == 4 and x.is_contiguous() and x.is_floating_point()):
        return None
    kernel, padding, dilation = each(kernel, 2), each(padding, 2), each(dilation, 2)
    stride = kernel if stride is None else each(stride, 2)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return None
    windows = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    try:
        sides = [_side(*window, ceil_mode) for window in windows]
    except ValueError:
        return None
    out = torch.empty((*x.shape[:2], *sides), dtype=x.dtype, device=META)
    return op, (x, kernel, stride, padding, dilation), out


def _max_pool2d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
) -> Answer | None:
    if return_indices:
        return None
    return _pool(aten.max_pool2d_with_indices, x, kernel_size, stride, padding, dilation, ceil_mode)


def _avg_pool2d(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
) -> Answer | None:
    return _pool(aten.avg_pool2d, x, kernel_size, stride, padding, 1, ceil_mode)


def _adaptive_avg_pool2d(x, output_size) -> Answer | None:
    """To one pixel it runs as a mean."""
    if output_size not in (1, (1, 1)) or not (_plain(x) and x.ndim == 4 and x.is_contiguous()):
        return None
    return aten.mean, (x, [-1, -2], True), torch.empty((*x.shape[:2], 1, 1), dtype=x.dtype, device=META)


def _cat(parts: Sequence[Tensor], dim: int = 0) -> Answer | None:
    if type(parts) not in (list, tuple) or not parts or not all(map(_plain, parts)):
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
    return aten.cat, (parts, dim), torch.empty(shape, dtype=first.dtype, device=META)


def _conv2d_layer(m: nn.Conv2d, x: Tensor) -> Answer | None:
    if m.padding_mode != "zeros":
        return None
    own = m._parameters
    return _conv2d(x, own["weight"], own["bias"], m.stride, m.padding, m.dilation, m.groups)


def _batch_norm_layer(m: nn.BatchNorm2d, x: Tensor) -> Answer | None:
    if x.ndim != 4:
        return None
    own, running = m._parameters, m._buffers
    mean, var = running["running_mean"], running["running_var"]
    return _batch_norm(x, mean, var, own["weight"], own["bias"], m.training)


FUNCTIONS: dict[object, Callable[..., Answer | None]] = {
    torch.conv2d: _conv2d,
    F.batch_norm: _batch_norm,
    F.relu: _relu,
    torch.add: _add,
    Tensor.add: _add,
    Tensor.add_: _add_,
    torch.cat: _cat,
    F.linear: _linear,
    F.layer_norm: _layer_norm,
    F.gelu: _single(aten.gelu),
    F.silu: _single(aten.silu),
    torch.sigmoid: _single(aten.sigmoid),
    Tensor.sigmoid: _single(aten.sigmoid),
    torch.mul: _mul,
    Tensor.mul: _mul,
    F.max_pool2d: _max_pool2d,
    F.avg_pool2d: _avg_pool2d,
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
}


# Layers whose ``forward`` is one such call, and how they make it.
LAYERS: dict[type, Callable[[nn.Module, Tensor], Answer | None]] = {
    nn.Conv2d: _conv2d_layer,
    nn.BatchNorm2d: _batch_norm_layer,
    nn.ReLU: lambda m, x: _relu(x, m.inplace),
}


def no_transforms() -> bool:
    """Does a call do what it says and no more? Not while gradients are recorded, or under ``torch.func``."""
    return not torch.is_grad_enabled() and peek_interpreter_stack() is None


class FastPath(TorchFunctionMode):
    """Answers the calls in ``FUNCTIONS`` and tells ``seen(operation, arguments, result)`` of each."""

    def __init__(self, seen: Callable[[object, tuple, object], None]) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func, types, args=(), kwargs=None):
        short = FUNCTIONS.get(func)
        if short is not None and no_transforms():
            # What happens in here is no call of the network.
            with DisableTorchFunction(), _DisableTorchDispatch():
                try:
                    answer = short(*args, **(kwargs or {}))
                except TypeError:  # an argument that is seldom given, such as alpha or out
                    answer = None
                if answer is not None:
                    self.seen(*answer)
                    result = answer[2]
                    return result[0] if type(result) is tuple else result
        return func(*args, **(kwargs or {}))
