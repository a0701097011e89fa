"""Experiments: searched, run, interrupted, stored."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

import cnnlib
from cnnlib import datasets, runs
from cnnlib.experiments import job, registry, runner, search, standings
from cnnlib.experiments import record as records
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.experiments.registry import EXPERIMENTS
from cnnlib.images.datasets import Images
from cnnlib.measuring import instruments
from cnnlib.training.recipe import Recipe


def images():
    """200 to learn from, 500 to choose the rate by, 24 to judge."""
    draw, count = torch.Generator().manual_seed(0), 200 + search.VALIDATION
    y = torch.arange(count) % 2
    x = torch.rand(count, 1, 4, 4, generator=draw) * 0.5
    x[y == 1] += 0.5
    return Images(x, y, ("dark", "bright")), Images(x[:24], y[:24], ("dark", "bright"))


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


def deep():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))


TINY = Experiment(
    "Is it deep?", images, 200, {"linear": Side(linear), "deep": Side(deep)}, (("deep", "linear"),),
    Recipe(epochs=2, batch=8), rates=(0.03, 0.1, 0.3),
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
    assert len(record["runs"]) == 10 and set(record["rates"]) == {"linear", "deep"}
    assert {(e["net"], e["seed"]) for e in record["search"]} == {
        (side, seed) for side in ("linear", "deep") for seed in (1000, 1001, 1002)
    }
    assert (
        record["script"] == "cnnlib run tiny --seeds 5" and record["versions"]["torch"] == torch.__version__
    )
    assert record["recipe"]["epochs"] == 2 and record["device"] == "cpu, threads: 1"
    assert record["instructions"]["torch"] == torch.backends.cpu.get_cpu_capability()
    assert record["data"]["validation"] == 500 and len(record["data"]["digest"]) == 16
    assert record["code"]["digest"] == records.code_digest() and record["processor"]
    assert all(len(records.booleans(run["right"])) == 24 for run in record["runs"])
    for run in record["runs"]:
        assert records.booleans(run["right"]).mean() == pytest.approx(run["rows"][-1]["valid_acc"], abs=1e-4)


def test_the_search_sees_neither_training_nor_test_images(tiny):
    one = job.Job(TINY, "linear", 2, 0.1, 0, True, torch.device("cpu"))
    learn, held_out = one.images()
    _, judge = replace(one, search=False).images()
    assert (len(learn), len(held_out), len(judge)) == (200, 500, 24)
    seen = {x.numpy().tobytes() for x in learn.x}
    assert not seen & {x.numpy().tobytes() for x in held_out.x}
    with pytest.raises(ValueError, match="images=220: of 700 training images 500 choose the rate"):
        replace(one, experiment=replace(TINY, images=220)).images()


def test_a_second_making_has_other_seeds_and_a_search_of_its_own(tmp_path, tiny):
    first, second = (json.loads(runs.run(tiny, root=tmp_path, second=s).read_text()) for s in (False, True))
    assert (tmp_path / "data/runs/second/tiny.json").is_file() and second["script"].endswith(" --second")
    for key in ("search", "runs"):
        assert not {e["seed"] for e in first[key]} & {e["seed"] for e in second[key]}


def test_where_a_run_fails_there_are_ten(tmp_path, tiny, monkeypatch):
    """One side stands still: it ends where guessing would, and that is counted and said."""
    sides = TINY.sides | {"deep": Side(dead)}
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, sides=sides))
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert len(record["runs"]) == 20
    assert [(e["net"], e["failed"]) for e in record["failed"]] == [("deep", "at chance")] * 10
    (found,) = runs.judged(tiny, record)
    assert found.failed == (10, 0) and "0 of 10 against 10 of 10" in str(found)


def dead():
    net = deep()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    return net


def test_an_interrupted_experiment_goes_on_where_it_stopped(tmp_path, tiny, monkeypatch):
    whole = without_clock(json.loads(runs.run(tiny, root=tmp_path / "a").read_text()))
    real, count = runner.do, []

    def stops(*args):
        count.append(args)
        if len(count) == 8:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "do", stops)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tiny, root=tmp_path / "b")
    assert not (tmp_path / "b/data/runs").exists()
    count[:] = [None] * 100
    path = runs.run(tiny, root=tmp_path / "b")
    assert len(count) - 100 == len(whole["search"]) + 10 - 7  # less the 7 done
    assert without_clock(json.loads(path.read_text())) == whole


def test_another_recipe_does_not_go_on_from_the_old_file(tmp_path, tiny, monkeypatch):
    real, count = runner.do, []

    def stops(*args):
        count.append(args)
        if len(count) == 6:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "do", stops)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tiny, root=tmp_path)
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, recipe=Recipe(epochs=1, batch=8)))
    count[:] = [None] * 100
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert len(count) - 100 == len(record["search"]) + 10 and all(
        len(run["rows"]) == 1 for run in record["runs"]
    )


def test_a_side_that_comes_in_leaves_the_others_their_runs(tmp_path, tiny, monkeypatch):
    real, count = runner.do, []

    def stops(*args):
        count.append(args[0].label)
        if len(count) == 25:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "do", stops)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tiny, root=tmp_path)
    monkeypatch.setitem(EXPERIMENTS, tiny, replace(TINY, sides=TINY.sides | {"again": Side(linear)}))
    count[:] = [None] * 100
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    tried = len({e["peak"] for e in record["search"]})
    assert count[100:].count("again") == 3 * tried + 5 and len(record["runs"]) == 15
    assert len(count[100:]) == 3 * 3 * tried + 15 - 24


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


def test_the_memory_of_a_step_is_measured_for_each_side(tmp_path, tiny):
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    assert record["step_bytes"].keys() == TINY.sides.keys()
    assert record["step_bytes"]["deep"] > record["step_bytes"]["linear"] > 2 * 4 * 34  # gradients, momentum


def test_the_full_form_takes_the_whole_set(monkeypatch):
    few = EXPERIMENTS["alexnet-choices"]
    full = registry.named("alexnet-choices-full")
    assert (few.images, full.images) == (1500, 59_500) and full.sides == few.sides
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
    assert budgets == [3 * 200 * 2 * 32, round(3 * 200 * 0.44 * 144)] and max(budgets) < 1.05 * min(budgets)
    assert {run["net"]: len(run["rows"]) for run in record["runs"]} == {"linear": 2, "deep": 1}


def test_the_league_has_every_family_and_one_budget():
    league = EXPERIMENTS["league"]
    small = [name for name in cnnlib.list_models() if name.endswith("_small")]
    assert list(league.sides) == small
    header = json.loads(json.dumps(records.header("league", league, torch.device("cpu"))))
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
    monkeypatch.setitem(
        EXPERIMENTS,
        tiny,
        replace(TINY, sides=TINY.sides | {"deep": Side(explosive)}, rates=(0.03, 0.1, 30.0)),
    )
    record = json.loads(runs.run(tiny, root=tmp_path).read_text())
    values = search.values(record["search"], "deep")
    assert None in values[30.0] and None not in values[record["rates"]["deep"]]


def explosive():
    return nn.Sequential(nn.Flatten(), *(nn.Linear(16, 16) for _ in range(6)), nn.Linear(16, 2))


def test_a_long_run_keeps_sixty_epochs_and_its_last():
    rows = [{"epoch": i} for i in range(1, 301)]
    assert [row["epoch"] for row in job.spaced(rows)] == list(range(5, 301, 5))
    assert job.spaced(rows[:60]) == rows[:60] and job.spaced([]) == []
    assert [row["epoch"] for row in job.spaced(rows[:61])][-2:] == [59, 61]
