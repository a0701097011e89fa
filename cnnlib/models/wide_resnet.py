"""Wide ResNets: fewer blocks with more channels.

Zagoruyko, Komodakis: Wide residual networks. 2016. https://arxiv.org/abs/1605.07146
"""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib.models import preact
from cnnlib.models.layers import Layers, blocks_per_stage
from cnnlib.models.network import CIFAR, DIGIT, IMAGENET, Entry
from cnnlib.models.resnet import BROAD, DEPTHS, Block, Plan, bottleneck, imagenet, residual


def block(dropout: float = 0.0) -> Block:
    """The pre-activation block with dropout between its two convolutions (Fig. 1d)."""

    def branch(c_in: int, c_out: int, stride: int) -> Layers:
        layers = preact.basic(c_in, c_out, stride)
        last = layers.pop("conv2")
        drop = dict(dropout=nn.Dropout(dropout)) if dropout else {}
        return layers | drop | dict(conv2=last)

    return preact.preactivated(branch)


def wide_resnet(
    depth: int, k: int, num_classes: int = 10, in_channels: int = 3, *, dropout: float = 0.0
) -> nn.Sequential:
    """WRN-``depth``-``k`` (Table 1): (N, in_channels, 32, 32) -> (N, num_classes) logits.

    ``depth`` is 6n + 4: a stem, 6n convolutions, and the three projections, which this paper counts. The
    paper drops with probability 0.3 on CIFAR, 0.4 on SVHN.
    """
    n = blocks_per_stage(depth, 6, 4)
    if k < 1 or k != int(k):
        raise ValueError(f"k={k}: need a whole widening factor of at least 1, which is the width of a ResNet")
    plan = Plan(block(dropout), (n, n, n), (16 * k, 32 * k, 64 * k), stem=16)
    return preact.cifar(plan, num_classes, in_channels)


def small(num_classes: int = 10, in_channels: int = 1, *, dropout: float = 0.0) -> nn.Sequential:
    """``preresnet_small`` with one block a stage and 1.75 times its width: (N, in_channels, 28, 28) -> logits."""
    plan = Plan(block(dropout), (1, 1, 1, 1), (14, 28, 56, 112), stem=14)
    return preact.cifar(plan, num_classes, in_channels)


_SIZES = ((16, 4), (16, 8), (22, 8), (28, 10), (28, 12), (40, 1), (40, 2), (40, 4), (40, 8), (40, 10))
# The form for ImageNet widens the 3x3 of a bottleneck alone.
_BOTTLENECK = residual(partial(bottleneck, ratio=2))

NETWORKS = {
    **{f"wrn_{d}_{k}": Entry(partial(wide_resnet, d, k), CIFAR) for d, k in _SIZES},
    **{
        f"wide_resnet{n}_2": Entry(partial(imagenet, Plan(_BOTTLENECK, DEPTHS[n], BROAD)), IMAGENET)
        for n in (50, 101)
    },
    "wrn_small": Entry(small, DIGIT),
}
