"""Many networks, or many looks, for one answer."""

from __future__ import annotations

from functools import partial
from itertools import combinations

from torch import nn

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import crop, fashion_mnist, flip
from cnnlib.models import Layers, chain, conv
from cnnlib.models import googlenet as inception
from cnnlib.models import resnet as residual
from cnnlib.models import vgg as plain
from cnnlib.training import Recipe, ensemble, predict


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
    stem = dict(conv1=conv(1, 6, 3), bn1=nn.BatchNorm2d(6), relu=nn.ReLU())
    return _headed(stem | blocks, 26, 7)


EXPERIMENTS = {
    "ensembles-members": Experiment(
        "Copies of one network from other starts, or networks of several kinds: which average is the better one?",
        fashion_mnist,
        1000,
        {"VGG": Side(vgg), "GoogLeNet": Side(googlenet), "ResNet": Side(resnet)},
        tuple(combinations(("VGG", "GoogLeNet", "ResNet"), 2)),
        Recipe(epochs=5, batch=32),
        rates=(0.01, 0.03, 0.1),
        views={"plain": predict},
    ),
    "ensembles-views": Experiment(
        "Looking several times with one network: does it help, and must the network have been trained for it?",
        fashion_mnist,
        1000,
        {"as they are": Side(vgg), "flipped and shifted": Side(vgg, (flip, crop(2)))},
        (("flipped and shifted", "as they are"),),
        Recipe(epochs=5, batch=32),
        rates=(0.01, 0.03, 0.1),
        views={
            "once": predict,
            "mirrored": partial(ensemble.average_views, views=ensemble.mirrored()),
            "ten crops": partial(ensemble.average_views, views=ensemble.ten_crops(2)),
            "three sizes": partial(ensemble.average_views, views=ensemble.sizes(24, 28, 32)),
        },
    ),
}
