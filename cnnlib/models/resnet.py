"""ResNet and its plain twins: a block is a named list of layers, a network a row of a table.

He, Zhang, Ren, Sun: Deep residual learning for image recognition. 2015. https://arxiv.org/abs/1512.03385
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from cnnlib.models.init import he_normal
from cnnlib.models.layers import Layers, Residual, ZeroPad, blocks_per_stage, chain, conv
from cnnlib.models.network import CIFAR, DIGIT, IMAGENET, Entry

Branch = Callable[[int, int, int], Layers]  # (c_in, c_out, stride) -> the layers of F
Shortcut = Callable[[int, int, int], nn.Module | None]  # None: x itself
Block = Callable[[int, int, int], nn.Module]


def basic(c_in: int, c_out: int, stride: int) -> Layers:
    """Two 3 x 3 convolutions (Fig. 5, left)."""
    return dict(
        conv1=conv(c_in, c_out, 3, stride), bn1=nn.BatchNorm2d(c_out), relu1=nn.ReLU(inplace=True),
        conv2=conv(c_out, c_out, 3), bn2=nn.BatchNorm2d(c_out),
    )  # fmt: skip


def bottleneck(
    c_in: int, c_out: int, stride: int, *, ratio: float = 4, groups: int = 1, stride_first: bool = False
) -> Layers:
    """1 x 1 to ``c_out / ratio`` channels, 3 x 3 there, 1 x 1 to ``c_out`` (Fig. 5, right).

    The paper strides in its first 1 x 1, which skips three of four pixels; torchvision and the ResNeXt paper
    stride in the 3 x 3 ("v1.5").
    """
    width = bottleneck_width(c_out, ratio, groups)
    first, second = (stride, 1) if stride_first else (1, stride)
    return dict(
        conv1=conv(c_in, width, 1, first), bn1=nn.BatchNorm2d(width), relu1=nn.ReLU(inplace=True),
        conv2=conv(width, width, 3, second, groups), bn2=nn.BatchNorm2d(width), relu2=nn.ReLU(inplace=True),
        conv3=conv(width, c_out, 1), bn3=nn.BatchNorm2d(c_out),
    )  # fmt: skip


def bottleneck_width(c_out: int, ratio: float, groups: int = 1) -> int:
    """Channels of the 3 x 3: a whole number that ``groups`` divides, else a ``ValueError``."""
    width = int(c_out / ratio)
    if width * ratio != c_out:
        raise ValueError(f"ratio={ratio}: {c_out} channels divided by it must be a whole number")
    if groups < 1 or width % groups:
        raise ValueError(f"groups={groups}: must divide the {width} channels of the 3x3 convolution")
    return width


def project(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """A 1 x 1 convolution from one shape to another."""
    return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


# The three shortcuts of sec. 4.1, "Identity vs. projection shortcuts".


def option_a(c_in: int, c_out: int, stride: int) -> nn.Module | None:
    """x itself, filled up with zeros where the shape changes: no parameter at all."""
    return None if (c_in, stride) == (c_out, 1) else ZeroPad(c_in, c_out, stride)


def option_b(c_in: int, c_out: int, stride: int) -> nn.Module | None:
    """x itself, projected where the shape changes."""
    return None if (c_in, stride) == (c_out, 1) else project(c_in, c_out, stride)


option_c = project  # in every block


def residual(branch: Branch, shortcut: Shortcut = option_b) -> Block:
    """Blocks with a shortcut."""
    return lambda c_in, c_out, stride: Residual(branch(c_in, c_out, stride), shortcut(c_in, c_out, stride))


def plain(branch: Branch) -> Block:
    """The same blocks without one, which the paper compares with."""
    return lambda c_in, c_out, stride: chain(**branch(c_in, c_out, stride), relu=nn.ReLU(inplace=True))


@dataclass(frozen=True)
class Plan:
    """One column of Table 1: the block, how many in each stage, channels behind each stage and the stem."""

    block: Block
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    stem: int = 64

    def stages(self) -> Layers:
        """``layer1``, ``layer2``, …: the first block of each but the first halves the map."""
        out, c_in = {}, self.stem
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            blocks = [self.block(c_in, width, 2 if i > 1 else 1)]
            blocks += [self.block(width, width, 1) for _ in range(depth - 1)]
            out[f"layer{i}"], c_in = nn.Sequential(*blocks), width
        return out

    def head(self, num_classes: int) -> Layers:
        """The mean over all places, and a linear layer."""
        fc = nn.Linear(self.widths[-1], num_classes)
        return dict(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=fc)


def imagenet(plan: Plan, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits. Keys of the state dict are torchvision's."""
    stem = dict(
        conv1=nn.Conv2d(in_channels, plan.stem, 7, 2, 3, bias=False), bn1=nn.BatchNorm2d(plan.stem),
        relu=nn.ReLU(inplace=True), maxpool=nn.MaxPool2d(3, 2, 1),
    )  # fmt: skip
    return he_normal(chain(**stem, **plan.stages(), **plan.head(num_classes)))


def cifar(plan: Plan, num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """The form for small images (sec. 4.2): (N, in_channels, H, W) -> (N, num_classes) logits."""
    stem = dict(
        conv1=conv(in_channels, plan.stem, 3), bn1=nn.BatchNorm2d(plan.stem), relu=nn.ReLU(inplace=True)
    )
    return he_normal(chain(**stem, **plan.stages(), **plan.head(num_classes)))


NARROW, BROAD = (64, 128, 256, 512), (256, 512, 1024, 2048)
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
V1 = partial(bottleneck, stride_first=True)
PLANS = {
    **{f"resnet{n}": Plan(residual(basic), DEPTHS[n], NARROW) for n in (18, 34)},
    **{f"resnet{n}": Plan(residual(bottleneck), DEPTHS[n], BROAD) for n in (50, 101, 152)},
    **{f"resnet{n}_v1": Plan(residual(V1), DEPTHS[n], BROAD) for n in (50, 101, 152)},
    **{f"plain{n}": Plan(plain(basic), DEPTHS[n], NARROW) for n in (18, 34)},
}


def three_stages(depth: int, block: Block, width: int = 16) -> Plan:
    """Sec. 4.2: a stem, three stages of n blocks with two convolutions each, a linear layer; 6n + 2 layers."""
    n = blocks_per_stage(depth, 6, 2)
    return Plan(block, (n, n, n), (width, 2 * width, 4 * width), stem=width)


def resnet_cifar(
    depth: int, num_classes: int = 10, in_channels: int = 3, *, shortcut: Shortcut = option_a
) -> nn.Sequential:
    """ResNet of 6n + 2 layers for 32 pixels; the paper takes ``option_a``, ``option_b`` and ``_c`` are others."""
    return cifar(three_stages(depth, residual(basic, shortcut)), num_classes, in_channels)


def plain_cifar(depth: int, num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """Its twin without shortcuts, equal in parameters and MACs."""
    return cifar(three_stages(depth, plain(basic)), num_classes, in_channels)


def thin(depth: int, block: Block, num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Widths 8-16-32 for the degradation experiment: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return cifar(three_stages(depth, block, width=8), num_classes, in_channels)


SMALL_DEPTHS, SMALL_WIDTHS = (2, 2, 2, 3), (8, 16, 32, 64)  # maps of 28, 14, 7 and 4 pixels a side


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Twenty layers in four stages, 0.25 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    plan = Plan(residual(basic, option_a), SMALL_DEPTHS, SMALL_WIDTHS, stem=8)
    return cifar(plan, num_classes, in_channels)


NETWORKS = {
    **{name: Entry(partial(imagenet, plan), IMAGENET) for name, plan in PLANS.items()},
    **{f"resnet{d}_cifar": Entry(partial(resnet_cifar, d), CIFAR) for d in (20, 32, 44, 56, 110, 1202)},
    **{f"plain{d}_cifar": Entry(partial(plain_cifar, d), CIFAR) for d in (20, 32, 44, 56, 110)},
    **{f"resnet{d}_w8": Entry(partial(thin, d, residual(basic, option_a)), DIGIT) for d in (20, 56)},
    **{f"plain{d}_w8": Entry(partial(thin, d, plain(basic)), DIGIT) for d in (20, 56)},
    "resnet_small": Entry(small, DIGIT),
}
