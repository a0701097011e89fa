"""Experiments of the chapters on ResNet (depth and shortcuts) and on ensembles (networks and looks)."""

from __future__ import annotations

from functools import partial
from itertools import combinations

from torch import nn

from cnnlib import models
from cnnlib.experiments.experiment import TRAINING_ERROR, Experiment, Side
from cnnlib.images import crop, fashion_14, fashion_mnist, flip
from cnnlib.models import Layers, chain, conv, without_norm
from cnnlib.models import googlenet as inception
from cnnlib.models import resnet as residual
from cnnlib.models import vgg as plain
from cnnlib.training import Recipe, ensemble, predict

# ResNet


def _bare(name: str) -> nn.Module:
    return without_norm(models.build(name))


def _narrow(depth: int) -> nn.Module:
    """Widths 4-8-16, so narrow that a shallow network cannot fit the images in ten passes."""
    block = residual.residual(residual.basic, residual.option_a)
    return residual.cifar(residual.three_stages(depth, block, width=4), num_classes=10, in_channels=1)


def _fourteen(shortcut: residual.Shortcut) -> nn.Module:
    return residual.thin(14, residual.residual(residual.basic, shortcut))


# Ensembles: many networks, or many looks, for one answer


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
    "resnet-degradation": Experiment(
        "The same blocks, 20 layers or 56, with shortcuts and without: does depth help or hurt the training error?",
        fashion_14,
        1500,
        {
            **{f"plain {n}": Side(partial(models.build, f"plain{n}_w8")) for n in (20, 56)},
            **{f"residual {n}": Side(partial(models.build, f"resnet{n}_w8")) for n in (20, 56)},
            **{f"plain {n}, no BN": Side(partial(_bare, f"plain{n}_w8")) for n in (20, 56)},
        },
        tuple((f"{kind} 56", f"{kind} 20") for kind in ("plain", "residual"))
        + tuple((f"residual {n}", f"plain {n}") for n in (20, 56))
        + tuple((f"plain {n}, no BN", f"plain {n}") for n in (20, 56)),
        Recipe(epochs=10, batch=32, decay=1e-4),
        rates=(0.01, 0.03, 0.1),
        unequal="the question is what more layers bring; both sides see the same images equally often",
        metric=TRAINING_ERROR,  # the question is whether it can be trained at all
    ),
    "resnet-depth": Experiment(
        "Residual networks so narrow that few layers cannot fit the images: do more layers fit them better?",
        fashion_14,
        4500,
        {f"residual {n}": Side(partial(_narrow, n)) for n in (8, 20, 32)},
        (("residual 20", "residual 8"), ("residual 32", "residual 20"), ("residual 32", "residual 8")),
        Recipe(epochs=10, batch=32, decay=1e-4),
        rates=(0.03, 0.1, 0.3),
        unequal="the question is what more layers bring; all sides see the same images equally often",
        metric=TRAINING_ERROR,  # as in resnet-degradation, which it continues
    ),
    "resnet-shortcuts": Experiment(
        "Where shapes differ, or everywhere: does a shortcut that learns beat one that fills up with zeros?",
        fashion_mnist,
        1500,
        {
            "A": Side(partial(_fourteen, residual.option_a)),
            "B": Side(partial(_fourteen, residual.option_b)),
            "C": Side(partial(_fourteen, residual.option_c)),
        },
        (("B", "A"), ("C", "B"), ("C", "A")),
        Recipe(epochs=6, batch=32, decay=1e-4),
        rates=(0.01, 0.03, 0.1),
        equal_macs=True,
    ),
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
