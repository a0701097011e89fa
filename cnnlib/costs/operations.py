"""What each PyTorch operation costs, and where it looks: one rule an operation.

``RULES`` maps an ATen operation to a :class:`Rule`. Operations that only move or make numbers stand in
``MOVEMENT_RULES``. Whatever is in neither is reported by :func:`cnnlib.trace` as unsupported, never counted as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor

from cnnlib.costs import indexing, receptive_field, reshaping
from cnnlib.costs.places import Axes, axes_of, joined

aten = torch.ops.aten
Look = Callable[[Sequence, Tensor], Axes]


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
        return Work(*map(add, self, other))


class Rule(NamedTuple):
    """``work(args, out)`` of one call, and ``axes(args, out)``, what its output sees (None: as its inputs)."""

    work: Callable[[Sequence, Tensor], Work]
    axes: Look | None = None
    layer: bool = False  # a convolution or linear layer, whose outputs count as activations


def _conv(args: Sequence, out: Tensor) -> Work:
    x, weight, bias, _, _, _, transposed = args[:7]
    if 0 in out.shape[2:] and x.numel():  # PyTorch 2.5 says nothing where there are no numbers
        raise ValueError("the window is larger than the padded map")
    per = prod(weight.shape[1:])
    return Work((x if transposed else out).numel() * per, 0 if bias is None else out.numel())


def _pool(args: Sequence, out: Tensor) -> Work:
    return Work(pool=out.numel() * prod(receptive_field.pool_settings(args)[0]))


def _adaptive(args: Sequence, out: Tensor) -> Work:
    """Windows of an adaptive pool reach from floor(i n / m) to ceil((i + 1) n / m)."""
    x, sizes = args[0], args[1]
    reads = 1
    for n, m in zip(x.shape[-len(sizes) :], out.shape[-len(sizes) :], strict=True):
        reads *= sum(-(-(i + 1) * n // m) - i * n // m for i in range(m))
    return Work(pool=reads * prod(out.shape[: -len(sizes)]))


def _matrix(i: int) -> Callable[[Sequence, Tensor], Work]:
    """Product of argument ``i`` and the next; an argument before ``i`` is added as bias."""
    return lambda args, out: Work(macs=out.numel() * args[i].shape[-1], bias=out.numel() if i else 0)


def _summed_batch(args: Sequence, out: Tensor) -> Work:
    """A product a batch, added up: args[1] (B, R, K) times args[2] (B, K, C) is (R, C)."""
    return Work(macs=args[1].numel() * args[2].shape[-1], bias=out.numel())


def _reads(args: Sequence, out: Tensor) -> Work:
    return Work(elementwise=args[0].numel())


def _mean(args: Sequence, out: Tensor) -> Work:
    """PyTorch runs adaptive pooling to one pixel as a mean over the last axes, named from the end and kept."""
    dims, keep = (*args[1:3], None, None)[:2]
    pooled = keep and isinstance(dims, list | tuple) and list(dims[:2]) == [-1, -2]
    return Work(pool=args[0].numel()) if pooled else _reads(args, out)


def _bag(args: Sequence, out: Tensor) -> Work:
    """A sum, mean or maximum over bags of rows: every row that is looked up is read once."""
    return Work(elementwise=args[1].numel() * out.shape[-1])


def _count(kind: str) -> Callable[[Sequence, Tensor], Work]:
    before = (0,) * Work._fields.index(kind)
    return lambda args, out: Work(*before, out.numel())


def _table(*groups: tuple[str, Rule | Look]) -> dict:
    """The rule of each ATen operation called so, and of its in-place form; a release may lack some."""
    rules = {name + suffix: rule for names, rule in groups for name in names.split() for suffix in ("", "_")}
    return {getattr(aten, name): rule for name, rule in rules.items() if hasattr(aten, name)}


_NONE = Rule(lambda args, out: Work())

RULES = _table(
    ("convolution _convolution convolution_overrideable", Rule(_conv, receptive_field.convolved, layer=True)),
    ("mm", Rule(_matrix(0), receptive_field.product(0), layer=True)),
    ("addmm", Rule(_matrix(1), receptive_field.product(1), layer=True)),
    ("mv dot vdot", Rule(_matrix(0), receptive_field.product(0), layer=True)),
    ("addmv", Rule(_matrix(1), receptive_field.product(1), layer=True)),
    ("bmm", Rule(_matrix(0), receptive_field.product(0))),
    ("baddbmm", Rule(_matrix(1), receptive_field.product(1))),
    ("addbmm", Rule(_summed_batch, receptive_field.product(1))),
    ("max_pool2d_with_indices max_pool3d_with_indices", Rule(_pool, receptive_field.max_pool)),
    ("max_pool1d max_pool2d max_pool3d", Rule(_pool, receptive_field.max_pool)),
    ("avg_pool1d avg_pool2d avg_pool3d", Rule(_pool, receptive_field.avg_pool)),
    (
        """_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d""",
        Rule(_adaptive, receptive_field.adaptive_pool),
    ),
    (
        """native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit
        _native_batch_norm_legit_no_training _batch_norm_with_update _batch_norm_no_update native_layer_norm
        native_group_norm _fused_rms_norm""",
        Rule(_count("norm")),
    ),
    (
        """relu relu6 threshold hardtanh hardswish hardsigmoid sigmoid tanh silu gelu elu celu selu leaky_relu
        softplus mish log_sigmoid_forward _prelu_kernel prelu hardshrink
        softshrink rrelu_with_noise""",
        Rule(_count("activation")),
    ),
    ("_softmax _safe_softmax _log_softmax", Rule(_count("activation"), receptive_field.along(1))),
    ("glu", Rule(_count("activation"), receptive_field.along(1))),
    (
        """add sub rsub mul div neg pow square sqrt rsqrt exp log log1p expm1 abs sin cos erf reciprocal clamp
        clamp_min clamp_max maximum minimum where lerp addcmul addcdiv floor_divide remainder sign floor ceil round
        fmod atan2 sgn""",
        Rule(_count("elementwise")),
    ),
    ("cumsum cumprod", Rule(_count("elementwise"), receptive_field.along(1))),
    (
        """sum prod amax amin max min var std var_mean std_mean logsumexp argmax argmin any all""",
        Rule(_reads, receptive_field.reduced),
    ),
    ("linalg_vector_norm norm", Rule(_reads, receptive_field.normed)),
    ("mean", Rule(_mean, receptive_field.reduced)),
    ("native_dropout bernoulli", _NONE),
    (
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d",
        _NONE._replace(axes=receptive_field.nearest),
    ),
    (
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d",
        _NONE._replace(axes=receptive_field.nearest_exact),
    ),
    (
        "upsample_linear1d upsample_bilinear2d upsample_trilinear3d _upsample_bilinear2d_aa",
        Rule(_count("elementwise"), receptive_field.interpolated(1)),
    ),
    (
        "upsample_bicubic2d _upsample_bicubic2d_aa",
        Rule(_count("elementwise"), receptive_field.interpolated(2)),
    ),
    ("pixel_shuffle", _NONE._replace(axes=receptive_field.shuffled)),
    ("pixel_unshuffle", _NONE._replace(axes=receptive_field.unshuffled)),
    (
        "grid_sampler_2d grid_sampler_3d col2im _weight_norm_interface",
        Rule(_count("elementwise"), receptive_field.lost),
    ),
    ("_embedding_bag", Rule(_bag, receptive_field.lost)),
)


# Operations that move numbers without arithmetic, and how each carries along what its tensor sees.


def each_piece(args: Sequence, out: Tensor) -> Axes:
    """Stands for the rules in ``SPLITS``, which look at all outputs."""
    return axes_of(args[0])


def _same(args: Sequence, out: Tensor) -> Axes:
    return axes_of(args[0])


def _channels(args: Sequence, out: Tensor) -> Axes:
    return receptive_field.lost(args, out) if axes_of(args[0])[1] else axes_of(args[0])


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
    ("tril triu as_strided nonzero diagonal", receptive_field.lost),
)
