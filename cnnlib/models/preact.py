"""Pre-activation ResNets: the shortcut carries x untouched from the first block to the last.

He, Zhang, Ren, Sun: Identity mappings in deep residual networks. 2016. https://arxiv.org/abs/1603.05027
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from cnnlib.models import resnet
from cnnlib.models.init import he_normal
from cnnlib.models.layers import Layers, blocks_per_stage, chain, conv
from cnnlib.models.network import CIFAR, DIGIT, IMAGENET, Entry
from cnnlib.models.resnet import BROAD, DEPTHS, SMALL_DEPTHS, SMALL_WIDTHS, Block, Branch, Plan, Shortcut


class Unit(nn.Module):
    """y = after(F(a) + shortcut), with a = pre(x). (N, C, H, W) -> the shape of both paths.

    The shortcut is x itself where the shape stays. Where it changes, it is ``shortcut``, and starts from ``a``:
    with a pre-activation, both paths read the activated input.
    """

    def __init__(self, pre: Layers, branch: Layers, after: Layers, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.pre = chain(**pre) if pre else nn.Identity()
        self.branch = chain(**branch)
        self.after = chain(**after) if after else nn.Identity()
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths."""
        a = self.pre(x)
        return self.after(self.branch(a) + (x if self.downsample is None else self.downsample(a)))


def project(c_in: int, c_out: int, stride: int) -> nn.Module | None:
    """A bare 1 x 1 convolution where the shape changes: what it reads is normalised already."""
    return None if (c_in, stride) == (c_out, 1) else conv(c_in, c_out, 1, stride)


def basic(c_in: int, c_out: int, stride: int) -> Layers:
    """Two 3 x 3 convolutions, behind a pre-activation (Fig. 4e)."""
    return dict(
        conv1=conv(c_in, c_out, 3, stride), bn2=nn.BatchNorm2d(c_out), relu2=nn.ReLU(inplace=True),
        conv2=conv(c_out, c_out, 3),
    )  # fmt: skip


def bottleneck(c_in: int, c_out: int, stride: int, *, stride_first: bool = False) -> Layers:
    """1 x 1, 3 x 3, 1 x 1, behind a pre-activation; the stride is in the 3 x 3, or in the first 1 x 1."""
    width = resnet.bottleneck_width(c_out, ratio=4)
    first, second = (stride, 1) if stride_first else (1, stride)
    return dict(
        conv1=conv(c_in, width, 1, first), bn2=nn.BatchNorm2d(width), relu2=nn.ReLU(inplace=True),
        conv2=conv(width, width, 3, second), bn3=nn.BatchNorm2d(width), relu3=nn.ReLU(inplace=True),
        conv3=conv(width, c_out, 1),
    )  # fmt: skip


def preactivated(branch: Branch, shortcut: Shortcut = project) -> Block:
    """Blocks that normalise and rectify before they convolve, and do nothing after the sum."""

    def block(c_in: int, c_out: int, stride: int) -> Unit:
        pre = dict(bn1=nn.BatchNorm2d(c_in), relu1=nn.ReLU(inplace=True))
        return Unit(pre, branch(c_in, c_out, stride), {}, shortcut(c_in, c_out, stride))

    return block


class Ordering(NamedTuple):
    """Where the same layers stand: before both paths, on the branch, after the sum."""

    pre: str
    branch: str
    after: str


# Figure 4. Only the last leaves the way from block to block free and normalises what every convolution reads.
ORDERINGS = {
    "original": Ordering("", "conv bn relu conv bn", "relu"),
    "bn_after_addition": Ordering("", "conv bn relu conv", "bn relu"),
    "relu_before_addition": Ordering("", "conv bn relu conv bn relu", ""),
    "relu_only": Ordering("relu", "conv bn relu conv bn", ""),
    "full": Ordering("bn relu", "conv bn relu conv", ""),
}


def ordered(ordering: Ordering, shortcut: Shortcut = resnet.option_a) -> Block:
    """Blocks of two 3 x 3 convolutions in one of the five orderings."""

    def block(c_in: int, c_out: int, stride: int) -> Unit:
        seen: list[str] = []

        def layer(kind: str) -> tuple[str, nn.Module]:
            first = "conv" not in seen
            seen.append(kind)
            if kind == "conv":
                made = conv(c_in, c_out, 3, stride) if first else conv(c_out, c_out, 3)
            elif kind == "bn":
                made = nn.BatchNorm2d(c_in if first else c_out)
            else:
                made = (
                    nn.ReLU()
                )  # not in place: in "relu_only" it reads x, which the shortcut needs untouched
            return f"{kind}{seen.count(kind)}", made

        pre, branch, after = (dict(layer(kind) for kind in words.split()) for words in ordering)
        return Unit(pre, branch, after, shortcut(c_in, c_out, stride))

    return block


def _head(plan: Plan, num_classes: int) -> Layers:
    last = dict(bn=nn.BatchNorm2d(plan.widths[-1]), relu=nn.ReLU(inplace=True))  # no block rectified its sum
    return last | plan.head(num_classes)


def imagenet(plan: Plan, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits; the first block normalises what the stem puts out."""
    stem = dict(conv1=nn.Conv2d(in_channels, plan.stem, 7, 2, 3, bias=False), maxpool=nn.MaxPool2d(3, 2, 1))
    return he_normal(chain(**stem, **plan.stages(), **_head(plan, num_classes)))


def cifar(plan: Plan, num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """The form for small images: (N, in_channels, H, W) -> (N, num_classes) logits."""
    stem = dict(conv1=conv(in_channels, plan.stem, 3))
    return he_normal(chain(**stem, **plan.stages(), **_head(plan, num_classes)))


def preresnet_cifar(depth: int, num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """Blocks of two convolutions, zero-padded shortcuts; ``depth`` is 6n + 2."""
    plan = resnet.three_stages(depth, preactivated(basic, resnet.option_a))
    return cifar(plan, num_classes, in_channels)


def preresnet_bottleneck_cifar(depth: int, num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """Bottlenecks of three convolutions, widths 64-128-256 behind a stem of 16; ``depth`` is 9n + 2.

    The stride is in the first 1 x 1, as in the authors' code.
    """
    n = blocks_per_stage(depth, 9, 2)
    plan = Plan(preactivated(partial(bottleneck, stride_first=True)), (n, n, n), (64, 128, 256), stem=16)
    return cifar(plan, num_classes, in_channels)


def small(
    num_classes: int = 10, in_channels: int = 1, *, ordering: Ordering = ORDERINGS["full"]
) -> nn.Sequential:
    """``resnet_small`` in one of the ``ORDERINGS``: (N, in_channels, 28, 28) -> (N, num_classes) logits.

    Stem and head are those of the pre-activation networks in all five, so that the blocks alone differ.
    """
    plan = Plan(ordered(ordering), SMALL_DEPTHS, SMALL_WIDTHS, stem=8)
    return cifar(plan, num_classes, in_channels)


_DEPTHS = DEPTHS | {200: (3, 24, 36, 3)}
NETWORKS = {
    "preresnet110_cifar": Entry(partial(preresnet_cifar, 110), CIFAR),
    **{f"preresnet{d}_cifar": Entry(partial(preresnet_bottleneck_cifar, d), CIFAR) for d in (164, 1001)},
    **{
        f"preresnet{n}": Entry(partial(imagenet, Plan(preactivated(bottleneck), _DEPTHS[n], BROAD)), IMAGENET)
        for n in (50, 101, 152, 200)
    },
    "preresnet_small": Entry(small, DIGIT),
}
