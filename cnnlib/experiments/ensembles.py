"""Many networks, or many looks, for one answer."""

from __future__ import annotations

from functools import partial
from itertools import combinations

from cnnlib import datasets, ensemble, tiny
from cnnlib.augment import crop, flip
from cnnlib.experiment import Experiment, Side
from cnnlib.train import Recipe, predict

EXPERIMENTS = {
    "ensembles-members": Experiment(
        "Copies of one network from other starts, or networks of several kinds: which average is the better one?",
        datasets.fashion_mnist,
        1000,
        {"VGG": Side(tiny.vgg), "GoogLeNet": Side(tiny.googlenet), "ResNet": Side(tiny.resnet)},
        tuple(combinations(("VGG", "GoogLeNet", "ResNet"), 2)),
        Recipe(epochs=5, batch=32),
        rates=(0.03, 0.1),
        views={"plain": predict},
    ),
    "ensembles-views": Experiment(
        "Looking several times with one network: does it help, and must the network have been trained for it?",
        datasets.fashion_mnist,
        1000,
        {"as they are": Side(tiny.vgg), "flipped and shifted": Side(tiny.vgg, (flip, crop(2)))},
        (("flipped and shifted", "as they are"),),
        Recipe(epochs=5, batch=32),
        rates=(0.03, 0.1),
        views={
            "once": predict,
            "mirrored": partial(ensemble.looked, views=ensemble.mirrored()),
            "ten crops": partial(ensemble.looked, views=ensemble.ten_crops(2)),
            "three sizes": partial(ensemble.looked, views=ensemble.sizes(24, 28, 32)),
        },
    ),
}
