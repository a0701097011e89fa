"""The league: every family's small network on the same budget, as a table of rows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

from cnnlib import arch, runs
from cnnlib.cost import trace


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
        cost = trace(arch.build(name), (1, 28, 28))
        last = [100 * run["rows"][-1]["valid_acc"] for run in made]
        table.append(
            Place(
                name, cost.params, cost.macs, stored["sides"][name]["epochs"], round(mean(last), 2),
                round(stdev(last), 2), round(mean(run["cpu_s"] for run in made), 1), stored["step_bytes"][name],
            )
        )  # fmt: skip
    return sorted(table, key=lambda place: -place.accuracy)
