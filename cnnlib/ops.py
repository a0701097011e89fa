"""What each PyTorch operation costs, and where it looks: one rule an operation.

``RULES`` maps an ATen operation to a :class:`Rule`. Operations that only move or make numbers stand in ``FREE``.
Whatever is in neither is reported by :func:`cnnlib.trace` as unsupported, never counted as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor, prod
from typing import NamedTuple

import torch
from torch import Tensor

from cnnlib.shapes import Span

aten = torch.ops.aten
Axes = tuple[Span | None, ...]  # one entry a tensor axis; None where the axis is not a place in the image


class Work(NamedTuple):
    """Arithmetic of one operation, by kind.

    ``macs``: multiply-adds of convolutions and matrix products. ``bias``: additions of a bias. ``norm``,
    ``activation``, ``elementwise``: elements treated. ``pool``: elements read, window size times outputs.
    """

    macs: int = 0
    bias: int = 0
    norm: int = 0
    activation: int = 0
    pool: int = 0
    elementwise: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(*(a + b for a, b in zip(self, other, strict=True)))


class Rule(NamedTuple):
    """``work(args, out)`` of one call, and ``axes(args, out)``, what its output sees (None: as its inputs)."""

    work: Callable[[Sequence, Tensor], Work]
    axes: Callable[[Sequence, Tensor], Axes] | None = None
    layer: bool = False  # a convolution or linear layer, whose outputs count as activations


def axes_of(x: object) -> Axes:
    """What each axis of a traced tensor sees."""
    return getattr(x, "_cnnlib_axes", None) or (None,) * getattr(x, "ndim", 0)


def joined(tensors: Sequence[Tensor], ndim: int) -> Axes:
    """The union of several inputs, aligned at their last axes as broadcasting does.

    An input that is constant along an axis, such as the gate of squeeze-and-excitation, is left out there.
    """
    out: list[Span | None] = [None] * ndim
    for tensor in tensors:
        for i, span in enumerate(reversed(axes_of(tensor))):
            if span is not None and i < ndim:
                held = out[ndim - 1 - i]
                out[ndim - 1 - i] = span if held is None else held.union(span)
    return tuple(out)


def _scaled(size, stride, start) -> Span:
    """A span behind an enlargement: its stride may be a fraction of a pixel, its ends are whole pixels."""
    stride = Fraction(stride)
    return Span(ceil(size), stride.numerator if stride.denominator == 1 else stride, floor(start))


def _each(value: object, n: int) -> list[int]:
    """A per-axis setting as ATen stores it: one number stands for all axes."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * n if len(values) == 1 else values


def _windows(x: Tensor, kernel, stride, pad, dilation) -> Axes:
    n = len(kernel)
    settings = zip(axes_of(x)[-n:], kernel, stride, pad, dilation, strict=True)
    spans = tuple(s and s.through(k, st, p, d) for s, k, st, p, d in settings)
    return (None,) * (x.ndim - n) + spans


def _conv(args: Sequence, out: Tensor) -> Work:
    x, weight, bias, _, _, _, transposed = args[:7]
    per = prod(weight.shape[1:])
    return Work(macs=(x if transposed else out).numel() * per, bias=out.numel() if bias is not None else 0)


def _conv_axes(args: Sequence, out: Tensor) -> Axes:
    x, weight, _, stride, pad, dilation, transposed = args[:7]
    kernel = list(weight.shape[2:])
    n = len(kernel)
    stride, pad, dilation = (_each(v, n) for v in (stride, pad, dilation))
    if not transposed:
        return _windows(x, kernel, stride, pad, dilation)
    spans = []
    for s, k, st, p, d in zip(axes_of(x)[-n:], kernel, stride, pad, dilation, strict=True):
        if s is not None:  # output j sees the inputs i with 0 <= j + p - i * stride <= (k - 1) * d
            reach, first = (k - 1) * d, -((k - 1) * d - p) // st
            s = _scaled(s.size + reach // st * s.stride, Fraction(s.stride) / st, s.start + first * s.stride)
        spans.append(s)
    return (None,) * (x.ndim - n) + tuple(spans)


def _pool_settings(args: Sequence) -> tuple[list[int], ...]:
    x, kernel = args[0], args[1]
    n = len(kernel) if len(kernel) > 1 else x.ndim - 2
    kernel = _each(kernel, n)
    stride = _each(args[2], n) if len(args) > 2 and args[2] else kernel
    pad = _each(args[3], n) if len(args) > 3 else [0] * n
    return kernel, stride, pad


def _pool(args: Sequence, out: Tensor) -> Work:
    return Work(pool=out.numel() * prod(_pool_settings(args)[0]))


def _max_pool_axes(args: Sequence, out: Tensor) -> Axes:
    kernel, stride, pad = _pool_settings(args)
    dilation = _each(args[4], len(kernel)) if len(args) > 4 else [1] * len(kernel)
    return _windows(args[0], kernel, stride, pad, dilation)


def _avg_pool_axes(args: Sequence, out: Tensor) -> Axes:
    kernel, stride, pad = _pool_settings(args)
    if list(args[0].shape[-len(kernel) :]) == kernel:  # the mean of a whole map: a global pool
        return (None,) * out.ndim
    return _windows(args[0], kernel, stride, pad, [1] * len(kernel))


def _adaptive(args: Sequence, out: Tensor) -> Work:
    """Windows of an adaptive pool reach from floor(i n / m) to ceil((i + 1) n / m)."""
    x, sizes = args[0], args[1]
    reads = 1
    for n, m in zip(x.shape[-len(sizes) :], out.shape[-len(sizes) :], strict=True):
        reads *= sum(-(-(i + 1) * n // m) - i * n // m for i in range(m))
    return Work(pool=reads * prod(out.shape[: -len(sizes)]))


def _adaptive_axes(args: Sequence, out: Tensor) -> Axes:
    x, n_axes = args[0], len(args[1])
    spans = []
    for s, n, m in zip(axes_of(x)[-n_axes:], x.shape[-n_axes:], out.shape[-n_axes:], strict=True):
        if s is not None:
            window = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
            whole = m == 1 and n > 1
            s = None if whole else _scaled(s.size + (window - 1) * s.stride, Fraction(s.stride) * n / m, s.start)
        spans.append(s)
    return (None,) * (x.ndim - n_axes) + tuple(spans)


def _upsample_axes(args: Sequence, out: Tensor) -> Axes:
    x, linear = args[0], args[0].ndim - 2
    spans = [
        s and _scaled(s.size, Fraction(s.stride) * n / m, s.start)
        for s, n, m in zip(axes_of(x)[2:], x.shape[2:], out.shape[2:], strict=True)
    ]
    return (None,) * 2 + tuple(spans[-linear:])


def _interpolate_axes(args: Sequence, out: Tensor) -> Axes:
    """Linear interpolation mixes two neighbours along each axis."""
    near = _upsample_axes(args, out)
    return near[:2] + tuple(
        s and _scaled(s.size + was.stride, s.stride, s.start) for s, was in zip(near[2:], axes_of(args[0])[2:], strict=True)
    )


def _reduced(args: Sequence, out: Tensor) -> Axes:
    x = args[0]
    dims = args[1] if len(args) > 1 and args[1] is not None else range(x.ndim)
    gone = {d % x.ndim for d in (dims if isinstance(dims, list | tuple | range) else [dims])}
    axes = axes_of(x)
    if out.ndim == x.ndim:
        return tuple(None if i in gone else s for i, s in enumerate(axes))
    return tuple(s for i, s in enumerate(axes) if i not in gone)


def _matrix(i: int, j: int) -> Callable[[Sequence, Tensor], Work]:
    """Product of arguments ``i`` and ``j``; an argument before ``i`` is added as bias."""
    return lambda args, out: Work(
        macs=out.numel() * args[i].shape[-1], bias=out.numel() if i and out.numel() else 0
    )


def _lost(args: Sequence, out: Tensor) -> Axes:
    return (None,) * out.ndim


def _reads(args: Sequence, out: Tensor) -> Work:
    return Work(elementwise=args[0].numel())


def _count(kind: str) -> Callable[[Sequence, Tensor], Work]:
    return lambda args, out: Work(**{kind: out.numel()})


def _packets(names: str) -> list:
    """The ATen operations called so, and their in-place forms; a release may lack some."""
    found = [getattr(aten, n + suffix, None) for n in names.split() for suffix in ("", "_")]
    return [packet for packet in found if packet is not None]


def _table(*groups: tuple[str, Rule]) -> dict:
    return {packet: rule for names, rule in groups for packet in _packets(names)}


RULES = _table(
    ("convolution _convolution convolution_overrideable", Rule(_conv, _conv_axes, layer=True)),
    ("mm mv dot", Rule(_matrix(0, 1), _lost, layer=True)),
    ("addmm addmv", Rule(_matrix(1, 2), _lost, layer=True)),
    ("bmm", Rule(_matrix(0, 1), _lost)),
    ("baddbmm addbmm", Rule(_matrix(1, 2), _lost)),
    ("max_pool2d_with_indices max_pool3d_with_indices max_pool1d max_pool2d max_pool3d", Rule(_pool, _max_pool_axes)),
    ("avg_pool1d avg_pool2d avg_pool3d", Rule(_pool, _avg_pool_axes)),
    (
        "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
        Rule(_adaptive, _adaptive_axes),
    ),
    (
        "native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit "
        "_native_batch_norm_legit_no_training _batch_norm_with_update _batch_norm_no_update native_layer_norm "
        "native_group_norm _fused_rms_norm",
        Rule(_count("norm")),
    ),
    (
        "relu relu6 threshold hardtanh hardswish hardsigmoid sigmoid tanh silu gelu elu celu selu leaky_relu softplus "
        "mish log_sigmoid_forward _softmax _safe_softmax _log_softmax glu _prelu_kernel prelu hardshrink softshrink rrelu_with_noise",
        Rule(_count("activation")),
    ),
    (
        "add sub rsub mul div neg pow square sqrt rsqrt exp log log1p expm1 abs sin cos erf reciprocal clamp "
        "clamp_min clamp_max maximum minimum where lerp addcmul addcdiv floor_divide remainder sign floor ceil round "
        "fmod atan2 sgn",
        Rule(_count("elementwise")),
    ),
    ("mean sum prod amax amin max min var std var_mean std_mean logsumexp linalg_vector_norm norm argmax argmin any all",
     Rule(_reads, _reduced)),
    ("cumsum cumprod", Rule(_count("elementwise"))),
    ("native_dropout bernoulli", Rule(lambda args, out: Work())),
    ("upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact2d",
     Rule(lambda args, out: Work(), _upsample_axes)),
    ("upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa",
     Rule(_count("elementwise"), _interpolate_axes)),
)  # fmt: skip
