"""The course's experiments, as data: which networks, on what images, by which recipe, judged by what."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import partial

from cnnlib.experiments import alexnet, ensembles, googlenet, league, lenet, nin, resnet, vgg, zfnet
from cnnlib.experiments.experiment import Experiment
from cnnlib.experiments.search import VALIDATION

# Training images of the sets of which a part is shipped, less those that choose the rate.
WHOLE = {"mnist": 60_000 - VALIDATION, "fashion_mnist": 60_000 - VALIDATION}

EXPERIMENTS: dict[str, Experiment] = {
    name: experiment
    for chapter in (lenet, alexnet, zfnet, vgg, nin, googlenet, resnet, ensembles, league)
    for name, experiment in chapter.EXPERIMENTS.items()
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
