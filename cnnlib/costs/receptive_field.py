"""What the units of a tensor see in the image, carried through each kind of operation.

A traced tensor holds one entry an axis: the :class:`~cnnlib.shapes.Span` of its units along that axis of the
image, a :class:`~cnnlib.shapes.UpsampledSpan` one behind an enlargement, or ``None`` where the axis is no place in the
image: batch, channel, anything pooled over the whole map.
Each rule takes the arguments of an ATen call and its output, and returns the entries of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from torch import Tensor

from cnnlib.shapes import Span, UpsampledSpan, resample

Axes = tuple[Span | UpsampledSpan | None, ...]


def axes_of(x: object) -> Axes:
    """What each axis of a traced tensor sees."""
    return getattr(x, "_cnnlib_axes", None) or (None,) * getattr(x, "ndim", 0)


def packed(x: Tensor) -> tuple[tuple[int, ...], Axes]:
    """Shape and axes that a flattened tensor held before, or nothing."""
    return getattr(x, "_cnnlib_packed", ((), ()))


def joined(tensors: Sequence[Tensor], ndim: int) -> Axes:
    """The union of several inputs, aligned at their last axes as broadcasting does.

    An input that is constant along an axis, such as the gate of squeeze-and-excitation, is left out there.
    """
    out: list[Span | UpsampledSpan | None] = [None] * ndim
    for axes in dict.fromkeys(map(axes_of, tensors)):
        for i, span in enumerate(axes, ndim - len(axes)):
            if span is not None and i >= 0:
                out[i] = union(out[i], span)
    return tuple(out)


def union(held: Span | UpsampledSpan | None, span: Span | UpsampledSpan) -> Span | UpsampledSpan:
    """What sees ``held``, if anything yet, and ``span``."""
    if held is None:
        return span
    return span.union(held) if isinstance(span, UpsampledSpan) else held.union(span)


def each(value: object, n: int) -> Sequence[int]:
    """A per-axis setting, one number an axis: a single one stands for all."""
    if not isinstance(value, list | tuple):
        return (value,) * n
    return value * n if len(value) == 1 else value


def windows(x: Tensor, kernel, stride, pad, dilation) -> Axes:
    """Behind windows that slide along the last axes."""
    n = len(kernel)
    settings = zip(axes_of(x)[-n:], kernel, stride, pad, dilation, strict=True)
    spans = [s and s.through(k, st, p, d) for s, k, st, p, d in settings]
    return (*(None,) * (x.ndim - n), *spans)


def conv(args: Sequence, out: Tensor) -> Axes:
    """Behind a convolution; a transposed one sees the inputs i with 0 <= j + p - i s <= (k - 1) d."""
    x, weight, _, stride, pad, dilation, transposed = args[:7]
    kernel = weight.shape[2:]
    n = len(kernel)
    stride, pad, dilation = each(stride, n), each(pad, n), each(dilation, n)
    if not transposed:
        return windows(x, kernel, stride, pad, dilation)
    spans = tuple(
        s and resample(s, Fraction(p - (k - 1) * d, st), Fraction(p, st), Fraction(1, st))
        for s, k, st, p, d in zip(axes_of(x)[-n:], kernel, stride, pad, dilation, strict=True)
    )
    return (None,) * (x.ndim - n) + spans


def pool_settings(args: Sequence) -> tuple[Sequence[int], ...]:
    """Kernel, stride and padding of a pooling call, one number an axis; the stride is the kernel if none is given."""
    x, kernel = args[0], args[1]
    n = len(kernel) if len(kernel) > 1 else x.ndim - 2
    kernel = each(kernel, n)
    stride = each(args[2], n) if len(args) > 2 and args[2] else kernel
    pad = each(args[3], n) if len(args) > 3 else [0] * n
    return kernel, stride, pad


def max_pool(args: Sequence, out: Tensor) -> Axes:
    """Behind a maximum over windows."""
    kernel, stride, pad = pool_settings(args)
    dilation = each(args[4], len(kernel)) if len(args) > 4 else [1] * len(kernel)
    return windows(args[0], kernel, stride, pad, dilation)


def avg_pool(args: Sequence, out: Tensor) -> Axes:
    """Behind a mean over windows; the mean of a whole map is no place in the image any more."""
    kernel, stride, pad = pool_settings(args)
    if tuple(args[0].shape[-len(kernel) :]) == tuple(kernel):  # the mean of a whole map: a global pool
        return (None,) * out.ndim
    return windows(args[0], kernel, stride, pad, [1] * len(kernel))


def adaptive_pool(args: Sequence, out: Tensor) -> Axes:
    """Behind windows that share out the map, from floor(i n / m) to ceil((i + 1) n / m)."""
    x, n_axes = args[0], len(args[1])
    spans = []
    for s, n, m in zip(axes_of(x)[-n_axes:], x.shape[-n_axes:], out.shape[-n_axes:], strict=True):
        step = Fraction(n, m)
        part = Fraction(1, step.denominator)
        whole = m == 1 and n > 1
        spans.append(None if whole or s is None else resample(s, part - 1, step - part, step))
    return (None,) * (x.ndim - n_axes) + tuple(spans)


def nearest(args: Sequence, out: Tensor) -> Axes:
    """Behind an enlargement that repeats the nearest unit, floor(i n / m)."""
    return _resized(args[0], out, lambda step, part: (part - 1, Fraction(0), step))


def nearest_exact(args: Sequence, out: Tensor) -> Axes:
    """The same with the nearest by middles, floor((i + 1/2) n / m)."""
    return _resized(args[0], out, lambda step, part: ((step + part) / 2 - 1, step / 2, step))


def interpolated(width: int) -> Callable[[Sequence, Tensor], Axes]:
    """Interpolation mixes ``width`` neighbours on either side of (i + 1/2) n / m - 1/2, or of i (n - 1) / (m - 1)
    where corners are aligned."""

    def axes(args: Sequence, out: Tensor) -> Axes:
        def reads(step: Fraction, part: Fraction) -> tuple[Fraction, Fraction, Fraction]:
            middle = Fraction(0) if args[2] else (step - 1) / 2
            return middle - width + part / 2, middle + width - part / 2, step

        return _resized(args[0], out, reads, 1 if args[2] else 0)

    return axes


def _resized(x: Tensor, out: Tensor, reads: Callable[[Fraction, Fraction], tuple], less: int = 0) -> Axes:
    """``reads(step, 1 / denominator)``: first, last and step of what the units read; step = n / m, both ``less``."""
    spans = []
    for s, n, m in zip(axes_of(x)[2:], x.shape[2:], out.shape[2:], strict=True):
        step = Fraction(n - less, max(m - less, 1))
        spans.append(s and resample(s, *reads(step, Fraction(1, step.denominator))))
    return (None, None, *spans)


def shuffled(args: Sequence, out: Tensor) -> Axes:
    """Behind channels laid out as pixels, ``args[1]`` along each side."""
    r = args[1]
    spans = (
        s and resample(s, Fraction(1 - r, r), Fraction(0), Fraction(1, r)) for s in axes_of(args[0])[-2:]
    )
    return (None,) * (out.ndim - 2) + tuple(spans)


def unshuffled(args: Sequence, out: Tensor) -> Axes:
    """Behind pixels laid out as channels, from squares of side ``args[1]``."""
    r = args[1]
    return windows(args[0], (r, r), (r, r), (0, 0), (1, 1))


def reduced(args: Sequence, out: Tensor) -> Axes:
    """Behind a sum, mean or maximum over some axes: those are no places any more."""
    x = args[0]
    dims = args[1] if len(args) > 1 and args[1] is not None else range(x.ndim)
    gone = {d % x.ndim for d in (dims if isinstance(dims, list | tuple | range) else [dims])}
    axes = axes_of(x)
    if out.ndim == x.ndim:
        return tuple(None if i in gone else s for i, s in enumerate(axes))
    return tuple(s for i, s in enumerate(axes) if i not in gone)


def rowwise(i: int) -> Callable[[Sequence, Tensor], Axes]:
    """A product from the right treats each row of argument ``i`` alone: what the rows are, they stay."""

    def axes(args: Sequence, out: Tensor) -> Axes:
        out._cnnlib_packed = packed(args[i])
        return (*axes_of(args[i])[: out.ndim - 1], None)

    return axes


def lost(args: Sequence, out: Tensor) -> Axes:
    """Behind anything that mixes all places."""
    return (None,) * out.ndim
