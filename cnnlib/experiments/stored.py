"""Stored experiments, drawn and judged: ``show(name)``, ``verdict(name)``, ``check(name)``."""

from __future__ import annotations

import json

from torch import Tensor

from cnnlib import figures, resources
from cnnlib.experiments.checks import Weakness, compared, weaknesses
from cnnlib.experiments.comparison import Comparison
from cnnlib.experiments.record import load_answers
from cnnlib.experiments.registry import named
from cnnlib.experiments.runner import FIRST, SECOND


def load(name: str, second: bool = False) -> dict:
    """A stored experiment, as it stands in data/runs/NAME.json; ``ValueError`` if it is not there.

    ``second``: made once more, with other seeds and a search of its own: data/runs/second/NAME.json.
    """
    named(name)
    path = resources.folder() / "runs" / (SECOND if second else FIRST).folder / f"{name}.json"
    if not path.is_file():
        how = f"cnnlib run {name}" + " --second" * second
        raise ValueError(f"{path.name} is not in {path.parent}: make it with `{how}`")
    return json.loads(path.read_text(encoding="utf-8"))


def answers(name: str, second: bool = False) -> dict[str, Tensor]:
    """What the trained networks of an experiment with ``views`` put out for the test images, "side/view" -> logits.

    Each is (seeds, N, classes), the largest logit of an image set to 0; from data/runs/NAME.npz, or of the ``second``
    making from data/runs/second/NAME.npz.
    """
    named(name)
    path = resources.folder() / "runs" / (SECOND if second else FIRST).folder / f"{name}.npz"
    if not path.is_file():
        how = f"cnnlib run {name}" + " --second" * second
        raise ValueError(f"{path.name} is not in {path.parent}: make it with `{how}`")
    return load_answers(path)


def sides(stored: dict) -> dict[str, list[dict]]:
    """The runs of each side."""
    names = dict.fromkeys(run["net"] for run in stored["runs"])
    return {name: [run for run in stored["runs"] if run["net"] == name] for name in names}


def verdict(name: str, second: bool = False) -> list[Comparison]:
    """What the stored runs of an experiment show: a comparison for each of its pairs."""
    return judged(name, load(name, second))


def judged(name: str, stored: dict) -> list[Comparison]:
    """What a record of an experiment shows, wherever it was read from."""
    return compared(sides(stored), named(name))


def check(name: str, second: bool = False) -> list[Weakness]:
    """What is weak about the stored runs of an experiment, in plain words, by the rules of the course's protocol."""
    return weaknesses(load(name, second), named(name))


def show(name: str):
    """The stored curves of an experiment, thin lines single runs, thick lines their mean; returns the Axes."""
    metric, stored = named(name).metric, load(name)
    whole = [run for run in stored["runs"] if run["rows"]]
    groups = {
        side: [[metric.curve(row) for row in run["rows"]] for run in whole if run["net"] == side]
        for side in sides(stored)
    }
    lengths = {len(run["rows"]) for run in whole}
    x = [row["epoch"] for row in whole[0]["rows"]] if len(lengths) == 1 else ()
    return figures.training_curves(groups, metric.ylabel, x=x)


def _bars(found: list[Comparison]) -> list[figures.Interval]:
    return [figures.Interval(f"{c.a} minus {c.b}", c.difference, c.low, c.high, c.differences) for c in found]


def intervals(*names: str):
    """All comparisons of some experiments of one metric, drawn with their intervals and seeds; returns the Axes.

    Below each stands the same comparison with other seeds and a search of its own, where it was made.
    """
    metric = named(names[0]).metric
    first = [found for name in names for found in verdict(name)]
    made = all((resources.folder() / "runs" / SECOND.folder / f"{name}.json").is_file() for name in names)
    second = [found for name in names for found in verdict(name, second=True)] if made else []
    return figures.intervals(_bars(first), _bars(second), f"difference in {metric.name} ({metric.unit})")
