"""What a tensor sees whose units stay while its axes change: views, transposes, copies, windows laid out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

from cnnlib.costs.places import (
    LOST,
    UNIFORM,
    Axes,
    Entry,
    Lengths,
    Packed,
    Place,
    Unknown,
    axes_of,
    parts_of,
    place,
)
from cnnlib.costs.receptive_field import each, lost
from cnnlib.shapes import Span


def reshaped(axes: Axes, lengths: Lengths, shape: Lengths) -> Axes:
    """The same units in the same order, in axes of other lengths."""
    if not any(axes):
        return (None,) * len(shape)
    parts = _fused([part for entry, n in zip(axes, lengths, strict=True) for part in parts_of(entry, n)])
    out: list[Entry] = []
    for n in shape:
        taken: list[tuple[int, Entry]] = []
        while n > 1:
            length, entry = parts.pop(0)
            if n % length == 0:
                taken.append((length, entry))
                n //= length
                continue
            pieces = _split(length, entry, n)
            if pieces is None:
                return (None, *(LOST,) * (len(shape) - 1))
            taken.append(pieces[0])
            parts.insert(0, pieces[1])
            n = 1
        taken = _fused(taken)
        unknown = [entry for _, entry in taken if type(entry) is Unknown]
        if unknown:
            out.append(unknown[0])
        elif len(taken) < 2:
            out.append(taken[0][1] if taken else None)
        else:
            out.append(Packed(tuple(taken)))
    return tuple(out)


def _split(length: int, entry: Entry, n: int) -> tuple[tuple[int, Entry], tuple[int, Entry]] | None:
    """A part in two, the outer of length ``n``."""
    inner, rest = divmod(length, n)
    if rest or (type(entry) is Place and type(entry.span) is not Span):
        return None
    if type(entry) is not Place:
        return (n, entry), (inner, entry)
    dim, (size, stride, start) = entry
    return (n, Place(dim, Span(size, stride * inner, start))), (inner, Place(dim, Span(size, stride, 0)))


def _fused(parts: Iterable[tuple[int, Entry]]) -> list[tuple[int, Entry]]:
    """Neighbours that are one axis of the image again, or none of it, in one; without parts of length 1."""
    out: list[tuple[int, Entry]] = []
    for n, entry in parts:
        if n == 1:
            continue
        if out:
            m, before = out[-1]
            if entry is None and before is None:
                out[-1] = m * n, None
                continue
            if type(entry) is type(before) is Place and entry.dim == before.dim:
                a, b = before.span, entry.span
                if type(a) is type(b) is Span and a.stride == b.stride * n:
                    out[-1] = m * n, Place(entry.dim, Span(a.size, b.stride, a.start + b.start))
                    continue
        out.append((n, entry))
    return out


def view(args: Sequence, out: Tensor) -> Axes:
    """Axes of other lengths."""
    x = args[0]
    return axes_of(x) if x.shape == out.shape else reshaped(axes_of(x), x.shape, out.shape)


def permute(args: Sequence, out: Tensor) -> Axes:
    """Axes in another order."""
    axes = axes_of(args[0])
    return tuple(axes[d] for d in args[1])


def transpose(args: Sequence, out: Tensor) -> Axes:
    """Two axes exchanged."""
    axes = list(axes_of(args[0]))
    i, j = (args[1], args[2]) if len(args) > 2 else (0, -1)
    if axes:
        axes[i], axes[j] = axes[j], axes[i]
    return tuple(axes)


def unsqueeze(args: Sequence, out: Tensor) -> Axes:
    """An axis of length 1 more."""
    axes = list(axes_of(args[0]))
    axes.insert(args[1] % out.ndim, None)
    return tuple(axes)


def squeeze(args: Sequence, out: Tensor) -> Axes:
    """Axes of length 1 taken out."""
    x = args[0]
    dims = args[1] if len(args) > 1 else range(x.ndim)
    dims = dims if isinstance(dims, list | tuple | range) else [dims]
    gone = {d % x.ndim for d in dims if x.shape[d] == 1}
    return tuple(e for i, e in enumerate(axes_of(x)) if i not in gone)


def expand(args: Sequence, out: Tensor) -> Axes:
    """Axes of length 1 enlarged, all units the same."""
    x = args[0]
    axes, new = list(axes_of(x)), out.ndim - x.ndim
    for i, n in enumerate(x.shape):
        if n != out.shape[new + i]:
            axes[i] = LOST if axes[i] else UNIFORM
    return (*(UNIFORM,) * new, *axes)


def repeat(args: Sequence, out: Tensor) -> Axes:
    """The tensor again and again along its axes."""
    x, times = args
    axes, new = list(axes_of(x)), len(times) - x.ndim
    for i, n in enumerate(x.shape):
        if times[new + i] > 1:
            axes[i] = LOST if axes[i] else UNIFORM if n == 1 else None
    return (*(UNIFORM,) * new, *axes)


def unfold(args: Sequence, out: Tensor) -> Axes:
    """Windows as an axis of their own: (..., n, ...) -> (..., windows, ..., pixels of a window)."""
    x, dim, _, step = args
    axes = list(axes_of(x))
    outer, inner = _window(axes[dim], step, 0, 1)
    axes[dim] = outer
    return (*axes, inner)


def im2col(args: Sequence, out: Tensor) -> Axes:
    """The same as a matrix: (N, C, H, W) -> (N, C times pixels of a window, windows)."""
    x, kernel, dilation, pad, stride = args
    settings = list(zip(kernel, each(dilation, 2), each(pad, 2), each(stride, 2), strict=True))
    pairs = [_window(e, s, p, d) for e, (_, d, p, s) in zip(axes_of(x)[-2:], settings, strict=True)]
    if axes_of(x)[1] or not all(type(e) is Place for pair in pairs for e in pair):
        return lost(args, out)
    sides = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, (k, d, p, s) in zip(x.shape[-2:], settings, strict=True)
    ]
    pixels = [(k, inner) for k, (_, inner) in zip(kernel, pairs, strict=True)]
    places = [(n, outer) for n, (outer, _) in zip(sides, pairs, strict=True)]
    return (None, Packed(((x.shape[1], None), *pixels)), Packed(tuple(places)))


def _window(entry: Entry, stride: int, pad: int, dilation: int) -> tuple[Entry, Entry]:
    """The windows and the pixels within them, as the outer and the inner part of an axis."""
    entry = place(entry)
    if not isinstance(entry, Place):
        return entry, entry
    if type(entry.span) is not Span:
        return LOST, LOST
    dim, (size, step, start) = entry
    return Place(dim, Span(size, step * stride, start - pad * step)), Place(
        dim, Span(size, step * dilation, 0)
    )
