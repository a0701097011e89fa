"""The stored experiments: what is registered, by the course's protocol, and still saying what the pages say."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from cnnlib import experiments, runs
from cnnlib.experiments import job, standings
from cnnlib.experiments import record as records
from cnnlib.experiments.registry import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[2]
STORED = [path for path in sorted((ROOT / "data/runs").glob("*.json")) if path.stem in EXPERIMENTS]


# Made before the protocol: rates chosen with one seed, on fewer images. Each is made again, and leaves this list.
BEFORE = {
    "alexnet-choices", "alexnet-relu-vs-tanh", "ensembles-members", "ensembles-views", "league",
    "lenet-relu-max-vs-tanh-avg", "resnet-degradation",
}  # fmt: skip
BY_PROTOCOL = sorted(EXPERIMENTS.keys() - BEFORE)
# What breaks the protocol. The other weaknesses that are found do not: the verdict itself says them.
BROKEN = {"record", "validation", "search seeds", "rate", "edge", "trials", "seeds"}
MAKINGS = pytest.mark.parametrize("second", [False, True], ids=["first", "second"])


MODULES = [getattr(experiments, name) for name in ("experiment", "before_2014", "in_2014", "after_2014")]
OWN = [
    n
    for m in MODULES
    for n, v in vars(m).items()
    if callable(v) and getattr(v, "__module__", "") == m.__name__
]


def by_name(sides):
    """Sides of which the functions and classes of this room have no module: a function may move, its name stays."""
    text = re.sub(rf"\b\w+\.({'|'.join(OWN)})\b", r"\1", json.dumps(sides))
    return json.loads(text)


def test_no_two_builders_of_this_room_share_a_name():
    assert len(set(OWN)) == len(OWN)


def test_every_experiment_is_stored():
    assert [path.stem for path in STORED] == sorted(EXPERIMENTS) and EXPERIMENTS.keys() >= BEFORE


@pytest.mark.parametrize("name", BY_PROTOCOL)
@MAKINGS
def test_a_stored_experiment_is_the_one_that_is_registered(name, second):
    """Same sides, images and recipe, and budgets equal or a reason why not; every run is there whole."""
    record, experiment = runs.load(name, second), EXPERIMENTS[name]
    now = json.loads(json.dumps(records.header(name, experiment, torch.device("cpu"))))
    for key in ("name", "question", "data", "recipe"):
        assert now[key] == record[key]
    assert by_name(now["sides"]) == by_name(record["sides"])
    budgets = [s["budget_macs"] for s in record["sides"].values()]
    assert max(budgets) <= 1.05 * min(budgets) or experiment.unequal
    epochs = experiment.epochs()
    for side, made in runs.sides(record).items():
        whole = [run for run in made if run.get("failed") != "diverged"]
        assert all(run["rows"][-1]["epoch"] == math.ceil(epochs[side]) for run in whole)
        assert all(len(run["rows"]) == min(job.ROWS, math.ceil(epochs[side])) for run in whole)


@pytest.mark.parametrize("name", BY_PROTOCOL)
@MAKINGS
def test_a_stored_experiment_keeps_the_protocol(name, second):
    assert [str(w) for w in runs.check(name, second) if w.kind in BROKEN] == []


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_what_was_made_before_the_protocol_breaks_it(name):
    """Else it has been made again and belongs off the list."""
    assert BROKEN & {w.kind for w in runs.check(name)}


@pytest.mark.parametrize("name", BY_PROTOCOL)
def test_the_first_making_is_pinned_to_an_instruction_set_and_the_second_is_not(name):
    first, second = runs.load(name), runs.load(name, second=True)
    assert first["instructions"] == {"torch": "AVX2", "oneDNN": "AVX2"} != second["instructions"]
    for key in ("search", "runs"):
        assert not {e["seed"] for e in first[key]} & {e["seed"] for e in second[key]}


def test_the_league_gains_a_row_a_chapter():
    stored = list(json.loads(next(p for p in STORED if p.stem == "league").read_text())["sides"])
    for i, name in enumerate(stored, 1):
        assert {row[0] for row in standings.table(until=name).rows} == set(stored[:i])
    best = [float(row[1].split()[0]) for row in standings.table().rows]
    assert best == sorted(best, reverse=True)
    assert [found.a for found in standings.verdicts("vgg_small")] == ["vgg_small"]
    assert standings.verdicts("lenet_small") == []  # the first answers nobody
    with pytest.raises(ValueError, match="until='vgg': no such network plays"):
        standings.table(until="vgg")
