"""Network in Network: a small network slides over the image, and a global mean takes the linear layers' place.

Lin, Chen, Yan: Network in network. 2013. https://arxiv.org/abs/1312.4400
The ImageNet form has the widths of the authors' model for Caffe; the paper prints none.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from cnnlib.models.init import fan_in_normal
from cnnlib.models.layers import Layers, chain
from cnnlib.models.network import CIFAR, DIGIT, Entry


class Mlp(NamedTuple):
    """One mlpconv layer: a window, and the units of the two layers of perceptrons after it."""

    kernel: int
    width: int
    hidden: int
    out: int | None  # None: one a class
    stride: int = 1
    pad: int = 0
    dropout: bool = False  # after its pool


IMAGENET_TABLE = (
    Mlp(11, 96, 96, 96, stride=4),
    Mlp(5, 256, 256, 256, pad=2),
    Mlp(3, 384, 384, 384, pad=1, dropout=True),
    Mlp(3, 1024, 1024, None, pad=1),
)
CIFAR_TABLE = (
    Mlp(5, 192, 160, 96, pad=2, dropout=True),
    Mlp(5, 192, 192, 192, pad=2, dropout=True),
    Mlp(3, 192, 192, None, pad=1),
)
SMALL_TABLE = (
    Mlp(5, 48, 40, 32, pad=2, dropout=True),
    Mlp(5, 96, 96, 96, pad=2, dropout=True),
    Mlp(3, 128, 128, None, pad=1),
)


def mlpconv(c_in: int, row: Mlp, out: int) -> nn.Sequential:
    """The same perceptron with two hidden layers at every place (sec. 3.1): 1 x 1 convolutions after a window.

    (N, c_in, H, W) -> (N, out, H', W').
    """
    return chain(
        conv=nn.Conv2d(c_in, row.width, row.kernel, row.stride, row.pad), relu1=nn.ReLU(inplace=True),
        cccp1=nn.Conv2d(row.width, row.hidden, 1), relu2=nn.ReLU(inplace=True),
        cccp2=nn.Conv2d(row.hidden, out, 1), relu3=nn.ReLU(inplace=True),
    )  # fmt: skip


def nin(table: tuple[Mlp, ...], num_classes: int, in_channels: int = 3) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, num_classes) logits: each is the mean of one map (sec. 3.2).

    Pools are 3 wide, move by 2 and round up, as in Caffe. Weights start normal with variance 2 / fan-in (He et
    al. 2015): the paper set those of each layer by hand and prints none.
    """
    layers: Layers = {}
    for i, row in enumerate(table, 1):
        out = row.out or num_classes
        layers[f"mlpconv{i}"] = mlpconv(in_channels, row, out)
        if i < len(table):
            layers[f"pool{i}"] = nn.MaxPool2d(3, 2, ceil_mode=True)
        if row.dropout:
            layers[f"dropout{i}"] = nn.Dropout()
        in_channels = out
    return fan_in_normal(chain(**layers, avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


def imagenet(num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """Four mlpconv layers, 7.6 M parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 39."""
    return nin(IMAGENET_TABLE, num_classes, in_channels)


def cifar(num_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """Three mlpconv layers, 0.97 M parameters: (N, in_channels, H, W) -> (N, num_classes) logits (Fig. 2)."""
    return nin(CIFAR_TABLE, num_classes, in_channels)


def small(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """The plan of ``nin_cifar`` at 28 pixels, 0.23 M parameters: (N, in_channels, 28, 28) -> (N, num_classes)."""
    return nin(SMALL_TABLE, num_classes, in_channels)


NETWORKS = {
    "nin": Entry(imagenet, (3, 227, 227), 39),
    "nin_cifar": Entry(cifar, CIFAR, 4),
    "nin_small": Entry(small, DIGIT, 4),
}
