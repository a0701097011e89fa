"""The search for each side's learning rate: which was best, and whether the grid reaches far enough.

All sides are tried at the same rates, by the same number of seeds, on images that neither train nor judge. The grid
grows until no side does best at its edge (the advice of Godbole and others, Deep learning tuning playbook, 2023); a
side that got more trials than another would have an advantage (Dodge and others 2019, arXiv:1909.03004).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

LADDER = tuple(float(f"{digit}e{power}") for power in range(-7, 6) for digit in (1, 3))  # half decades
SEEDS = 3
VALIDATION = 500  # images: the last ones of the training part
FURTHEST = 4  # steps that the grid may grow to one side

Values = Mapping[float, Sequence[float | None]]  # peak rate -> what each seed reached, None if it diverged


@dataclass(frozen=True)
class Choice:
    """What the search says of one side. ``tied``: the rates within one standard error of the best."""

    rate: float
    best: float
    tied: tuple[float, ...]


def values(search: Iterable[Mapping], side: str) -> dict[float, list[float | None]]:
    """Entries of a record's search, ``{net, peak, seed, value}``, of one side by rate, lowest rate first."""
    found: dict[float, list[float | None]] = {}
    for entry in sorted((e for e in search if e["net"] == side), key=lambda e: (e["peak"], e["seed"])):
        found.setdefault(entry["peak"], []).append(entry["value"])
    return found


def choose(tried: Values, more_is_better: bool = True) -> Choice:
    """The rate for a side: of those within one standard error of the best mean, the middle one.

    The standard error is that of a mean over the seeds, by the median spread of all rates. A rate at which a seed
    diverged is out. Of an even number of tied rates the one nearer to the best is taken, then the lower one.
    Raises ``ValueError`` if seeds diverged at every rate.
    """
    sign = 1 if more_is_better else -1
    score = {rate: sign * mean(got) for rate, got in tried.items() if None not in got}
    if not score:
        raise ValueError(f"seeds diverged at each of the rates {', '.join(f'{rate:g}' for rate in tried)}")
    best = max(score, key=score.__getitem__)
    spread = [stdev(tried[rate]) for rate in score if len(tried[rate]) > 1]
    error = median(spread) / len(tried[best]) ** 0.5 if spread else 0.0
    tied = sorted(rate for rate in score if score[rate] >= score[best] - error)
    half = ((len(tied) - 1) // 2, len(tied) // 2)
    rate = min((tied[i] for i in half), key=lambda r: (abs(tied.index(r) - tied.index(best)), r))
    return Choice(rate, best, tuple(tied))


def at_edge(choice: Choice, grid: Sequence[float]) -> tuple[bool, bool]:
    """Does the best rate, or the one chosen, lie at the lower or at the upper end of what was tried?"""
    ends = min(grid), max(grid)
    return tuple(end in (choice.best, choice.rate) for end in ends)


def grown(grid: Sequence[float], choices: Iterable[Choice], first: Sequence[float]) -> tuple[float, ...]:
    """The grid, one step of the ladder further on each side at which a choice lies.

    ``first``: the grid that the search began with; it grows by at most ``FURTHEST`` steps to a side.
    """
    edges = [at_edge(choice, grid) for choice in choices]
    steps = sorted(grid)
    low, high = LADDER.index(steps[0]), LADDER.index(steps[-1])
    if any(lower for lower, _ in edges) and LADDER.index(min(first)) - low < FURTHEST:
        steps.insert(0, LADDER[low - 1])
    if any(upper for _, upper in edges) and high - LADDER.index(max(first)) < FURTHEST:
        steps.append(LADDER[high + 1])
    return tuple(steps)
