"""Experiments: run, interrupted, stored, judged; and the stored ones still say what the pages say."""

import json
import math
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import cnnlib
from cnnlib import datasets, runs
from cnnlib.experiments import comparison, registry, runner, standings
from cnnlib.experiments import record as book
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.registry import EXPERIMENTS
from cnnlib.images.datasets import Images
from cnnlib.measuring import instruments
from cnnlib.training.recipe import Recipe

STORED = sorted(Path(runs.__file__).parents[2].joinpath("data/runs").glob("*.json"))
STORED = [path for path in STORED if path.stem in EXPERIMENTS]


def side(differences, start=50.0):
    """Runs whose last accuracies are ``start`` plus the differences, in per cent."""
    return [
        {"net": "x", "seed": i, "rows": [{"valid_acc": (start + d) / 100}]} for i, d in enumerate(differences)
    ]


def test_verdicts_are_in_words():
    flat, up = side([0] * 5), side([2.0, 2.5, 1.8, 2.2, 2.1])
    assert comparison.compare(up, flat).word == "better" and comparison.compare(flat, up).word == "worse"
    unsure = comparison.compare(side([2, -2, 1, -1, 0.5]), flat)
    assert unsure.word == "no difference shown" and "smallest difference" in str(unsure)
    assert comparison.compare(up, flat).difference == pytest.approx(2.12)
    with pytest.raises(ValueError, match="share 4 seeds"):
        comparison.compare(up[:4], flat)


@given(st.lists(st.floats(-5, 5), min_size=5, max_size=7, unique=True), st.floats(-4, 4))
@settings(max_examples=40, deadline=None)
def test_a_difference_is_shown_if_it_is_larger_than_the_smallest_that_could_be(differences, shift):
    found = comparison.compare(side([d + shift for d in differences]), side([0] * len(differences)))
    assume(min(abs(found.low), abs(found.high)) > 1e-9)  # an end on zero itself is a matter of rounding
    assert (found.word != "no difference shown") == (abs(found.difference) > found.resolution)


def test_a_lopsided_interval_says_what_it_could_have_shown():
    """Four seeds level and one broken: the interval reaches far to one side, away from zero."""
    broken = comparison.compare(side([-1.0, -1.2, -0.9, -1.1, -70.0]), side([0] * 5))
    assert broken.word == "worse" and broken.resolution < -broken.difference < (broken.high - broken.low) / 2


def test_pairing_is_by_seed_not_by_place():
    flat = side([0, 10, 20, 30, 40])
    better = list(reversed(side([1, 11, 21, 31, 41])))
    assert (
        comparison.compare(better, flat).difference == pytest.approx(1)
        and comparison.compare(better, flat).word == "better"
    )


def test_the_interval_covers_as_often_as_it_says():
    """A thousand times five draws around a known mean: the 95 % interval holds it 90 to 97 times in 100."""
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        low, high = comparison.interval(draw.normal(1, 2, 5))
        held += low <= 1 <= high
    assert 0.89 < held / 300 < 0.98


def test_epochs_to_25_reads_between_the_epochs():
    rows = [{"train_acc": a} for a in (0.5, 0.7, 0.8)]
    assert comparison.EPOCHS_TO_25.value(rows) == pytest.approx(2.5)
    assert (
        comparison.EPOCHS_TO_25.value(rows[:2]) == 2
        and comparison.EPOCHS_TO_25.value([{"train_acc": 0.9}]) == 1
    )


def images():
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 2
    x = torch.rand(60, 1, 4, 4, generator=draw) * 0.5
    x[y == 1] += 0.3
    return Images(x, y, ("dark", "bright")), Images(x[:20], y[:20], ("dark", "bright"))


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


def deep():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))


TINY = Experiment(
    "Is it deep?", images, 40, {"linear": Side(linear), "deep": Side(deep)}, (("deep", "linear"),),
    Recipe(epochs=2, batch=8), rates=(0.1, 0.5),
)  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)
    return "tiny"


def without_clock(record):
    for run in record["runs"]:
        run.pop("wall_s")
        run.pop("cpu_s")
        for row in run["rows"]:
            row.pop("seconds")
    record.pop("date")
    return record


def test_an_experiment_is_stored_whole_with_its_provenance(tmp_path, tiny):
    path = runs.run(tiny, root=tmp_path)
    record = json.loads(path.read_text())
    assert path == tmp_path / "data/runs/tiny.json" and not list(tmp_path.rglob("_build/runs/*"))
    assert (
        len(record["runs"]) == 10
        and len(record["search"]) == 4
        and set(record["rates"]) == {"linear", "deep"}
    )
    assert (
        record["script"] == "cnnlib run tiny --seeds 5" and record["versions"]["torch"] == torch.__version__
    )
    assert record["recipe"]["epochs"] == 2 and record["device"].startswith("cpu")


def test_an_interrupted_experiment_goes_on_where_it_stopped(tmp_path, tiny, monkeypatch):
    whole = without_clock(json.loads(runs.run(tiny, root=tmp_path / "a").read_text()))
    real, count = runner._do, []

    def stops(*args):
        count.append(args)
        if len(count) == 8:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "_do", stops)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tiny, root=tmp_path / "b")
    assert not (tmp_path / "b/data/runs").exists()
    count[:] = [None] * 100
    path = runs.run(tiny, root=tmp_path / "b")
    assert len(count) - 100 == 14 - 7  # 4 of the search and 10 runs, less the 7 done
    assert without_clock(json.loads(path.read_text())) == whole


def test_another_recipe_does_not_go_on_from_the_old_file(tmp_path, tiny, monkeypatch):
    real, count = runner._do, []

    def stops(*args):
        count.append(args)
        if len(count) == 6:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "_do", stops)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tiny, root=tmp_path)
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, recipe=Recipe(epochs=1, batch=8)))
    count[:] = [None] * 100
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert len(count) - 100 == 14 and all(len(run["rows"]) == 1 for run in record["runs"])


def test_a_side_that_comes_in_leaves_the_others_their_runs(tmp_path, tiny, monkeypatch):
    real, count = runner._do, []

    def stops(*args):
        count.append(args[0].label)
        if len(count) == 9:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "_do", stops)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tiny, root=tmp_path)
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, sides=TINY.sides | {"again": Side(linear)}))
    count[:] = [None] * 100
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert sorted(count[100:]) == ["again"] * 7 + ["deep"] * 3 + ["linear"] * 3
    assert len(record["search"]) == 6 and len(record["runs"]) == 15


def test_several_processes_make_the_same_record(tmp_path, tiny):
    one, two = (
        without_clock(json.loads(runs.run(tiny, root=tmp_path / str(jobs), jobs=jobs).read_text()))
        for jobs in (1, 2)
    )
    assert one == two
    with pytest.raises(ValueError, match="jobs=0"):
        runs.run(tiny, jobs=0)


def dies():
    if multiprocessing.parent_process():
        os.kill(os.getpid(), signal.SIGKILL)
    return deep()


def test_a_killed_process_of_several_ends_in_a_sentence(tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, sides=TINY.sides | {"deep": Side(dies)}))
    with pytest.raises(ValueError, match="one of jobs=2 processes was killed.*start the same command again"):
        runs.run(tiny, root=tmp_path, jobs=2)


def test_energy_is_kept_where_it_can_be_read(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(instruments, "_rapl", lambda: (lambda: [next(ticks)], [2**40]))
    ticks = iter(range(0, 10**9, 2_500_000))  # microjoules: each reading is 2.5 J after the one before
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert {run["joules"] for run in record["runs"]} == {2.5}
    assert all("joules" not in run for run in json.loads(STORED[0].read_text())["runs"])


def test_the_memory_of_a_step_is_measured_for_each_side(tmp_path, tiny):
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert record["step_bytes"].keys() == TINY.sides.keys()
    assert record["step_bytes"]["deep"] > record["step_bytes"]["linear"] > 2 * 4 * 34  # gradients, momentum


def test_the_full_form_takes_the_whole_set(monkeypatch):
    few = EXPERIMENTS["alexnet-choices"]
    full = registry.named("alexnet-choices-full")
    assert (few.images, full.images) == (1500, 60_000) and full.sides == few.sides
    monkeypatch.setattr(datasets, "fashion_mnist", None)
    assert full.data.keywords == {"full": True} and full.data.func.__name__ == "fashion_mnist"
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)
    with pytest.raises(ValueError, match="tiny has all its images already"):
        registry.named("tiny-full")


def test_equal_macs_give_each_side_its_own_epochs(tmp_path, tiny, monkeypatch):
    """16 x 2 products a pass against 16 x 8 + 8 x 2: the deep side is paid for 2 x 32 / 144 passes."""
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, equal_macs=True))
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert record["sides"]["linear"]["epochs"] == 2 and record["sides"]["deep"]["epochs"] == 0.44
    budgets = [side["budget_macs"] for side in record["sides"].values()]
    assert budgets == [3 * 40 * 2 * 32, round(3 * 40 * 0.44 * 144)] and max(budgets) < 1.05 * min(budgets)
    assert {run["net"]: len(run["rows"]) for run in record["runs"]} == {"linear": 2, "deep": 1}


def test_the_league_has_every_family_and_one_budget():
    league = EXPERIMENTS["league"]
    small = [name for name in cnnlib.list_models() if name.endswith("_small")]
    assert list(league.sides) == small
    header = json.loads(json.dumps(book.header("league", league, torch.device("cpu"))))
    budgets = [side["budget_macs"] for side in header["sides"].values()]
    assert max(budgets) <= 1.05 * min(budgets)
    paired = {name for pair in league.pairs for name in pair}
    assert paired == set(small)


def test_the_league_is_a_table_best_first():
    def one(net, seed, accuracy):
        return {"net": net, "seed": seed, "rows": [{"valid_acc": accuracy}], "cpu_s": 30.0 + seed}

    names = ("lenet_small", "vgg_small")
    made = [one(name, seed, 0.7 + 0.1 * i + 0.01 * seed) for i, name in enumerate(names) for seed in range(3)]
    stored = {
        "runs": made,
        "sides": {name: {"epochs": 4.0} for name in names},
        "step_bytes": dict.fromkeys(names, 9),
    }
    first, second = standings.places(stored)
    assert (first.name, first.accuracy, first.spread, first.cpu_seconds) == ("vgg_small", 81, 1, 31)
    assert (second.name, second.params, second.macs) == ("lenet_small", 247_070, 5_513_400)


def test_unknown_experiments_and_few_seeds_are_refused(tiny):
    with pytest.raises(ValueError, match="did you mean alexnet-relu-vs-tanh"):
        runs.load("alexnet-relu-vs-than")
    with pytest.raises(ValueError, match="seeds=3"):
        runs.run(tiny, seeds=3)
    with pytest.raises(ValueError, match="device='abacus': this machine has .*cpu"):
        runs.run(tiny, device="abacus")
    with pytest.raises(ValueError, match="make it with `cnnlib run tiny`"):
        runs.load(tiny)


def test_a_rate_that_diverges_is_noted_and_not_chosen(tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, rates=(0.1, 1e30)))
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert set(record["rates"].values()) == {0.1}
    assert {e["peak"]: e["value"] is None for e in record["search"]} == {0.1: False, 1e30: True}
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, rates=(1e30,)))
    with pytest.raises(ValueError, match="linear diverges at each of rates"):
        runs.run(tiny, root=tmp_path)


# ---- what the pages rest on ----


def test_every_experiment_is_stored():
    assert [path.stem for path in STORED] == sorted(EXPERIMENTS)


@pytest.mark.parametrize("path", STORED, ids=lambda p: p.stem)
def test_a_stored_experiment_is_the_one_that_is_registered(path):
    """Same sides, images and recipe, budgets equal or a reason why not, five seeds a side; a verdict for each pair."""
    record, experiment = json.loads(path.read_text()), EXPERIMENTS[path.stem]
    now = json.loads(json.dumps(book.header(path.stem, experiment, torch.device("cpu"))))
    assert {k: now[k] for k in ("name", "question", "data", "recipe", "sides")} == {
        k: record[k] for k in ("name", "question", "data", "recipe", "sides")
    }
    budgets = [s["budget_macs"] for s in record["sides"].values()]
    assert max(budgets) <= 1.05 * min(budgets) or experiment.unequal
    epochs = experiment.epochs()
    for name, one in runs.sides(record).items():
        assert len({run["seed"] for run in one}) >= 5, name
        assert all(len(run["rows"]) == math.ceil(epochs[name]) for run in one)
    assert len(runs.verdict(path.stem)) == len(experiment.pairs)
    assert path.stat().st_size < 160_000  # 15 runs of 60 epochs


def test_the_search_gave_each_side_its_best_rate():
    for path in STORED:
        record, better = json.loads(path.read_text()), EXPERIMENTS[path.stem].metric.more_is_better
        for name, chosen in record["rates"].items():
            tried = {
                e["peak"]: e["value"] for e in record["search"] if e["net"] == name and e["value"] is not None
            }
            best = max(tried.values()) if better else min(tried.values())
            assert tried[chosen] == best and set(registry.EXPERIMENTS[path.stem].rates) >= set(tried)


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
