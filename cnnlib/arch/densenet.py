"""DenseNet: every layer reads all maps made before it.

Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks. 2016.
https://arxiv.org/abs/1608.06993
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlib.arch.entry import IMAGENET, Entry
from cnnlib.layers import chain, conv


class DenseLayer(nn.Module):
    """y = [x, F(x)]: ``growth`` new maps behind the old ones, by way of a 1 x 1 bottleneck (sec. 3, DenseNet-B).

    (N, C, H, W) -> (N, C + growth, H, W).
    """

    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(c_in), conv(c_in, 4 * growth, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv(4 * growth, growth, 3)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, rectify, convolve, twice; keep what came in."""
        y = self.conv1(self.act(self.norm1(x)))
        return torch.cat([x, self.conv2(self.act(self.norm2(y)))], 1)


def transition(c_in: int) -> nn.Sequential:
    """Half of the channels and half of the side (sec. 3, compression 0.5)."""
    return chain(
        norm=nn.BatchNorm2d(c_in),
        relu=nn.ReLU(inplace=True),
        conv=conv(c_in, c_in // 2, 1),
        pool=nn.AvgPool2d(2, 2),
    )


class Plan(NamedTuple):
    """One column of Table 1."""

    growth: int
    depths: tuple[int, ...]  # dense layers in each block
    stem: int = 64


PLANS = {
    "densenet121": Plan(32, (6, 12, 24, 16)),
    "densenet161": Plan(48, (6, 12, 36, 24), stem=96),
    "densenet169": Plan(32, (6, 12, 32, 32)),
    "densenet201": Plan(32, (6, 12, 48, 32)),
}


def densenet(plan: Plan, num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits. Keys of the state dict are torchvision's."""
    layers = dict(
        conv0=nn.Conv2d(in_channels, plan.stem, 7, 2, 3, bias=False), norm0=nn.BatchNorm2d(plan.stem),
        relu0=nn.ReLU(inplace=True), pool0=nn.MaxPool2d(3, 2, 1),
    )  # fmt: skip
    width = plan.stem
    for i, depth in enumerate(plan.depths, 1):
        block = {f"denselayer{j + 1}": DenseLayer(width + j * plan.growth, plan.growth) for j in range(depth)}
        layers[f"denseblock{i}"], width = chain(**block), width + depth * plan.growth
        if i < len(plan.depths):
            layers[f"transition{i}"], width = transition(width), width // 2
    layers[f"norm{len(plan.depths) + 1}"] = nn.BatchNorm2d(width)
    net = chain(
        features=chain(**layers), relu=nn.ReLU(inplace=True), avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
        classifier=nn.Linear(width, num_classes),
    )  # fmt: skip
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    nn.init.zeros_(net.classifier.bias)
    return net


NETWORKS = {name: Entry(partial(densenet, plan), IMAGENET) for name, plan in PLANS.items()}
