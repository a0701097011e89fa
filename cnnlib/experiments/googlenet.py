"""What a 1 x 1 layer drops, and what windows of several sizes bring."""

from __future__ import annotations

from functools import partial
from itertools import combinations

from torch import nn

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import fashion_mnist
from cnnlib.models import conv_bn_relu, googlenet
from cnnlib.training import Recipe


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
