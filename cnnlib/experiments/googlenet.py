"""What a 1 x 1 layer drops."""

from __future__ import annotations

from functools import partial
from itertools import combinations

from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.images import fashion_mnist
from cnnlib.models import googlenet
from cnnlib.training import Recipe

EXPERIMENTS = {
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
