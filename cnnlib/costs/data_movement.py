"""Operations that move numbers without arithmetic, and how each carries along what its tensor sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from torch import Tensor

from cnnlib.costs.operations import packets
from cnnlib.costs.receptive_field import Axes, axes_of, joined, lost, packed, union


def _same(args: Sequence, out: Tensor) -> Axes:
    axes = axes_of(args[0])
    return axes if len(axes) == out.ndim else joined([args[0]], out.ndim)


def _view(args: Sequence, out: Tensor) -> Axes:
    """An axis keeps its place if it comes out whole: as many elements before it, and as long.

    A linear layer on (N, H, W, C) flattens to (N H W, C) and back; the flat tensor remembers what it packs.
    """
    x, spans, taken = args[0], [None] * out.ndim, 0
    shape, axes = packed(x)
    if shape and tuple(out.shape[:-1]) == shape:
        return (*axes, None)
    if out.ndim == 2 and x.ndim > 2 and out.shape[1] == x.shape[-1]:
        out._cnnlib_packed = tuple(x.shape[:-1]), axes_of(x)[:-1]
    for i, span in enumerate(axes_of(x)):
        if span is None:
            continue
        for j in range(taken, out.ndim):
            if out.shape[j] == x.shape[i] and prod(out.shape[:j]) == prod(x.shape[:i]):
                spans[j], taken = span, j + 1
                break
    return tuple(spans)


def _permute(args: Sequence, out: Tensor) -> Axes:
    return tuple(axes_of(args[0])[d] for d in args[1])


def _transpose(args: Sequence, out: Tensor) -> Axes:
    axes = list(axes_of(args[0]))
    i, j = (args[1], args[2]) if len(args) > 2 else (0, -1)
    if axes:
        axes[i], axes[j] = axes[j], axes[i]
    return tuple(axes)


def _unsqueeze(args: Sequence, out: Tensor) -> Axes:
    axes = list(axes_of(args[0]))
    axes.insert(args[1] % out.ndim, None)
    return tuple(axes)


def _squeeze(args: Sequence, out: Tensor) -> Axes:
    x = args[0]
    dims = args[1] if len(args) > 1 else range(x.ndim)
    dims = dims if isinstance(dims, list | tuple | range) else [dims]
    gone = {d % x.ndim for d in dims if x.shape[d] == 1}
    return tuple(s for i, s in enumerate(axes_of(x)) if i not in gone)


def _copy(args: Sequence, out: Tensor) -> Axes:
    """Writing into a slice also tells what the whole sees: so padding by hand is done, and the circular kind.

    An axis that is written piece by piece keeps what its first piece says, so that pixels which circular padding
    brings from the far side are left out as borders are everywhere.
    """
    axes = joined([args[1]], out.ndim)
    part, spans = args[0], axes
    while hasattr(part, "_cnnlib_slice_of"):
        whole, dim, start = part._cnnlib_slice_of
        spans = [s and s.through(1, pad=start if i == dim else 0) for i, s in enumerate(spans)]
        for i, held in enumerate(axes_of(whole)):
            if held is not None:
                spans[i] = union(held, spans[i]) if spans[i] and part.shape[i] == whole.shape[i] else held
        whole._cnnlib_axes = tuple(spans)
        part = whole
    return axes


def _select(args: Sequence, out: Tensor) -> Axes:
    x, dim = args[0], args[1] if len(args) > 1 else 0
    return tuple(s for i, s in enumerate(axes_of(x)) if i != dim % x.ndim)


def _slice(args: Sequence, out: Tensor) -> Axes:
    x = args[0]
    dim, start, _, step = (*args[1:], *(0, None, None, 1)[len(args) - 1 :])
    axes = list(axes_of(x))
    start = start or 0
    start = max(0, start + x.shape[dim]) if start < 0 else min(start, x.shape[dim])
    if axes[dim] is not None:
        axes[dim] = axes[dim].through(1, step, -start)
    elif step == 1:
        out._cnnlib_slice_of = x, dim % x.ndim, start
    return tuple(axes)


def _pad(args: Sequence, out: Tensor) -> Axes:
    axes = list(axes_of(args[0]))
    for i, before in enumerate(args[1][::2]):
        span = axes[-1 - i]
        if span is not None:
            axes[-1 - i] = span.through(1, pad=before)
    return tuple(axes)


def _expand(args: Sequence, out: Tensor) -> Axes:
    axes = joined([args[0]], out.ndim)
    shape = (0,) * (out.ndim - args[0].ndim) + tuple(args[0].shape)
    return tuple(s if n == m else None for s, n, m in zip(axes, shape, out.shape, strict=True))


def _index(args: Sequence, out: Tensor) -> Axes:
    """Picking along one axis leaves the others in place: ``x[:, [0, 2]]``."""
    axes, picks = list(axes_of(args[0])), [i for i, pick in enumerate(args[1]) if pick is not None]
    if len(picks) != 1 or args[1][picks[0]].ndim != 1 or not axes:
        return (None,) * out.ndim
    axes[picks[0]] = None
    return tuple(axes)


def _cat(args: Sequence, out: Tensor) -> Axes:
    return joined(args[0], out.ndim)


def _table(*groups: tuple[str, Callable[[Sequence, Tensor], Axes]]) -> dict:
    return {packet: axes for names, axes in groups for packet in packets(names)}


MOVEMENT_RULES = _table(
    ("view _unsafe_view reshape _reshape_alias view_copy flatten", _view),
    ("permute", _permute),
    ("transpose t numpy_T", _transpose),
    ("unsqueeze", _unsqueeze),
    ("squeeze", _squeeze),
    ("select", _select),
    ("slice", _slice),
    ("copy", _copy),
    (
        """constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
        replication_pad3d""",
        _pad,
    ),
    ("expand", _expand),
    ("cat", _cat),
    ("index", _index),
    (
        """clone contiguous alias detach lift_fresh _to_copy dropout split split_with_sizes unbind chunk
        unsafe_split unsafe_chunk resolve_conj fill zero masked_fill channel_shuffle roll flip""",
        _same,
    ),
    (
        """stack empty_like new_empty zeros_like new_zeros ones_like new_ones full_like new_full rand_like randn_like
        tril triu index_select gather scatter embedding as_strided unfold repeat im2col
        sort topk eq ne lt gt le ge logical_not logical_and logical_or bitwise_not nonzero uniform normal random
        new_empty_strided index_put slice_scatter select_scatter diagonal""",
        lost,
    ),
)
