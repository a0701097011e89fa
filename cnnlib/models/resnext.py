"""ResNeXt: many thin paths in place of a wide one, three ways to write them, all the same function.

Xie, Girshick, Dollár, Tu, He: Aggregated residual transformations for deep neural networks. 2016.
https://arxiv.org/abs/1611.05431
"""

from __future__ import annotations

from functools import partial
from math import sqrt

import torch
from torch import Tensor, nn

from cnnlib.models.layers import Layers, blocks_per_stage, chain, conv
from cnnlib.models.network import CIFAR, DIGIT, IMAGENET, Entry
from cnnlib.models.resnet import BROAD, DEPTHS, Branch, Plan, bottleneck, cifar, imagenet, residual


def aggregated(groups: int, d: int) -> Branch:
    """Bottlenecks of ``groups`` paths, each ``d`` channels wide where the block puts out 256 (Fig. 3c).

    The width of a path doubles from stage to stage, as the channels do.
    """
    return partial(bottleneck, ratio=256 / (groups * d), groups=groups)


def path_width(groups: int, width: int = 64) -> float:
    """The d that gives ``groups`` paths the weights of one bottleneck of ``width`` channels (Table 2).

    Between 4 ``width`` channels, a bottleneck has 17 width^2 weights, and the paths have groups (9 d^2 + 8 width
    d). So d is the positive root of 9 G d^2 + 8 G W d - 17 W^2 = 0; a network takes a whole number near it.
    """
    if groups < 1 or width < 1:
        raise ValueError(f"groups={groups}, width={width}: need whole numbers of at least 1")
    return width * (sqrt(16 * groups**2 + 153 * groups) - 4 * groups) / (9 * groups)


def _path(c_in: int, d: int, stride: int) -> Layers:
    return dict(
        conv1=conv(c_in, d, 1), bn1=nn.BatchNorm2d(d), relu1=nn.ReLU(inplace=True),
        conv2=conv(d, d, 3, stride), bn2=nn.BatchNorm2d(d), relu2=nn.ReLU(inplace=True),
    )  # fmt: skip


class Summed(nn.Module):
    """Fig. 3a: each path is a whole bottleneck of its own, and the paths are added.

    (N, c_in, H, W) -> (N, c_out, H / stride, W / stride).
    """

    def __init__(self, c_in: int, c_out: int, stride: int, groups: int, d: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            chain(**_path(c_in, d, stride), conv3=conv(d, c_out, 1)) for _ in range(groups)
        )
        self.bn3 = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of all paths."""
        return self.bn3(sum(path(x) for path in self.paths))


class Concatenated(nn.Module):
    """Fig. 3b: the paths meet side by side before the last 1 x 1, as in Inception-ResNet.

    (N, c_in, H, W) -> (N, c_out, H / stride, W / stride).
    """

    def __init__(self, c_in: int, c_out: int, stride: int, groups: int, d: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(chain(**_path(c_in, d, stride)) for _ in range(groups))
        self.conv3, self.bn3 = conv(groups * d, c_out, 1), nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """One 1 x 1 convolution over all paths."""
        return self.bn3(self.conv3(torch.cat([path(x) for path in self.paths], 1)))


def resnext_cifar(
    depth: int, groups: int, d: int, num_classes: int = 10, in_channels: int = 3
) -> nn.Sequential:
    """The form for 32 pixels (sec. 5.3): three stages of n bottlenecks; ``depth`` is 9n + 2."""
    n = blocks_per_stage(depth, 9, 2)
    plan = Plan(residual(aggregated(groups, d)), (n, n, n), BROAD[:3])
    return cifar(plan, num_classes, in_channels)


def small(num_classes: int = 10, in_channels: int = 1, *, groups: int = 8) -> nn.Sequential:
    """Eight paths in each of eight blocks, 0.25 M parameters: (N, in_channels, 28, 28) -> logits.

    Another number of ``groups`` keeps the channels and changes the parameters.
    """
    block = residual(partial(bottleneck, ratio=2, groups=groups))
    return cifar(Plan(block, (2, 2, 2, 2), (32, 64, 128, 256), stem=16), num_classes, in_channels)


def _plan(depth: int, groups: int, d: int) -> Plan:
    return Plan(residual(aggregated(groups, d)), DEPTHS[depth], BROAD)


_SIZES = ((50, 32, 4), (101, 32, 4), (101, 32, 8), (101, 64, 4))
NETWORKS = {
    **{f"resnext{n}_{g}x{d}d": Entry(partial(imagenet, _plan(n, g, d)), IMAGENET) for n, g, d in _SIZES},
    **{f"resnext29_{g}x64d": Entry(partial(resnext_cifar, 29, g, 64), CIFAR) for g in (8, 16)},
    "resnext_small": Entry(small, DIGIT),
}
