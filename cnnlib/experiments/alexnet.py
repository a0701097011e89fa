"""What AlexNet owes to its choices, and what features made by hand are worth beside it."""

from __future__ import annotations

from functools import partial
from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.experiments.comparison import EPOCHS_TO_25
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.starts import suited
from cnnlib.images import Augment, crop, fashion_mnist, flip
from cnnlib.models import alexnet
from cnnlib.training import Recipe


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


EXPERIMENTS = {
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
}
