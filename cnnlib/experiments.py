"""The course's experiments, as data: which networks, on what images, by which recipe, judged by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from itertools import combinations

import torch
from torch import nn
from torch.nn import functional as F

from cnnlib import arch, datasets, transfer
from cnnlib.arch import alexnet, googlenet, lenet, nin, vgg, zfnet
from cnnlib.augment import Augment, crop, flip
from cnnlib.cost import trace
from cnnlib.datasets import Images
from cnnlib.judge import EPOCHS_TO_25, TEST_ACCURACY, Metric
from cnnlib.schedule import Linear
from cnnlib.train import Recipe

WHOLE = {"mnist": 60_000, "fashion_mnist": 60_000}  # training images of the sets of which a part is shipped


@dataclass(frozen=True)
class Side:
    """One of the things compared."""

    build: Callable[[], nn.Module]
    augment: tuple[Augment, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """Sides trained alike: same images, epochs and batches, and for each the best of the same peak ``rates``.

    The rate rises from 0 to its peak over a fifth of the run and falls back to 0. ``pairs``: which side is
    compared with which. ``images``: how many training images are used. ``equal_macs``: the epochs of the recipe
    are those of the first side, and the others train for as many as cost the same. ``unequal``: why the sides may
    spend different arithmetic, where they do.
    """

    question: str
    data: Callable[[], tuple[Images, Images]]
    images: int
    sides: Mapping[str, Side]
    pairs: tuple[tuple[str, str], ...]
    recipe: Recipe
    rates: tuple[float, ...]
    metric: Metric = TEST_ACCURACY
    equal_macs: bool = False
    unequal: str = ""

    def epochs(self) -> dict[str, float]:
        """How long each side trains, to a hundredth of a pass over the images."""
        if not self.equal_macs:
            return dict.fromkeys(self.sides, self.recipe.epochs)
        image = self.data()[0].x.shape[1:]
        macs = {label: trace(side.build(), tuple(image)).macs for label, side in self.sides.items()}
        whole = self.recipe.epochs * next(iter(macs.values()))
        return {label: round(whole / cost, 2) for label, cost in macs.items()}


def _for(nonlinearity: str, build: Callable[..., nn.Module], **choices: object) -> nn.Module:
    """A network whose weights suit its nonlinearity (He et al. 2015): N(0, gain^2 / fan-in), biases 0.

    With torch's own start, eight layers without normalisation stay at chance for most of such short runs.
    """
    net = build(**choices)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity=nonlinearity)
            nn.init.zeros_(module.bias)
    return net


def _steady(name: str) -> nn.Module:
    """A network of the book; one that norms nothing with He's start, for the same reason."""
    net = arch.build(name)
    normed = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    return net if normed else _for("relu", lambda: net)


def _lenet(act: type[nn.Module], pool: type[nn.Module]) -> Side:
    return Side(partial(lenet.small, act=act, pool=pool))


def _alexnet(*augment: Augment, **choices: object) -> Side:
    """AlexNet's choices, one changed; without response normalisation unless asked for, as it triples the time."""
    return Side(partial(_for, "relu", alexnet.small, **{"lrn": False, **choices}), augment)


def _league() -> Experiment:
    """Every family's small network, each against an elder one that it answers."""
    elders = {
        "alexnet": "lenet", "zfnet": "alexnet", "vgg": "alexnet", "nin": "alexnet", "googlenet": "vgg",
        "resnet": "vgg", "senet": "resnet", "preresnet": "resnet", "wrn": "resnet", "resnext": "resnet",
        "fractalnet": "resnet", "densenet": "resnet", "squeezenet": "alexnet", "inception": "googlenet",
        "stochastic": "resnet",
    }  # fmt: skip
    names = [name for name in arch.list_models() if name.endswith("_small")]
    return Experiment(
        "A quarter of a million parameters and the same arithmetic for each: which network learns most from it?",
        datasets.fashion_mnist,
        5000,
        {name: Side(partial(_steady, name)) for name in names},
        tuple((f"{a}_small", f"{b}_small") for a, b in elders.items() if f"{a}_small" in names),
        # In so few steps SGD leaves networks without normalisation at chance; Adam (arXiv:1412.6980) sets them going.
        Recipe(epochs=4, batch=16, optimiser=torch.optim.Adam, channels_last=True),
        rates=(0.0005, 0.0015, 0.005),
        equal_macs=True,
    )


def _vgg_windows(question: str, **choices: object) -> Experiment:
    """Windows of 3 x 3 and of 7 x 7 that see the same; the large ones are narrower, so that the MACs agree."""

    def side(**size: object) -> Side:
        return Side(partial(_for, "relu", vgg.windows, **size, **choices))

    small = {"kernel": 3, "depth": 3, "width": 16}
    return Experiment(
        question, datasets.fashion_mnist, 2000,
        {
            "three 3x3": side(**small),
            "one 7x7": side(kernel=7, depth=1, width=12),
            "three 3x3, one ReLU": side(**small, between=nn.Identity),
        },
        (("three 3x3", "one 7x7"), ("three 3x3", "three 3x3, one ReLU"), ("three 3x3, one ReLU", "one 7x7")),
        Recipe(epochs=8, batch=32), rates=(0.01, 0.03, 0.1),
    )  # fmt: skip


def _vgg_twin(name: str, norm: bool) -> Side:
    return Side(partial(_for, "relu", vgg.twin, depths=vgg.DEPTHS[name], norm=norm))


def _vgg_features(taught: bool) -> nn.Module:
    """VGG's convolutions under a new linear layer; ``taught`` on 2,000 images of clothes, or as they started."""
    build = partial(_for, "relu", vgg.small)
    if taught:
        rate = Linear((0, 0.2, 1), (0, 0.03, 0))
        clothes = datasets.fashion_mnist()[0].take(2000)
        net = transfer.taught(build, clothes, Recipe(epochs=4, batch=32, lr=rate))
    else:
        net = build()
    return transfer.linear_probe(net.features, 64 * 3 * 3)


def _pixels() -> nn.Module:
    return transfer.linear_probe(nn.Identity(), 28 * 28)


def clothes_14() -> tuple[Images, Images]:
    """Fashion-MNIST at 14 x 14 pixels, each the mean of four: (N, 1, 14, 14)."""
    train, test = (Images(F.avg_pool2d(s.x, 2), s.y, s.classes) for s in datasets.fashion_mnist())
    return train, test


def nin_14(*head: Callable[[], nn.Module]) -> nn.Sequential:
    """NiN of two mlpconv layers, (N, 1, 14, 14) -> (N, 10); ``head``: layers in place of the global mean."""
    rows = (nin.Mlp(5, 16, 16, 16, pad=2), nin.Mlp(3, 32, 32, None, pad=1))
    net = nin.nin(rows, 10, 1)  # a map of 7 x 7 for each class
    return nn.Sequential(*net[:-2], *(make() for make in head)) if head else net


def _connected() -> nn.Module:
    return nn.Linear(490, 10)


EXPERIMENTS: dict[str, Experiment] = {
    "lenet-relu-max-vs-tanh-avg": Experiment(
        "LeNet of 1998 squashed and averaged; lectures draw it with ReLU and max-pooling. Does that change pay?",
        datasets.mnist,
        5000,
        {
            "tanh + avg": _lenet(nn.Tanh, nn.AvgPool2d),
            "tanh + max": _lenet(nn.Tanh, nn.MaxPool2d),
            "ReLU + avg": _lenet(nn.ReLU, nn.AvgPool2d),
            "ReLU + max": _lenet(nn.ReLU, nn.MaxPool2d),
        },
        (("ReLU + max", "tanh + avg"), ("ReLU + avg", "tanh + avg"), ("tanh + max", "tanh + avg")),
        Recipe(epochs=8, batch=64),
        rates=(0.02, 0.06, 0.2, 0.6),
    ),
    "alexnet-relu-vs-tanh": Experiment(
        "Does a network with ReLUs reach 25 % training error sooner than one with tanh (Fig. 1 of the paper)?",
        datasets.fashion_mnist,
        5000,
        {
            "ReLU": _alexnet(dropout=0.0),
            "tanh": Side(partial(_for, "tanh", alexnet.small, act=nn.Tanh, dropout=0.0, lrn=False)),
        },
        (("ReLU", "tanh"),),
        Recipe(epochs=4, batch=32, decay=0.0),
        rates=(0.003, 0.01, 0.03, 0.1),
        metric=EPOCHS_TO_25,
    ),
    "alexnet-choices": Experiment(
        "One change at a time: which of AlexNet's choices helps a small network on few images?",
        datasets.fashion_mnist,
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
    "league": _league(),
    "vgg-one-7x7-vs-three-3x3": _vgg_windows(
        "Three layers of 3 x 3 see what one of 7 x 7 sees. At equal arithmetic, which learns more?"
    ),
    "vgg-depth": Experiment(
        "Columns of Table 1, 11 to 19 layers, with and without batch normalisation: does depth pay at this size?",
        datasets.fashion_mnist,
        1500,
        {f"{n}{' + BN' if norm else ''}": _vgg_twin(n, norm) for norm in (False, True) for n in vgg.DEPTHS},
        (
            ("vgg19", "vgg11"),
            ("vgg19 + BN", "vgg11 + BN"),
            ("vgg11 + BN", "vgg11"),
            ("vgg19 + BN", "vgg19"),
        ),
        Recipe(epochs=8, batch=32),
        rates=(0.01, 0.03, 0.1),
        unequal="the question is what more layers bring; they cost more",
    ),
    "vgg-transfer": Experiment(
        "Features learned from clothes, frozen: do they read 500 digits better than random ones, or than pixels?",
        datasets.mnist,
        500,
        {
            "clothes features": Side(partial(_vgg_features, True)),
            "random features": Side(partial(_vgg_features, False)),
            "pixels": Side(_pixels),
        },
        tuple(combinations(("clothes features", "random features", "pixels"), 2)),
        Recipe(epochs=10, batch=32),
        rates=(0.003, 0.01, 0.03),
        unequal="the question is what features are worth, not what they cost",
    ),
    "googlenet-reduction": Experiment(
        "A 1 x 1 layer in front of the large windows drops channels. Is what it drops missed?",
        datasets.fashion_mnist,
        1500,
        {
            "reduced": Side(googlenet.twin),
            "naive, equal MACs": Side(partial(googlenet.twin, share=0.25)),
            "naive, as wide": Side(partial(googlenet.twin, share=1.0)),
        },
        tuple(combinations(("reduced", "naive, as wide", "naive, equal MACs"), 2)),
        Recipe(epochs=6, batch=32),
        rates=(0.03, 0.1, 0.3),
        unequal="one side shows what the whole width would bring; the other two are equal",
    ),
    "zfnet-start": Experiment(
        "Smaller windows and steps at the start, the same maps afterwards: does ZFNet's change pay at 28 pixels?",
        datasets.fashion_mnist,
        1500,
        {
            "small and dense": Side(zfnet.small),
            "large and coarse": Side(partial(zfnet.small, kernel=9, strides=(2, 1))),
        },
        (("small and dense", "large and coarse"),),
        Recipe(epochs=8, batch=32),
        rates=(0.01, 0.03, 0.06),
    ),
    "nin-heads": Experiment(
        "The same maps, read by their means or by a fully connected layer: which head overfits less?",
        clothes_14,
        200,  # few, so that overfitting shows
        {
            "global mean": Side(nin_14),
            "connected": Side(partial(nin_14, nn.Flatten, _connected)),
            "connected, dropout": Side(partial(nin_14, nn.Flatten, nn.Dropout, _connected)),
        },
        (
            ("global mean", "connected"),
            ("global mean", "connected, dropout"),
            ("connected, dropout", "connected"),
        ),
        Recipe(epochs=60, batch=20),
        rates=(0.02, 0.05),
    ),
}


def named(name: str) -> Experiment:
    """The experiment of this name; with ``-full`` behind it, on all images of its set."""
    short = name.removesuffix("-full")
    if short != name and short in EXPERIMENTS:
        small = EXPERIMENTS[short]
        if small.data.__name__ not in WHOLE:
            raise ValueError(f"{short} has all its images already: run it by that name")
        return replace(small, data=partial(small.data, full=True), images=WHOLE[small.data.__name__])
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = get_close_matches(name, EXPERIMENTS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(EXPERIMENTS)}"
    raise ValueError(f"no experiment is called {name!r}: {hint}")
