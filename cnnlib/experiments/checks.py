"""What is weak about a stored experiment, in plain words: its search, its budget, its seeds, its sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from inspect import signature
from statistics import mean
from typing import NamedTuple

from cnnlib.experiments import search
from cnnlib.experiments.comparison import Comparison, Metric, compare
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.training import describe

NEEDED = (
    "data",
    "recipe",
    "instructions",
    "processor",
    "code",
    "versions",
    "date",
    "start",
    "search",
    "failed",
)
FLAT = 0.5  # points (or tenths of an epoch's reading) that the last fifth of a run may still bring
IN_SCALE = (0.05, 20.0)  # spread of what a layer puts out before training
ALIKE = 4.0  # times that the last layers of two sides may differ in spread


class Weakness(NamedTuple):
    """``kind`` names the rule of the protocol; ``text`` says what is the matter."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def rising(runs: Iterable[Mapping], metric: Metric) -> bool:
    """Does the mean curve of these runs still move in its last fifth?"""
    curves = [[metric.curve(row) for row in run["rows"]] for run in runs if run["rows"]]
    if not curves:
        return False
    end = min(map(len, curves))
    if end < 2:
        return True
    before = min(end - 2, round(0.8 * end) - 1)
    gain = mean(curve[end - 1] for curve in curves) - mean(curve[before] for curve in curves)
    return (gain if metric.more_is_better or metric.on_test else -gain) > FLAT


def _settings(side: Side) -> dict[str, object]:
    """What a side is made of, one entry for each thing that can be changed alone."""
    found: dict[str, object] = {"augmentation": describe(side.augment)}
    build = side.build
    while isinstance(build, partial):
        given = dict(signature(build.func).bind_partial(*build.args, **build.keywords).arguments)
        build = given.pop("build", build.func)  # of ``suited``: the network's own function
        given |= given.pop("choices", {})  # and what it hands on to that
        found |= {name: describe(value) for name, value in given.items()}
    return found | {"network": describe(build)}


def differ(a: Side, b: Side) -> tuple[str, ...]:
    """The names of the things in which two sides differ."""
    one, two = _settings(a), _settings(b)
    return tuple(name for name in {**one, **two} if one.get(name) != two.get(name))


def compared(runs: Mapping[str, Sequence[dict]], experiment: Experiment) -> list[Comparison]:
    """A comparison for each pair: it says the budget if curves still rise, and in what sides differ if not in one."""
    epochs, metric, found = experiment.epochs(), experiment.metric, []
    for a, b in experiment.pairs:
        budget = max(epochs[a], epochs[b]) if rising(runs[a], metric) or rising(runs[b], metric) else None
        things = differ(experiment.sides[a], experiment.sides[b])
        found.append(compare(runs[a], runs[b], metric, budget, things if len(things) > 1 else ()))
    return found


def _of_search(record: Mapping, experiment: Experiment) -> Iterable[Weakness]:
    if record["data"].get("validation", 0) < search.VALIDATION:
        yield Weakness("validation", f"rates were chosen on fewer than {search.VALIDATION} images held out")
    for side in experiment.sides:
        tried = search.values(record["search"], side)
        fewest = min((len(got) for got in tried.values()), default=0)
        if fewest < search.SEEDS:
            yield Weakness("search seeds", f"{side} was searched by {fewest} seeds, need {search.SEEDS}")
            continue
        choice = search.choose(tried, experiment.metric.more_is_better)
        if record["rates"][side] != choice.rate:
            yield Weakness(
                "rate", f"{side} trained at {record['rates'][side]:g}, the search says {choice.rate:g}"
            )
        lower, upper = search.at_edge(choice, tuple(tried))
        if lower or upper:
            end = "lowest" if lower else "highest"
            yield Weakness("edge", f"{side} did best at the {end} rate tried, {choice.best:g}")
        if len(choice.tied) > 1:
            among = ", ".join(f"{rate:g}" for rate in choice.tied)
            yield Weakness("tie", f"{side} did as well at {among}; {choice.rate:g} was taken")
    grids = {tuple(search.values(record["search"], side)) for side in experiment.sides}
    if len(grids) > 1:
        yield Weakness("trials", "the sides were not tried at the same rates")


def _of_runs(record: Mapping, experiment: Experiment) -> Iterable[Weakness]:
    by_side = {side: [run for run in record["runs"] if run["net"] == side] for side in experiment.sides}
    for side, runs in by_side.items():
        broken = [run["seed"] for run in runs if run.get("failed")]
        need = 10 if record.get("failed") else 5
        if len(runs) < need:
            yield Weakness(
                "seeds", f"{side} has {len(runs)} runs, need {need}" + " as runs failed" * (need > 5)
            )
        if broken:
            yield Weakness("failed", f"{side} failed with {len(broken)} of {len(runs)} seeds: {broken}")
        if rising(runs, experiment.metric):
            yield Weakness(
                "budget", f"the curves of {side} still move at the end: the verdict holds for this budget"
            )
    for found in compared(by_side, experiment):
        if found.differ:
            things = ", ".join(found.differ)
            yield Weakness("sides", f"{found.a} and {found.b} differ in more than one thing: {things}")
        for leave in range(found.seeds):
            fewer = [[run for i, run in enumerate(by_side[s]) if i != leave] for s in (found.a, found.b)]
            if found.seeds > 5 and compare(*fewer, experiment.metric).word != found.word:
                seed = by_side[found.a][leave]["seed"]
                yield Weakness(
                    "one seed", f"without seed {seed} the verdict on {found.a} and {found.b} is another"
                )


def _of_starts(record: Mapping, experiment: Experiment) -> Iterable[Weakness]:
    starts = record.get("start", {})
    low, high = IN_SCALE
    for side, spreads in starts.items():
        if spreads and not low <= min(spreads) <= max(spreads) <= high:
            yield Weakness(
                "start", f"signals of {side} spread by {min(spreads):g} to {max(spreads):g} before training"
            )
    for a, b in experiment.pairs:
        last = [starts[side][-2:][0] for side in (a, b) if starts.get(side)]
        if len(last) == 2 and max(last) > ALIKE * min(last):
            yield Weakness(
                "start", f"{a} and {b} start with last maps that spread by {last[0]:g} and {last[1]:g}"
            )


def weaknesses(record: Mapping, experiment: Experiment) -> list[Weakness]:
    """All that is weak about a record of an experiment; see ``Weakness``."""
    lacking = [key for key in NEEDED if key not in record]
    found = [Weakness("record", f"it does not say its {key}") for key in lacking]
    if "digest" not in record["data"]:
        found.append(Weakness("record", "it does not say which images it saw"))
    return [
        *found,
        *_of_search(record, experiment),
        *_of_runs(record, experiment),
        *_of_starts(record, experiment),
    ]
