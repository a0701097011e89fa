"""What LeNet-5 owes to its choices."""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import mnist
from cnnlib.models import lenet
from cnnlib.training import Recipe


def _lenet(act: type[nn.Module], pool: type[nn.Module]) -> Side:
    return Side(partial(lenet.small, act=act, pool=pool))


EXPERIMENTS = {
    "lenet-relu-max-vs-tanh-avg": Experiment(
        "LeNet of 1998 squashed and averaged; lectures draw it with ReLU and max-pooling. Does that change pay?",
        mnist,
        4500,
        {
            "tanh + avg": _lenet(nn.Tanh, nn.AvgPool2d),
            "tanh + max": _lenet(nn.Tanh, nn.MaxPool2d),
            "ReLU + avg": _lenet(nn.ReLU, nn.AvgPool2d),
            "ReLU + max": _lenet(nn.ReLU, nn.MaxPool2d),
        },
        (("ReLU + max", "tanh + avg"), ("ReLU + avg", "tanh + avg"), ("tanh + max", "tanh + avg")),
        Recipe(epochs=8, batch=64),
        rates=(0.03, 0.1, 0.3),
    ),
}
