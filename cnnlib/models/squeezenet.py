"""SqueezeNet: AlexNet's accuracy in a fiftieth of its parameters.

Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer: SqueezeNet. 2016. https://arxiv.org/abs/1602.07360
Version 1.1, with 2.4 times less arithmetic, is the authors' own: https://github.com/forresti/SqueezeNet
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlib.models.layers import chain
from cnnlib.models.network import DIGIT, IMAGENET, Entry


class Fire(nn.Module):
    """Squeeze to few channels, then expand by 1 x 1 and by 3 x 3 side by side (sec. 3.2).

    (N, c_in, H, W) -> (N, 2 * expand, H, W).
    """

    def __init__(self, c_in: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(c_in, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze, expand twice, concatenate."""
        x = self.act(self.squeeze(x))
        return self.act(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class Bypass(nn.Module):
    """y = fire(x) + shortcut(x) (sec. 6, Fig. 2). (N, c_in, H, W) -> (N, 2 * expand, H, W)."""

    def __init__(self, fire: Fire, shortcut: nn.Module) -> None:
        super().__init__()
        self.fire, self.shortcut = fire, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths; nothing is rectified behind it."""
        return self.fire(x) + self.shortcut(x)


def simple_bypass(c_in: int, squeeze: int, expand: int) -> nn.Module:
    """x itself goes past each fire module that keeps the number of channels, which is every second one."""
    fire = Fire(c_in, squeeze, expand)
    return Bypass(fire, nn.Identity()) if c_in == 2 * expand else fire


def complex_bypass(c_in: int, squeeze: int, expand: int) -> Bypass:
    """Where the number of channels changes, a 1 x 1 convolution goes past as well."""
    shortcut = nn.Identity() if c_in == 2 * expand else nn.Conv2d(c_in, 2 * expand, 1)
    return Bypass(Fire(c_in, squeeze, expand), shortcut)


# Table 1: channels of the squeeze and of each expand in fire2 to fire9.
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


class Plan(NamedTuple):
    """A stem, and where the pools stand among the eight fire modules."""

    kernel: int  # of the first convolution
    width: int  # of the first convolution
    pools: tuple[int, ...]  # a pool stands in front of these fire modules, counted from 2 as in the paper
    fires: tuple[tuple[int, int], ...] = FIRES
    fire: Callable[[int, int, int], nn.Module] = Fire
    stride: int = 2  # of the first convolution


PLANS = {
    "squeezenet1_0": Plan(7, 96, (2, 5, 9)),
    "squeezenet1_0_simple_bypass": Plan(7, 96, (2, 5, 9), fire=simple_bypass),
    "squeezenet1_0_complex_bypass": Plan(7, 96, (2, 5, 9), fire=complex_bypass),
    "squeezenet1_1": Plan(3, 64, (2, 4, 6)),
}
SMALLEST = {7: 21, 3: 17}  # kernel of the first convolution: pixels a side that the pools need
# Half of the channels, a little wider where they squeeze, and a step of 1 at the start.
SMALL_FIRES = ((11, 32), (11, 32), (22, 64), (22, 64), (33, 96), (33, 96), (44, 128), (44, 128))
SMALL = Plan(3, 32, (2, 4), SMALL_FIRES, stride=1)


def squeezenet(plan: Plan, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits. Keys of the state dict are torchvision's.

    Pools round up, as in Caffe. The classifier is a 1 x 1 convolution and a global mean, after Network in Network.
    """
    stem = nn.Conv2d(in_channels, plan.width, plan.kernel, plan.stride)
    layers, c_in = [stem, nn.ReLU(inplace=True)], plan.width
    for number, (squeeze, expand) in enumerate(plan.fires, 2):
        if number in plan.pools:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        layers.append(plan.fire(c_in, squeeze, expand))
        c_in = 2 * expand
    head = nn.Conv2d(c_in, num_classes, 1)
    net = chain(
        features=nn.Sequential(*layers),
        classifier=nn.Sequential(nn.Dropout(), head, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)),
        flatten=nn.Flatten(),
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.normal_(head.weight, std=0.01)
    return net


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Version 1.1 at 28 pixels, 0.25 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return squeezenet(SMALL, num_classes, in_channels)


NETWORKS = {
    **{
        name: Entry(partial(squeezenet, plan), IMAGENET, SMALLEST[plan.kernel])
        for name, plan in PLANS.items()
    },
    "squeezenet_small": Entry(small, DIGIT, 6),
}
