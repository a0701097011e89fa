"""Depth with shortcuts and without, depth that helps, and three kinds of shortcut."""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib import models
from cnnlib.experiments.comparison import TRAINING_ERROR
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import fashion_14, fashion_mnist
from cnnlib.models import resnet, without_norm
from cnnlib.training import Recipe


def _bare(name: str) -> nn.Module:
    return without_norm(models.build(name))


def _narrow(depth: int) -> nn.Module:
    """Widths 4-8-16, so narrow that a shallow network cannot fit the images in ten passes."""
    block = resnet.residual(resnet.basic, resnet.option_a)
    return resnet.cifar(resnet.three_stages(depth, block, width=4), num_classes=10, in_channels=1)


def _fourteen(shortcut: resnet.Shortcut) -> nn.Module:
    return resnet.thin(14, resnet.residual(resnet.basic, shortcut))


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
            "A": Side(partial(_fourteen, resnet.option_a)),
            "B": Side(partial(_fourteen, resnet.option_b)),
            "C": Side(partial(_fourteen, resnet.option_c)),
        },
        (("B", "A"), ("C", "B"), ("C", "A")),
        Recipe(epochs=6, batch=32, decay=1e-4),
        rates=(0.01, 0.03, 0.1),
        equal_macs=True,
    ),
}
