"""Experiments of the chapters on LeNet, AlexNet, ZFNet and NiN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.experiments.experiment import EPOCHS_TO_25, Experiment, Side, suited
from cnnlib.images import Augment, crop, fashion_14, fashion_mnist, flip, mnist
from cnnlib.models import alexnet, chain, lenet, nin, zfnet
from cnnlib.training import Recipe

# LeNet


def _lenet(act: type[nn.Module], pool: type[nn.Module]) -> Side:
    return Side(partial(lenet.small, act=act, pool=pool))


# AlexNet, and features made by hand beside it


def _alexnet(*augment: Augment, **choices: object) -> Side:
    """AlexNet's choices, one changed; without response normalisation unless asked for, as it triples the time."""
    return Side(partial(suited, alexnet.small, **{"lrn": False, **choices}), augment)


class HOG(nn.Module):
    """Histograms of oriented gradients, made by hand: (N, 1, H, W) -> (N, blocks x 4 cells x 9 directions).

    Dalal, Triggs: Histograms of oriented gradients for human detection. CVPR 2005.
    https://doi.org/10.1109/CVPR.2005.177

    The gradient at each pixel is a difference of its neighbours. Its length is shared between the two nearest of nine
    directions over half a turn, and added up in cells of ``cell`` x ``cell`` pixels. Each block of 2 x 2 cells is
    divided by its own length, which takes the contrast out. Nothing in here learns.
    """

    directions = 9

    def __init__(self, cell: int = 4) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """Describe each image."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        dx, dy = x[..., 1:-1, 2:] - x[..., 1:-1, :-2], x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
        place = (
            torch.atan2(dy, dx).remainder(pi) * self.directions / pi
        )  # 0 to 9; direction k stands at k + 1/2
        centres = torch.arange(self.directions, device=x.device)[:, None, None] + 0.5
        off = (place - centres).abs()
        share = (1 - torch.minimum(off, self.directions - off)).clamp(min=0)  # (N, 9, H, W)
        cells = F.avg_pool2d(share * (dx.square() + dy.square()).sqrt(), self.cell)
        blocks = F.unfold(cells, 2).unflatten(1, (self.directions, 4))  # (N, 9, 4, blocks)
        length = blocks.square().sum((1, 2), keepdim=True).add(1e-4).sqrt()
        return (blocks / length).flatten(1)


def linear_on(features: type[nn.Module], size: int) -> nn.Sequential:
    """A linear layer on features that do not learn: (N, 1, 28, 28) -> (N, 10) logits."""
    return nn.Sequential(features(), nn.Flatten(), nn.Linear(size, 10))


# NiN: small perceptrons in place of single layers, means in place of connected layers


def nin_14(*head: Callable[[], nn.Module]) -> nn.Sequential:
    """NiN of two mlpconv layers, (N, 1, 14, 14) -> (N, 10); ``head``: layers in place of the global mean."""
    rows = (nin.Mlp(5, 16, 16, 16, pad=2), nin.Mlp(3, 32, 32, None, pad=1))
    net = nin.nin(rows, 10, 1)  # a map of 7 x 7 for each class
    return nn.Sequential(*net[:-2], *(make() for make in head)) if head else net


def in_place_of_layers(perceptrons: bool) -> nn.Sequential:
    """Two windows, 5 x 5 and 3 x 3, (N, 1, 14, 14) -> (N, 10), a mean and a linear layer reading the last maps.

    Each window is followed by two 1 x 1 layers (Lin and others 2013), or stands alone and has more channels, for the
    same MACs.
    """
    widths = (16, 32) if perceptrons else (24, 36)
    rows, layers, c_in = (nin.Mlp(5, *3 * (widths[0],), pad=2), nin.Mlp(3, *3 * (widths[1],), pad=1)), {}, 1
    for i, row in enumerate(rows, 1):
        window = chain(conv=nn.Conv2d(c_in, row.width, row.kernel, 1, row.pad), relu=nn.ReLU())
        layers[f"layer{i}"] = nin.mlpconv(c_in, row, row.out) if perceptrons else window
        layers[f"pool{i}"] = nn.MaxPool2d(3, 2, ceil_mode=True) if i == 1 else nn.AdaptiveAvgPool2d(1)
        c_in = row.out
    return chain(**layers, flatten=nn.Flatten(), fc=nn.Linear(c_in, 10))


def _connected() -> nn.Module:
    return nn.Linear(490, 10)


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
    "alexnet-hand-made": Experiment(
        "Features made by hand, no features at all, or features learned from the same 1,500 images: which reads best?",
        fashion_mnist,
        1500,
        {
            "AlexNet": _alexnet(dropout=0.0),
            "HOG, linear": Side(partial(linear_on, HOG, 1296)),
            "pixels, linear": Side(partial(linear_on, nn.Identity, 784)),
        },
        (("AlexNet", "HOG, linear"), ("AlexNet", "pixels, linear"), ("HOG, linear", "pixels, linear")),
        Recipe(epochs=10, batch=32),
        rates=(0.01, 0.03, 0.1),
        unequal="a linear layer costs next to nothing; all see the same images equally often",
    ),
    "alexnet-relu-vs-tanh": Experiment(
        "Does a network with ReLUs reach 25 % training error sooner than one with tanh (Fig. 1 of the paper)?",
        fashion_mnist,
        4500,
        {
            "ReLU": _alexnet(dropout=0.0),
            "tanh": Side(partial(suited, alexnet.small, act=nn.Tanh, dropout=0.0, lrn=False)),
        },
        (("ReLU", "tanh"),),
        Recipe(epochs=4, batch=32, decay=0.0),
        rates=(0.003, 0.01, 0.03, 0.1),
        metric=EPOCHS_TO_25,
    ),
    "alexnet-choices": Experiment(
        "One change at a time: which of AlexNet's choices helps a small network on few images?",
        fashion_mnist,
        1500,  # few, so that overfitting shows
        {
            "baseline": _alexnet(),  # overlapping pools and dropout
            "touching pools": _alexnet(pool_kernel=2),
            "no dropout": _alexnet(dropout=0.0),
            "augmented": _alexnet(flip, crop(2)),
            "with LRN": _alexnet(lrn=True),
        },
        (
            ("baseline", "touching pools"),
            ("baseline", "no dropout"),
            ("augmented", "baseline"),
            ("with LRN", "baseline"),
        ),
        Recipe(epochs=10, batch=32),
        rates=(0.01, 0.03, 0.1),
    ),
    "zfnet-start": Experiment(
        "Smaller windows and steps at the start, the same maps afterwards: does ZFNet's change pay at 28 pixels?",
        fashion_mnist,
        1500,
        {
            "small and dense": Side(partial(zfnet.small, kernel=5, strides=(1, 2))),
            "large and dense": Side(partial(zfnet.small, kernel=9, strides=(1, 2))),
            "large and coarse": Side(partial(zfnet.small, kernel=9, strides=(2, 1))),
        },
        (
            ("small and dense", "large and dense"),
            ("large and dense", "large and coarse"),
            ("small and dense", "large and coarse"),
        ),
        Recipe(epochs=10, batch=32),
        rates=(0.01, 0.03, 0.1),
        unequal="a larger window costs more and a longer step less; all see the same images equally often",
    ),
    "nin-mlpconv": Experiment(
        "A small perceptron after each window, or one wider layer for the same arithmetic: which learns more?",
        fashion_14,
        1500,
        {
            "mlpconv": Side(partial(suited, in_place_of_layers, perceptrons=True)),
            "plain, wider": Side(partial(suited, in_place_of_layers, perceptrons=False)),
        },
        (("mlpconv", "plain, wider"),),
        Recipe(epochs=30, batch=32),
        rates=(0.01, 0.03, 0.1),
    ),
    "nin-heads": Experiment(
        "The same maps, read by their means or by a fully connected layer: which head overfits less?",
        fashion_14,
        200,  # few, so that overfitting shows
        {
            "global mean": Side(partial(suited, nin_14)),
            "connected": Side(partial(suited, partial(nin_14, nn.Flatten, _connected))),
            "connected, dropout": Side(partial(suited, partial(nin_14, nn.Flatten, nn.Dropout, _connected))),
        },
        (
            ("global mean", "connected"),
            ("global mean", "connected, dropout"),
            ("connected, dropout", "connected"),
        ),
        Recipe(epochs=300, batch=20),
        rates=(0.01, 0.03, 0.1),
    ),
}
