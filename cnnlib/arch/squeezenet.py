"""SqueezeNet: AlexNet's accuracy in a fiftieth of its parameters.

Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer: SqueezeNet. 2016. https://arxiv.org/abs/1602.07360
Version 1.1, with 2.4 times less arithmetic, is the authors' own: https://github.com/forresti/SqueezeNet
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlib.arch.entry import IMAGENET, Entry
from cnnlib.layers import chain


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
        return torch.cat([self.act(self.expand1x1(x)), self.act(self.expand3x3(x))], 1)


class Plan(NamedTuple):
    """A stem, and where the pools stand among the eight fire modules."""

    kernel: int  # of the first convolution, stride 2
    width: int  # of the first convolution
    pools: tuple[int, ...]  # a pool stands in front of these fire modules, counted from 2 as in the paper


FIRES = (
    (16, 64),
    (16, 64),
    (32, 128),
    (32, 128),
    (48, 192),
    (48, 192),
    (64, 256),
    (64, 256),
)  # squeeze, expand
PLANS = {"squeezenet1_0": Plan(7, 96, (2, 5, 9)), "squeezenet1_1": Plan(3, 64, (2, 4, 6))}


def squeezenet(plan: Plan, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits. Keys of the state dict are torchvision's.

    Pools round up, as in Caffe. The classifier is a 1 x 1 convolution and a global mean, after Network in Network.
    """
    layers: list[nn.Module] = [nn.Conv2d(in_channels, plan.width, plan.kernel, 2), nn.ReLU(inplace=True)]
    c_in = plan.width
    for number, (squeeze, expand) in enumerate(FIRES, 2):
        if number in plan.pools:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        layers.append(Fire(c_in, squeeze, expand))
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


NETWORKS = {name: Entry(partial(squeezenet, plan), IMAGENET) for name, plan in PLANS.items()}
