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

from cnnlib.costs import receptive_field
from cnnlib.costs.places import Axes

aten = torch.ops.aten


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
    axes: Callable[[Sequence, Tensor], Axes] | None = None
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


def packets(names: str) -> list:
    """The ATen operations called so, and their in-place forms; a release may lack some."""
    found = [getattr(aten, n + suffix, None) for n in names.split() for suffix in ("", "_")]
    return [packet for packet in found if packet is not None]


def _table(*groups: tuple[str, Rule]) -> dict:
    return {packet: rule for names, rule in groups for packet in packets(names)}


_NONE = Rule(lambda args, out: Work())

RULES = _table(
    ("convolution _convolution convolution_overrideable", Rule(_conv, receptive_field.conv, layer=True)),
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
