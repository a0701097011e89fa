"""The smallest networks of three kinds that still learn clothes: ensembles take dozens of them.

Each takes grey images of any size, (N, 1, H, W) -> (N, 10) logits, and was made for 28 pixels; there the MACs of
the three agree within 5 per cent.
"""

from __future__ import annotations

from torch import nn

from cnnlib.arch import googlenet as inception
from cnnlib.arch import resnet as residual
from cnnlib.arch import vgg as plain
from cnnlib.layers import Layers, chain


def _headed(body: Layers, width: int, side: int) -> nn.Sequential:
    pool, fc = nn.AdaptiveAvgPool2d(side), nn.Linear(width * side * side, 10)
    return chain(**body, avgpool=pool, flatten=nn.Flatten(), fc=fc)


def vgg() -> nn.Sequential:
    """Three convolutions with batch normalisation, each with its pool."""
    return _headed(dict(features=plain.stages((1, 1, 1), (14, 28, 56), 1, norm=True)), 56, 3)


def googlenet() -> nn.Sequential:
    """A stem and two inception blocks."""
    rows = {"3": {"a": inception.Row(16, 14, 18, 4, 8, 8)}, "4": {"a": inception.Row(24, 24, 40, 8, 16, 16)}}
    blocks, width = inception.stages(rows, 18, inception.PUBLIC)
    stem = inception.PUBLIC.conv(1, 18, 3, pad=1)
    return _headed(dict(conv1=stem, maxpool2=nn.MaxPool2d(3, 2, ceil_mode=True), **blocks), width, 7)


def resnet() -> nn.Sequential:
    """A stem and three residual blocks."""
    block = residual.residual(residual.basic, residual.option_a)
    blocks = residual.Plan(block, (1, 1, 1), (6, 13, 26), stem=6).stages()
    stem = dict(conv1=residual.conv(1, 6, 3), bn1=nn.BatchNorm2d(6), relu=nn.ReLU())
    return _headed(stem | blocks, 26, 7)
