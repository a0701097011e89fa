"""Where the axes of a tensor lie in the image, and how joins, sums and reshapes carry that along.

A traced tensor holds one entry an axis:

* :class:`Place`: its units lie along an axis of the image, and see what the span says;
* :class:`Packed`: several such axes, or axes and channels, in one, as in the tokens (N, H W, C) of a map;
* :class:`Unknown`: an operation lost track of places here;
* ``UNIFORM``: all units along the axis are the same, such as those of an enlarged gate;
* ``None``: no place in the image: batch, channels, what is left of axes that were pooled away.

A tensor that does not depend on the image, such as a weight, holds no entries at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import prod
from typing import NamedTuple

from torch import Tensor

from cnnlib.shapes import PeriodicSpan, Span, resample

UNIFORM = ()
LONGEST = 1024  # units after which what they see repeats; beyond it nobody looks


class Place(NamedTuple):
    """An axis of the image, or the outer or inner part of one that was split."""

    dim: int  # of the image: 0 is its height
    span: Span | PeriodicSpan


class Packed(NamedTuple):
    """Axes in one, the outer first: the length of each, and its place in the image if it has one."""

    parts: tuple[tuple[int, Place | None], ...]


class Unknown(NamedTuple):
    """Somewhere in the image, and nobody knows where since this operation."""

    operation: str


LOST = Unknown("")  # by the operation that runs; the counter puts its name in
Entry = Place | Packed | Unknown | tuple[()] | None
Axes = tuple[Entry, ...]
Lengths = Sequence[int]


def axes_of(x: object) -> Axes:
    """What each axis of a traced tensor sees."""
    return getattr(x, "_cnnlib_axes", None) or (None,) * getattr(x, "ndim", 0)


def depends(x: object) -> bool:
    """Whether a tensor depends on the image."""
    return bool(getattr(x, "_cnnlib_axes", None))


def place(entry: Entry) -> Place | Unknown | tuple[()] | None:
    """An axis as windows slide along it: a packed one that repeats each unit is an enlarged map."""
    if type(entry) is not Packed:
        return entry
    (_, outer), *inner = entry.parts
    if not isinstance(outer, Place) or any(p is not None for _, p in inner):
        return LOST
    return enlarged(outer, prod(n for n, _ in inner))


def enlarged(entry: Entry, times: int) -> Entry:
    """Behind units that are repeated, each ``times`` in turn."""
    return resampled(entry, Fraction(1 - times, times), Fraction(0), Fraction(1, times))


def resampled(entry: Entry, first: Fraction, last: Fraction, step: Fraction) -> Entry:
    """Behind units that read those from ``first + i * step`` to ``last + i * step``."""
    entry = place(entry)
    if not isinstance(entry, Place):
        return entry
    span = entry.span
    if step.denominator * (1 if type(span) is Span else len(span.first)) > LONGEST:
        return LOST
    return Place(entry.dim, resample(span, first, last, step))


def through(entry: Entry, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> Entry:
    """Behind a window that slides along the axis."""
    if kernel == stride == 1 and not pad:
        return entry
    if type(entry) is Packed:
        entry = place(entry)
    if type(entry) is not Place:
        return entry
    return Place(entry.dim, entry.span.through(kernel, stride, pad, dilation))


def parts_of(entry: Entry, n: int) -> tuple[tuple[int, Entry], ...]:
    """An axis of length ``n`` as what is packed in it."""
    return entry.parts if type(entry) is Packed else ((n, entry or None),)


def _dims(entries: Iterable[tuple[int, Entry]]) -> list[int]:
    return [p.dim for _, p in entries if type(p) is Place]


def moved(axes: Sequence[Entry], dim: int, more: int, shift: int) -> list[Entry] | None:
    """The axes with a field along ``dim`` that is ``more`` pixels larger and begins ``shift`` further on.

    ``None`` where no axis lies along ``dim``.
    """
    found, out = False, []
    for entry in axes:
        parts = []
        for n, p in entry.parts if type(entry) is Packed else ((0, entry),):
            if type(p) is Place and p.dim == dim:
                if type(p.span) is not Span:
                    p = LOST
                else:
                    start = p.span.start + (0 if found else shift)
                    p = Place(dim, Span(p.span.size + more, p.span.stride, start))
                found = True
            parts.append((n, p))
        if type(entry) is Packed:
            entry = LOST if any(p == LOST for _, p in parts) else Packed(tuple(parts))
        else:
            entry = parts[0][1]
        out.append(entry)
    return out if found else None


def mixed(axes: Axes, lengths: Lengths, gone: Iterable[int]) -> list[Entry]:
    """The axes behind a sum over those in ``gone``, which become ``None``.

    Where an axis of the image was split, and part of it is left, a unit now sees all of the part that is gone.
    """
    gone = set(gone)
    left = [None if i in gone else entry for i, entry in enumerate(axes)]
    for i in gone:
        for n, p in parts_of(axes[i], lengths[i] if lengths else 0):
            if type(p) is Unknown:
                left = [p if entry else entry for entry in left]
            elif p is not None:
                more = (n - 1) * p.span.stride if type(p.span) is Span else None
                if more is None:
                    left = [LOST if p.dim in _dims(parts_of(e, 0)) else e for e in left]
                else:
                    left = moved(left, p.dim, more, p.span.start) or left
    return left


def _all(axes: Iterable[Entry]) -> list[tuple[int, Entry]]:
    return [part for entry in axes for part in parts_of(entry, 0)]


def union(a: Entry, b: Entry) -> Entry:
    """What sees both, unit by unit."""
    if a == b:
        return a
    if type(a) is type(b) is Place and type(a.span) is type(b.span) is Span:
        same = a.dim == b.dim and a.span.stride == b.span.stride
        return Place(a.dim, a.span.union(b.span)) if same else LOST
    for entry in (a, b):
        if type(entry) is Unknown:
            return entry
    a, b = place(a), place(b)
    if not (type(a) is type(b) is Place) or a.dim != b.dim or a.span.stride != b.span.stride:
        return LOST
    one, two = (b.span, a.span) if type(b.span) is PeriodicSpan else (a.span, b.span)
    return Place(a.dim, one.union(two))


def merged(states: Sequence[tuple[Axes, Lengths]], ndim: int) -> Axes:
    """The union of several inputs, aligned at their last axes as broadcasting does.

    An input that is the same along an axis, such as the gate of squeeze-and-excitation, is left out there.
    """
    out: list[Entry] = []
    for i in range(-ndim, 0):
        here = [(axes[i], lengths[i]) for axes, lengths in states if len(axes) >= -i]
        if all(pair == here[0] for pair in here[1:]):
            out.append(here[0][0] if here else None)
            continue
        longest = max((n for _, n in here), default=1)
        found: Entry = None
        for entry, n in here:
            if entry:
                entry = LOST if n < longest and type(entry) is not Unknown else entry
                found = union(found, entry) if found else entry
        varies = any(entry is None and n > 1 for entry, n in here)
        if found and varies and type(found) is not Unknown:  # two meanings of one axis
            found = LOST
        if not found and not varies and any(entry == UNIFORM for entry, _ in here):
            found = UNIFORM
        out.append(found)
    dims = [entry.dim for entry in out if type(entry) is Place]
    if any(type(entry) is Packed for entry in out):
        dims = _dims(_all(out))
    if len(set(dims)) < len(dims):  # a split axis: its parts cannot be joined one by one
        out = [LOST if entry else entry for entry in out]
    return tuple(out)


def joined(tensors: Sequence[Tensor], ndim: int) -> Axes:
    """``merged`` of those tensors that depend on the image."""
    states = [(x._cnnlib_axes, x.shape) for x in tensors if depends(x)]
    if not states:
        return ()
    first = states[0][0]
    if len(first) == ndim and all(axes == first for axes, _ in states):
        return first
    return merged(states, ndim)


def span_of(axes: Axes) -> Span | tuple[Span, ...] | None:
    """What a unit sees: one span if all axes of the image agree, else one an axis; ``None`` where nothing is known.

    Pixels that lie in channels count to the place of those channels.
    """
    if not any(axes) or any(type(entry) is Unknown for entry in axes):
        return None
    if len(axes) > 2 and type(axes[1]) is Packed and any(axes[2:]):
        axes = mixed(axes, (), {1})
    spans: dict[int, Span] = {}
    for _, p in _all(axes):
        if type(p) is Place:
            s = p.span
            held = spans.get(p.dim, Span(s.size, 0, 0))  # of a split axis the outer part has the stride
            spans[p.dim] = Span(s.size, max(held.stride, s.stride), held.start + s.start)
    found = tuple(spans[dim] for dim in sorted(spans))
    return (found[0] if len(set(found)) == 1 else found) if found else None


def unknown(axes: Axes) -> str | None:
    """The operation that lost track of places, if one did."""
    return next((entry.operation for entry in axes if type(entry) is Unknown), None)
