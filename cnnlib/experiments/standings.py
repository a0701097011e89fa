"""The league as a table: every family's small network on the same budget, a row each."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

from cnnlib import models
from cnnlib.costs import trace
from cnnlib.experiments import stored as runs
from cnnlib.experiments.comparison import Comparison
from cnnlib.table import Table, size


@dataclass(frozen=True)
class Place:
    """One network of the league. Accuracies in per cent, over the seeds; time and memory of one run."""

    name: str
    params: int
    macs: int  # of one image, forward
    epochs: float  # that the budget pays for
    accuracy: float
    spread: float  # standard deviation over the seeds
    cpu_seconds: float
    step_bytes: int  # the most that a training step holds beside weights and images


def places(stored: dict | None = None) -> list[Place]:
    """The rows of the league, best first, from the ``stored`` record (default: the one that the course ships)."""
    stored = stored or runs.load("league")
    table = []
    for name, made in runs.sides(stored).items():
        cost = trace(models.build(name), (1, 28, 28))
        last = [100 * run["rows"][-1]["valid_acc"] for run in made]
        table.append(
            Place(
                name, cost.params, cost.macs, stored["sides"][name]["epochs"], round(mean(last), 2),
                round(stdev(last), 2), round(mean(run["cpu_s"] for run in made), 1), stored["step_bytes"][name],
            )
        )  # fmt: skip
    return sorted(table, key=lambda place: -place.accuracy)


def table(until: str | None = None) -> Table:
    """The league as it stands after the network ``until``, in the order of the book; without it, all of it.

    Raises ``ValueError`` if no such network plays.
    """
    stored = runs.load("league")
    names = list(stored["sides"])
    if until and until not in names:
        raise ValueError(f"until={until!r}: no such network plays; choose one of {', '.join(names)}")
    played = names[: names.index(until) + 1] if until else names
    rows = [
        (p.name, f"{p.accuracy:.1f} ± {p.spread:.1f}", p.params, p.macs, p.epochs, p.cpu_seconds,
         size(p.step_bytes))
        for p in places(stored) if p.name in played
    ]  # fmt: skip
    columns = ("network", "accuracy (%)", "params", "MACs", "epochs", "CPU s", "memory of a step")
    train, test, seeds = stored["data"]["train"], stored["data"]["test"], len(runs.sides(stored)[names[0]])
    said = f"{train:,} pictures of clothes, {test:,} to judge; one budget of MACs for all; mean ± sd of {seeds} seeds."
    return Table(columns, rows, said, sortable=True)


def verdicts(name: str | None = None) -> list[Comparison]:
    """Each network against the elder that it answers; only those of the network ``name``, if one is given."""
    return [found for found in runs.verdict("league") if name in (None, found.a)]
