"""Stored experiments, drawn and judged: ``show(name)``, ``verdict(name)``; ``run(name)`` makes them."""

from __future__ import annotations

import json

from torch import Tensor

from cnnlib import resources
from cnnlib.experiments import logits
from cnnlib.experiments.comparison import Comparison, compare
from cnnlib.experiments.registry import EXPERIMENTS, named
from cnnlib.experiments.runner import run
from cnnlib.figures import training_curves

__all__ = ["EXPERIMENTS", "answers", "compare", "judged", "load", "run", "show", "sides", "verdict"]


# Stored runs


def load(name: str) -> dict:
    """A stored experiment, as it stands in data/runs/NAME.json; ``ValueError`` if it is not there."""
    named(name)
    path = resources.folder() / "runs" / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"{path.name} is not in {path.parent}: make it with `cnnlib run {name}`")
    return json.loads(path.read_text(encoding="utf-8"))


def answers(name: str) -> dict[str, Tensor]:
    """What the trained networks of an experiment with ``views`` put out for the test images, "side/view" -> logits.

    Each is (seeds, N, classes), the largest logit of an image set to 0; from data/runs/NAME.npz.
    """
    named(name)
    path = resources.folder() / "runs" / f"{name}.npz"
    if not path.is_file():
        raise ValueError(f"{path.name} is not in {path.parent}: make it with `cnnlib run {name}`")
    return logits.load(path)


def sides(stored: dict) -> dict[str, list[dict]]:
    """The runs of each side."""
    names = dict.fromkeys(run["net"] for run in stored["runs"])
    return {name: [run for run in stored["runs"] if run["net"] == name] for name in names}


def verdict(name: str) -> list[Comparison]:
    """What the stored runs of an experiment show: a comparison for each of its pairs."""
    return judged(name, load(name))


def judged(name: str, stored: dict) -> list[Comparison]:
    """What a record of an experiment shows, wherever it was read from."""
    runs, experiment = sides(stored), named(name)
    return [compare(runs[a], runs[b], experiment.metric) for a, b in experiment.pairs]


def show(name: str):
    """The stored curves of an experiment, thin lines single runs, thick lines their mean; returns the Axes."""
    metric = named(name).metric
    stored = sides(load(name)).items()
    groups = {side: [[metric.curve(row) for row in run["rows"]] for run in runs] for side, runs in stored}
    return training_curves(groups, metric.ylabel)
