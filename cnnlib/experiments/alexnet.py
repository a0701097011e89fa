"""What AlexNet owes to its choices."""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib.experiments.comparison import EPOCHS_TO_25
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.hand_made import HOG
from cnnlib.experiments.starts import suited
from cnnlib.images import Augment, crop, fashion_mnist, flip
from cnnlib.models import alexnet
from cnnlib.training import Recipe


def _alexnet(*augment: Augment, **choices: object) -> Side:
    """AlexNet's choices, one changed; without response normalisation unless asked for, as it triples the time."""
    return Side(partial(suited, alexnet.small, **{"lrn": False, **choices}), augment)


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
