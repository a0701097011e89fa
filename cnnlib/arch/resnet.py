"""ResNet, its plain twins, and the two families that are rows of the same table: Wide ResNet-50 and ResNeXt.

He, Zhang, Ren, Sun: Deep residual learning for image recognition. 2015. https://arxiv.org/abs/1512.03385
Zagoruyko, Komodakis: Wide residual networks. 2016. https://arxiv.org/abs/1605.07146
Xie, Girshick, Dollár, Tu, He: Aggregated residual transformations. 2016. https://arxiv.org/abs/1611.05431
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from cnnlib.arch.entry import CIFAR, IMAGENET, Entry
from cnnlib.layers import Layers, Residual, ZeroPad, chain, conv

Branch = Callable[[int, int, int], Layers]  # (c_in, c_out, stride) -> F
Shortcut = Callable[[int, int, int], nn.Module]  # (c_in, c_out, stride) -> another path than x itself


def basic(c_in: int, c_out: int, stride: int) -> Layers:
    """Two 3 x 3 convolutions (Fig. 5, left)."""
    return dict(
        conv1=conv(c_in, c_out, 3, stride), bn1=nn.BatchNorm2d(c_out), relu1=nn.ReLU(inplace=True),
        conv2=conv(c_out, c_out, 3), bn2=nn.BatchNorm2d(c_out),
    )  # fmt: skip


def bottleneck(
    c_in: int, c_out: int, stride: int, *, ratio: int = 4, groups: int = 1, stride_first: bool = False
) -> Layers:
    """1 x 1 down to ``c_out / ratio`` channels, 3 x 3 there, 1 x 1 up again (Fig. 5, right).

    The paper strides in its first 1 x 1, which skips three of four pixels; torchvision and the ResNeXt paper
    stride in the 3 x 3 ("v1.5").
    """
    width = c_out // ratio
    first, second = (stride, 1) if stride_first else (1, stride)
    return dict(
        conv1=conv(c_in, width, 1, first), bn1=nn.BatchNorm2d(width), relu1=nn.ReLU(inplace=True),
        conv2=conv(width, width, 3, second, groups), bn2=nn.BatchNorm2d(width), relu2=nn.ReLU(inplace=True),
        conv3=conv(width, c_out, 1), bn3=nn.BatchNorm2d(c_out),
    )  # fmt: skip


def project(c_in: int, c_out: int, stride: int) -> nn.Sequential:
    """Option B: a 1 x 1 convolution where the shape changes."""
    return nn.Sequential(conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


def plain(branch: Branch) -> Callable[[int, int, int], nn.Module]:
    """A block without its shortcut: the twin that the paper compares with."""
    return lambda c_in, c_out, stride: nn.Sequential(
        *branch(c_in, c_out, stride).values(), nn.ReLU(inplace=True)
    )


def residual(branch: Branch, shortcut: Shortcut = project) -> Callable[[int, int, int], nn.Module]:
    """A block with a shortcut: x itself where the shape stays, ``shortcut`` where it changes."""
    return lambda c_in, c_out, stride: Residual(
        branch(c_in, c_out, stride), None if (c_in, stride) == (c_out, 1) else shortcut(c_in, c_out, stride)
    )


@dataclass(frozen=True)
class Plan:
    """One column of Table 1: blocks in each stage, channels behind each stage."""

    block: Callable[[int, int, int], nn.Module]
    depths: tuple[int, ...]
    widths: tuple[int, ...]

    def stages(self, c_in: int) -> Layers:
        """``layer1``, ``layer2``, …: the first block of each but the first halves the map."""
        out = {}
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), 1):
            blocks = [self.block(c_in, width, 2 if i > 1 else 1)]
            blocks += [self.block(width, width, 1) for _ in range(depth - 1)]
            out[f"layer{i}"], c_in = nn.Sequential(*blocks), width
        return out


def _started(net: nn.Module) -> nn.Module:
    """Convolutions normal with variance 2 / fan-out (He et al. 2015, the companion paper, eq. 14)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net


def imagenet(plan: Plan, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits. Keys of the state dict are torchvision's."""
    return _started(
        chain(
            conv1=nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False), bn1=nn.BatchNorm2d(64),
            relu=nn.ReLU(inplace=True), maxpool=nn.MaxPool2d(3, 2, 1),
            **plan.stages(64),
            avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
            fc=nn.Linear(plan.widths[-1], num_classes),
        )
    )  # fmt: skip


def cifar(plan: Plan, num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """The form for small images (sec. 4.2): (N, in_channels, H, W) -> (N, num_classes) logits; 32 pixels a side."""
    stem = plan.widths[0]
    return _started(
        chain(
            conv1=conv(in_channels, stem, 3), bn1=nn.BatchNorm2d(stem), relu=nn.ReLU(inplace=True),
            **plan.stages(stem),
            avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
            fc=nn.Linear(plan.widths[-1], num_classes),
        )
    )  # fmt: skip


NARROW, BROAD = (64, 128, 256, 512), (256, 512, 1024, 2048)
SMALL, THIN = (16, 32, 64), (8, 16, 32)
DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

PLANS = {
    **{f"resnet{n}": Plan(residual(basic), DEPTHS[n], NARROW) for n in (18, 34)},
    **{f"resnet{n}": Plan(residual(bottleneck), DEPTHS[n], BROAD) for n in (50, 101, 152)},
    **{
        f"resnet{n}_v1": Plan(residual(partial(bottleneck, stride_first=True)), DEPTHS[n], BROAD)
        for n in (50, 101, 152)
    },
    **{f"plain{n}": Plan(plain(basic), DEPTHS[n], NARROW) for n in (18, 34)},
    "wide_resnet50_2": Plan(residual(partial(bottleneck, ratio=2)), DEPTHS[50], BROAD),
    "wide_resnet101_2": Plan(residual(partial(bottleneck, ratio=2)), DEPTHS[101], BROAD),
    "resnext50_32x4d": Plan(residual(partial(bottleneck, ratio=2, groups=32)), DEPTHS[50], BROAD),
    "resnext101_32x4d": Plan(residual(partial(bottleneck, ratio=2, groups=32)), DEPTHS[101], BROAD),
    "resnext101_32x8d": Plan(residual(partial(bottleneck, ratio=1, groups=32)), DEPTHS[101], BROAD),
    "resnext101_64x4d": Plan(residual(partial(bottleneck, ratio=1, groups=64)), DEPTHS[101], BROAD),
}
_OPTION_A = Plan(residual(basic, ZeroPad), (3, 3, 3), SMALL)
_PLAIN = Plan(plain(basic), (3, 3, 3), SMALL)
# Depth 6 n + 2: a stem, three stages of n blocks with two convolutions each, a linear layer.
CIFAR_PLANS = {
    **{f"resnet{6 * n + 2}_cifar": replace(_OPTION_A, depths=(n, n, n)) for n in (3, 5, 7, 9, 18, 200)},
    **{f"plain{6 * n + 2}_cifar": replace(_PLAIN, depths=(n, n, n)) for n in (3, 5, 7, 9, 18)},
}
THIN_PLANS = {  # for the degradation experiment, which chapters train
    f"{name}{6 * n + 2}_w8": replace(plan, depths=(n, n, n), widths=THIN)
    for name, plan in (("resnet", _OPTION_A), ("plain", _PLAIN))
    for n in (3, 9)
}

NETWORKS = {
    **{name: Entry(partial(imagenet, plan), IMAGENET) for name, plan in PLANS.items()},
    **{name: Entry(partial(cifar, plan), CIFAR) for name, plan in CIFAR_PLANS.items()},
    **{name: Entry(partial(cifar, plan), CIFAR) for name, plan in THIN_PLANS.items()},
}
