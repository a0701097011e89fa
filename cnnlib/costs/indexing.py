"""What a tensor sees that is put together from units of others: slices, lists of indices, concatenations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from cnnlib.costs.places import (
    LOST,
    Axes,
    Entry,
    Packed,
    Unknown,
    axes_of,
    depends,
    joined,
    merged,
    mixed,
    moved,
    place,
    through,
)  # fmt: skip
from cnnlib.costs.receptive_field import along, lost
from cnnlib.shapes import Span


def copy_(args: Sequence, out: Tensor) -> Axes:
    """Writing into a slice also tells what the whole sees: so padding by hand is done, and the circular kind.

    A border that is written after the rest keeps what is said of the rest, so that pixels which circular padding
    brings from the far side are left out as borders are everywhere.
    """
    part, axes = args[0], joined([args[1]], out.ndim)
    if not axes:
        return axes_of(part)
    while hasattr(part, "_cnnlib_slice_of"):
        whole, dim, start = part._cnnlib_slice_of
        axes = [e and through(e, 1, pad=start) if i == dim else e for i, e in enumerate(axes)]
        for i, held in enumerate(axes_of(whole)):
            if held and part.shape[i] < whole.shape[i] - part.shape[i]:
                axes[i] = held
        states = [(a, whole.shape) for a in (axes_of(whole) if depends(whole) else (), tuple(axes)) if a]
        whole._cnnlib_axes = axes = merged(states, whole.ndim)
        part = whole
    base = part._base
    if base is not None and base.numel() > part.numel():  # written by another kind of view
        base._cnnlib_axes = lost(args, base)
    return joined([args[1]], out.ndim)


def select(args: Sequence, out: Tensor) -> Axes:
    """One unit of an axis, which is gone."""
    x, (dim, index) = args[0], (*args[1:], 0, 0)[:2]
    dim %= x.ndim
    index = index % x.shape[dim]
    return _picked(axes_of(x), dim, index)


def _picked(axes: Axes, dim: int, index: int) -> Axes:
    """The axes but ``dim``, at one unit of it. What lies along the same axis of the image moves there."""
    left: list[Entry] = [*axes[:dim], *axes[dim + 1 :]]
    entry = axes[dim]
    if type(entry) is Unknown:
        return tuple(entry if e else e for e in left)
    for n, p in reversed(entry.parts if type(entry) is Packed else [(index + 1, entry or None)]):
        index, at = divmod(index, n)
        if p is not None:
            shifted = (
                moved(left, p.dim, 0, p.span.start + at * p.span.stride) if type(p.span) is Span else None
            )
            left = shifted or left
    return tuple(left)


def slice_(args: Sequence, out: Tensor) -> Axes:
    """A run of units, or every so many of them."""
    x = args[0]
    dim, start, _, step = (*args[1:], *(0, None, None, 1)[len(args) - 1 :])
    dim %= x.ndim
    start = start or 0
    start = max(0, start + x.shape[dim]) if start < 0 else min(start, x.shape[dim])
    if step == 1:
        out._cnnlib_slice_of = x, dim, start
    if out.shape[dim] == x.shape[dim]:
        return axes_of(x)
    return _sliced(axes_of(x), dim, start, out.shape[dim], step)


def _sliced(axes: Axes, dim: int, start: int, length: int, step: int = 1) -> Axes:
    """``length`` units of one axis, from ``start`` on."""
    found, entry = list(axes), axes[dim]
    if type(entry) is Packed:
        (_, outer), *inner = entry.parts
        block = prod(n for n, _ in inner)
        if step == 1 and start % block == 0 and length % block == 0:
            outer = outer and through(outer, 1, 1, -start // block)
            found[dim] = Packed(((length // block, outer), *inner))
        else:
            found[dim] = LOST
    elif entry:
        found[dim] = through(entry, 1, step, -start)
    return tuple(found)


def split(args: Sequence, outs: Sequence[Tensor]) -> list[Axes]:
    """Of each piece of a tensor that is cut along an axis."""
    x, dim = args[0], (args[2] if len(args) > 2 else 0)
    axes, start, found = axes_of(x), 0, []
    for out in outs:
        found.append(_sliced(axes, dim % x.ndim, start, out.shape[dim]) if any(axes) else axes)
        start += out.shape[dim]
    return found


def unbind(args: Sequence, outs: Sequence[Tensor]) -> list[Axes]:
    """Of each unit of an axis."""
    x, dim = args[0], (args[1] if len(args) > 1 else 0)
    return [_picked(axes_of(x), dim % x.ndim, i) for i in range(len(outs))]


def _range(index: Tensor) -> tuple[int, int] | None:
    """First and step of indices that are an arithmetic progression, where they are known."""
    return getattr(index, "_cnnlib_range", None)


def _taken(axes: Axes, dim: int, index: Tensor, length: int) -> Axes:
    """Units of one axis, picked by a list of indices."""
    found, steps = list(axes), _range(index)
    if axes[dim] and not (depends(index) and any(axes_of(index))) and steps and steps[1] > 0:
        return _sliced(axes, dim, steps[0], length, steps[1])
    if axes[dim] or any(axes_of(index)):
        found[dim] = LOST
    return tuple(found)


def index(args: Sequence, out: Tensor) -> Axes:
    """Picking along one axis leaves the others in place: ``x[:, [0, 2]]``; so does picking channels in any form."""
    x, picks = args[0], {i: pick for i, pick in enumerate(args[1]) if pick is not None}
    axes, (first, pick) = axes_of(x), next(iter(picks.items()))
    if len(picks) == 1 and pick.ndim == 1 and pick.dtype is not torch.bool:
        return _taken(axes, first, pick, out.shape[first])
    if any(pick.dtype is torch.bool or any(axes_of(pick)) or axes[i] for i, pick in picks.items()):
        return lost([x, *picks.values()], out)
    left = [entry for i, entry in enumerate(axes) if i not in picks]
    at = first if [*picks] == [*range(first, first + len(picks))] else 0
    new = out.ndim - len(left)
    return (*left[:at], *(None,) * new, *left[at:])


def index_select(args: Sequence, out: Tensor) -> Axes:
    """Units of one axis."""
    x, dim, index = args[:3]
    return _taken(axes_of(x), dim % x.ndim, index, out.shape[dim])


def gather(args: Sequence, out: Tensor) -> Axes:
    """Units of one axis, others at each place."""
    x, dim, index = args[:3]
    axes = list(merged([(axes_of(t), out.shape) for t in (x, index) if depends(t)], out.ndim))
    dim %= out.ndim
    if axes[dim]:
        axes[dim] = LOST
    fits = all(n == m or i == dim for i, (n, m) in enumerate(zip(x.shape, out.shape, strict=True)))
    return tuple(axes) if fits else lost(args, out)


def ordered(at: int) -> Callable[[Sequence, Tensor], Axes]:
    """Sorting along an axis mixes all of it; the last if none is named."""
    return lambda args, out: along(at)([*args, *[-1] * (at + 1 - len(args))], out)


def cat(args: Sequence, out: Tensor) -> Axes:
    """Side by side along one axis; the others are joined.

    Along an axis of the image, the longest piece says where the whole lies, as short ones are its border.
    """
    parts, dim = args[0], (args[1] if len(args) > 1 else 0) % out.ndim
    states, entries, start = [], [], 0
    for x in parts:
        if x.ndim != out.ndim:  # an empty one of old
            continue
        if depends(x):
            axes = x._cnnlib_axes
            if type(axes[dim]) is Packed:
                without = mixed(axes, x.shape, {dim})
                axes = tuple(without) if any(without) else axes
            entries.append((x.shape[dim], through(place(axes[dim]), 1, pad=start) if axes[dim] else None))
            states.append(((*axes[:dim], None, *axes[dim + 1 :]), (*x.shape[:dim], 1, *x.shape[dim + 1 :])))
        start += x.shape[dim]
    axes = list(merged(states, out.ndim))
    if any(entry for _, entry in entries):
        entries.sort(key=lambda part: -part[0])
        length, axes[dim] = entries[0]
        if any(entry != axes[dim] and 2 * n > length for n, entry in entries) or not axes[dim]:
            axes[dim] = LOST
    return tuple(axes)


def roll(args: Sequence, out: Tensor) -> Axes:
    """Units move along; those that come round from the far side are left out as borders are."""
    x, shifts, dims = (*args, [])[:3]
    axes = list(axes_of(x))
    if not dims:
        return lost(args, out)
    for shift, dim in zip(shifts, dims, strict=True):
        shift %= x.shape[dim]
        shift -= x.shape[dim] if 2 * shift > x.shape[dim] else 0
        axes[dim] = axes[dim] and shift and through(place(axes[dim]), 1, pad=shift) or axes[dim]
    return tuple(axes)


def flip(args: Sequence, out: Tensor) -> Axes:
    """Units in the other order."""
    gone = {d % out.ndim for d in args[1]}
    return tuple(LOST if e and i in gone else e for i, e in enumerate(axes_of(args[0])))


def pad(args: Sequence, out: Tensor) -> Axes:
    """More units, or fewer, at both ends."""
    axes = list(axes_of(args[0]))
    for i, before in enumerate(args[1][::2], 1):
        entry = axes[-i]
        if entry and out.shape[-i] != args[0].shape[-i]:
            axes[-i] = through(place(entry), 1, pad=before)
    return tuple(axes)


def overwritten(args: Sequence, out: Tensor) -> Axes:
    """Some units are replaced: it is not known which."""
    axes = joined([t for t in args if isinstance(t, Tensor)], out.ndim)
    return axes if depends(args[0]) and axes == axes_of(args[0]) else tuple(LOST if e else e for e in axes)


def mark_range(args: Sequence, out: Tensor) -> None:
    """Remembers the numbers of ``torch.arange``, for the axis that they may pick from."""
    start, _, step = {1: (0, *args, 1), 2: (*args, 1)}.get(len(args), args[:3])
    if isinstance(start, int) and isinstance(step, int):
        out._cnnlib_range = start, step
