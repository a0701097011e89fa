"""Experiments of the chapters on VGG and GoogLeNet: windows, depth, reduction, features in use elsewhere."""

from __future__ import annotations

from functools import partial
from itertools import combinations

from torch import nn

from cnnlib.experiments.experiment import Experiment, Side, suited
from cnnlib.images import fashion_mnist, mnist
from cnnlib.models import conv_bn_relu, googlenet, vgg
from cnnlib.training import PiecewiseLinear, Recipe, linear_probe, pretrained

# VGG


def _vgg_windows(question: str, **choices: object) -> Experiment:
    """Windows of 3 x 3 and of 7 x 7 that see the same; the large ones are narrower, so that the MACs agree."""

    def side(**size: object) -> Side:
        return Side(partial(suited, vgg.windows, **size, **choices))

    small = {"kernel": 3, "depth": 3, "width": 16}
    return Experiment(
        question, fashion_mnist, 2000,
        {
            "three 3x3": side(**small),
            "one 7x7": side(kernel=7, depth=1, width=12),
            "three 3x3, one ReLU": side(**small, between=nn.Identity),
        },
        (("three 3x3", "one 7x7"), ("three 3x3", "three 3x3, one ReLU"), ("three 3x3, one ReLU", "one 7x7")),
        Recipe(epochs=8, batch=32), rates=(0.01, 0.03, 0.1),
    )  # fmt: skip


def _vgg_twin(name: str, norm: bool) -> Side:
    return Side(partial(suited, vgg.twin, depths=vgg.DEPTHS[name], norm=norm))


def _vgg_features(taught: bool) -> nn.Module:
    """VGG's convolutions under a new linear layer; ``taught`` on 2,000 images of clothes, or as they started."""
    build = partial(suited, vgg.small)
    if taught:
        rate = PiecewiseLinear((0, 0.2, 1), (0, 0.03, 0))
        clothes = fashion_mnist()[0].head(2000)
        net = pretrained(build, clothes, Recipe(epochs=4, batch=32, lr=rate))
    else:
        net = build()
    return linear_probe(net.features, 64 * 3 * 3)


def _pixels() -> nn.Module:
    return linear_probe(nn.Identity(), 28 * 28)


# GoogLeNet


def one_size(kernel: int, reduced: tuple[int, int]) -> nn.Sequential:
    """``googlenet.twin`` with windows of one size in its two modules: (N, 1, 28, 28) -> (N, 10) logits.

    ``reduced``: what the 1 x 1 layer in front of each puts out, so that modules as wide cost the same MACs.
    """
    first, second = (
        nn.Sequential(conv_bn_relu(c_in, thin, 1), conv_bn_relu(thin, row.out, kernel, pad=kernel // 2))
        for c_in, thin, row in zip(
            (googlenet.WIDTH, googlenet.TWIN[0].out), reduced, googlenet.TWIN, strict=True
        )
    )
    return googlenet.in_twin(first, second)


EXPERIMENTS = {
    "vgg-one-7x7-vs-three-3x3": _vgg_windows(
        "Three layers of 3 x 3 see what one of 7 x 7 sees. At equal arithmetic, which learns more?"
    ),
    "vgg-7x7-vs-3x3-normalised": _vgg_windows(
        "The same with batch normalisation, so that every run trains: which learns more?", norm=True
    ),
    "vgg-depth": Experiment(
        "Columns of Table 1, 11 to 19 layers, with and without batch normalisation: does depth pay at this size?",
        fashion_mnist,
        1500,
        {f"{n}{' + BN' if norm else ''}": _vgg_twin(n, norm) for norm in (False, True) for n in vgg.DEPTHS},
        (
            ("vgg19", "vgg11"),
            ("vgg19 + BN", "vgg11 + BN"),
            ("vgg11 + BN", "vgg11"),
            ("vgg19 + BN", "vgg19"),
        ),  # fmt: skip
        Recipe(epochs=8, batch=32),
        rates=(0.003, 0.01, 0.03),
        unequal="the question is what more layers bring; they cost more",
    ),
    "vgg-transfer": Experiment(
        "Features learned from clothes, frozen: do they read 500 digits better than random ones, or than pixels?",
        mnist,
        500,
        {
            "clothes features": Side(partial(_vgg_features, True)),
            "random features": Side(partial(_vgg_features, False)),
            "pixels": Side(_pixels),
        },
        tuple(combinations(("clothes features", "random features", "pixels"), 2)),
        Recipe(epochs=10, batch=32),
        rates=(0.03, 0.1, 0.3),
        unequal="the question is what features are worth, not what they cost",
    ),
    "googlenet-windows": Experiment(
        "Windows of all sizes at once, or of one size for the same arithmetic and as many channels: which learns more?",
        fashion_mnist,
        1500,
        {
            "all sizes": Side(googlenet.twin),
            "1x1 alone": Side(partial(one_size, 1, (79, 98))),
            "3x3 alone": Side(partial(one_size, 3, (15, 17))),
            "5x5 alone": Side(partial(one_size, 5, (6, 6))),
        },
        tuple(("all sizes", f"{n}x{n} alone") for n in (1, 3, 5)),
        Recipe(epochs=6, batch=32),
        rates=(0.03, 0.1, 0.3),
    ),
    "googlenet-reduction": Experiment(
        "A 1 x 1 layer in front of the large windows drops channels. Is what it drops missed?",
        fashion_mnist,
        1500,
        {
            "reduced": Side(googlenet.twin),
            "naive, equal MACs": Side(partial(googlenet.twin, share=0.25)),
            "naive, as wide": Side(partial(googlenet.twin, share=1.0)),
            "1x1, not reduced": Side(googlenet.twin_unreduced),
        },
        (
            *combinations(("reduced", "naive, as wide", "naive, equal MACs"), 2),
            ("1x1, not reduced", "naive, as wide"),
            ("reduced", "1x1, not reduced"),
        ),
        Recipe(epochs=6, batch=32),
        rates=(0.03, 0.1, 0.3),
        unequal="two sides show what the whole width would bring; the other two are equal",
    ),
}
