"""Operations that move numbers without arithmetic, and how each carries along what its tensor sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from cnnlib.costs import indexing, reshaping
from cnnlib.costs.operations import packets
from cnnlib.costs.places import Axes, axes_of, joined
from cnnlib.costs.receptive_field import lost


def each_piece(args: Sequence, out: Tensor) -> Axes:
    """Stands for the rules in ``SPLITS``, which look at all outputs."""
    return axes_of(args[0])


def _same(args: Sequence, out: Tensor) -> Axes:
    return axes_of(args[0])


def _channels(args: Sequence, out: Tensor) -> Axes:
    return lost(args, out) if axes_of(args[0])[1] else axes_of(args[0])


def _stack(args: Sequence, out: Tensor) -> Axes:
    dim = (args[1] if len(args) > 1 else 0) % out.ndim
    axes = joined(args[0], out.ndim - 1)
    return (*axes[:dim], None, *axes[dim:])


def _masked(args: Sequence, out: Tensor) -> Axes:
    return joined([t for t in args if isinstance(t, Tensor)], out.ndim)


def _looked_up(args: Sequence, out: Tensor) -> Axes:
    return (*axes_of(args[1]), None)


def _new(args: Sequence, out: Tensor) -> Axes:
    """Only the shape was asked for."""
    return ()


def _table(*groups: tuple[str, Callable[[Sequence, Tensor], Axes]]) -> dict:
    return {packet: axes for names, axes in groups for packet in packets(names)}


SPLITS = _table(
    ("split split_with_sizes chunk unsafe_split unsafe_chunk", indexing.split), ("unbind", indexing.unbind)
)
MOVEMENT_RULES = _table(
    ("view _unsafe_view reshape _reshape_alias view_copy flatten", reshaping.view),
    ("permute", reshaping.permute),
    ("transpose t numpy_T", reshaping.transpose),
    ("unsqueeze", reshaping.unsqueeze),
    ("squeeze", reshaping.squeeze),
    ("select", indexing.select),
    ("slice", indexing.slice_),
    ("copy", indexing.copy_),
    (
        """constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
        replication_pad3d""",
        indexing.pad,
    ),
    ("expand", reshaping.expand),
    ("repeat", reshaping.repeat),
    ("cat", indexing.cat),
    ("stack", _stack),
    ("index", indexing.index),
    ("index_select", indexing.index_select),
    ("gather", indexing.gather),
    ("sort", indexing.ordered(1)),
    ("topk", indexing.ordered(2)),
    ("roll", indexing.roll),
    ("flip", indexing.flip),
    ("unfold", reshaping.unfold),
    ("im2col", reshaping.im2col),
    ("embedding", _looked_up),
    ("split split_with_sizes chunk unsafe_split unsafe_chunk unbind", each_piece),
    ("clone contiguous alias detach lift_fresh _to_copy dropout resolve_conj fill zero", _same),
    ("channel_shuffle native_channel_shuffle", _channels),
    ("masked_fill eq ne lt gt le ge logical_not logical_and logical_or bitwise_not", _masked),
    ("scatter index_put slice_scatter select_scatter", indexing.overwritten),
    (
        """empty_like new_empty zeros_like new_zeros ones_like new_ones full_like new_full rand_like randn_like
        new_empty_strided uniform normal random""",
        _new,
    ),
    ("tril triu as_strided nonzero diagonal", lost),
)
