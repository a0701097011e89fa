"""What the units behind each kind of arithmetic see in the image.

Each rule takes the arguments of an ATen call and its output, and returns the entries of the output
(:mod:`cnnlib.costs.places`). The field of a map is the window that a unit sees, whatever the weights are:

* sums, concatenations and channels are joined: the field is that of all branches together, also behind a slice of
  channels that came from one of them;
* what looks at single units passes the field on, and so do the statistics of a normalisation;
* what a pool over the whole map says, such as a gate, is no window and is left out where it is joined to a map;
* attention looks at every place that it attends to, so behind it a unit has no window: its field is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from torch import Tensor

from cnnlib.costs.places import (
    LOST,
    UNIFORM,
    Axes,
    Entry,
    Unknown,
    axes_of,
    depends,
    enlarged,
    mixed,
    resampled,
    through,
)  # fmt: skip


def each(value: object, n: int) -> Sequence[int]:
    """A per-axis setting, one number an axis: a single one stands for all."""
    if not isinstance(value, list | tuple):
        return (value,) * n
    return value * n if len(value) == 1 else value


def windows(axes: Sequence[Entry], kernel, stride, pad, dilation) -> Axes:
    """Behind windows that slide along the last axes."""
    found = list(axes)
    for i in range(-len(kernel), 0):
        if found[i]:
            found[i] = through(found[i], kernel[i], stride[i], pad[i], dilation[i])
    return tuple(found)


def convolved(args: Sequence, out: Tensor) -> Axes:
    """Behind a convolution; a transposed one sees the inputs i with 0 <= j + p - i s <= (k - 1) d."""
    x, weight, _, stride, pad, dilation, transposed = args[:7]
    kernel = weight.shape[2:]
    n = len(kernel)
    axes = axes_of(x)
    if axes[-n - 1]:
        axes = mixed(axes, x.shape, {len(axes) - n - 1})
    stride, pad, dilation = each(stride, n), each(pad, n), each(dilation, n)
    if getattr(weight, "_cnnlib_axes", None):  # a weight that depends on the image
        return lost(args, out)
    if not transposed:
        return windows(axes, kernel, stride, pad, dilation)
    spans = tuple(
        resampled(e, Fraction(p - (k - 1) * d, st), Fraction(p, st), Fraction(1, st))
        for e, k, st, p, d in zip(axes[-n:], kernel, stride, pad, dilation, strict=True)
    )
    return (*axes[:-n], *spans)


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
    return windows(axes_of(args[0]), kernel, stride, pad, dilation)


def avg_pool(args: Sequence, out: Tensor) -> Axes:
    """Behind a mean over windows; the mean of a whole map is no place in the image any more."""
    kernel, stride, pad = pool_settings(args)
    axes, n = axes_of(args[0]), len(kernel)
    if tuple(args[0].shape[-n:]) == tuple(kernel):  # the mean of a whole map: a global pool
        return tuple(mixed(axes, args[0].shape, range(len(axes) - n, len(axes))))
    return windows(axes, kernel, stride, pad, [1] * n)


def adaptive_pool(args: Sequence, out: Tensor) -> Axes:
    """Behind windows that share out the map, from floor(i n / m) to ceil((i + 1) n / m)."""
    x, n_axes = args[0], len(args[1])
    axes = list(axes_of(x))
    for i in range(-n_axes, 0):
        n, m = x.shape[i], out.shape[i]
        if m == 1 and n > 1:
            axes = mixed(axes, x.shape, {len(axes) + i})
        else:
            step = Fraction(n, m)
            part = Fraction(1, step.denominator)
            axes[i] = axes[i] and resampled(axes[i], part - 1, step - part, step)
    return tuple(axes)


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
    axes = list(axes_of(x))
    for i in range(2, x.ndim):
        n, m = x.shape[i], out.shape[i]
        if n == m:
            continue
        if n == 1:
            axes[i] = axes[i] and LOST if axes[i] else UNIFORM
            continue
        step = Fraction(n - less, max(m - less, 1))
        axes[i] = axes[i] and resampled(axes[i], *reads(step, Fraction(1, step.denominator)))
    return tuple(axes)


def shuffled(args: Sequence, out: Tensor) -> Axes:
    """Behind channels laid out as pixels, ``args[1]`` along each side."""
    axes = axes_of(args[0])
    if axes[-3]:
        return lost(args, out)
    return (*axes[:-2], *(e and enlarged(e, args[1]) for e in axes[-2:]))


def unshuffled(args: Sequence, out: Tensor) -> Axes:
    """Behind pixels laid out as channels, from squares of side ``args[1]``."""
    r = args[1]
    axes = axes_of(args[0])
    if axes[-3]:
        return lost(args, out)
    return windows(axes, (r, r), (r, r), (0, 0), (1, 1))


def reduced(args: Sequence, out: Tensor, dims_at: int = 1) -> Axes:
    """Behind a sum, mean or maximum over some axes: those are no places any more."""
    x = args[0]
    dims = args[dims_at] if len(args) > dims_at and args[dims_at] is not None else []
    dims = dims if isinstance(dims, list | tuple) else [dims]
    gone = {d % x.ndim for d in dims} if dims else set(range(x.ndim))
    axes = mixed(axes_of(x), x.shape, gone)
    return tuple(axes) if out.ndim == x.ndim else tuple(e for i, e in enumerate(axes) if i not in gone)


def normed(args: Sequence, out: Tensor) -> Axes:
    """The same where the order of a norm stands before the axes."""
    return reduced(args, out, 2)


def along(at: int) -> Callable[[Sequence, Tensor], Axes]:
    """Behind what mixes all units along axis ``args[at]``, such as a softmax or a running sum."""

    def axes(args: Sequence, out: Tensor) -> Axes:
        held = list(axes_of(args[0]))
        if held and held[args[at]]:
            held[args[at]] = LOST
        return tuple(held)

    return axes


def product(i: int) -> Callable[[Sequence, Tensor], Axes]:
    """Behind the matrix product of arguments ``i`` and ``i`` + 1: rows of the first, columns of the second.

    Where both depend on the image, as in attention, what is left of its places has looked at all others.
    """

    def axes(args: Sequence, out: Tensor) -> Axes:
        a, b = args[i : i + 2]
        rows = mixed(axes_of(a), a.shape, {a.ndim - 1})
        columns = mixed(axes_of(b), b.shape, {b.ndim - 2}) if b.ndim > 1 else rows[:-1]
        if b.ndim == 1:
            rows = rows[:-1]
        if not depends(b):
            found = rows
        elif not depends(a):
            found = columns
        else:
            found = [LOST if row or column else None for row, column in zip(rows, columns, strict=True)]
        extra = len(found) - out.ndim  # a batch that is summed
        return lost(args, out) if any(found[:extra]) else tuple(found[extra:])

    return axes


def lost(args: Sequence, out: Tensor) -> Axes:
    """Behind anything else: places are unknown, if there were any."""
    tensors = [t for a in args for t in (a if isinstance(a, list | tuple) else [a]) if isinstance(t, Tensor)]
    entries = [entry for t in tensors for entry in axes_of(t) if entry]
    if not entries:
        return (None,) * out.ndim
    before = next((entry for entry in entries if type(entry) is Unknown), LOST)
    return (None, *(before,) * (out.ndim - 1))
