"""Each weakness of an experiment is found where it is planted, and a sound record has none."""

import copy
from functools import partial

import pytest
from torch import nn

from cnnlib.experiments import checks
from cnnlib.experiments.experiment import Experiment, Side
from cnnlib.training.recipe import Recipe


def narrow(width=4, act=nn.ReLU):
    return nn.Sequential(nn.Flatten(), nn.Linear(4, width), act(), nn.Linear(width, 2))


SIDES = {"one": Side(partial(narrow, width=4)), "two": Side(partial(narrow, width=8))}
SOUND = Experiment("?", lambda: None, 40, SIDES, (("one", "two"),), Recipe(5), rates=(0.01, 0.03, 0.1))


def rows(accuracy, rising=False):
    curve = [accuracy - 0.2, accuracy - 0.1, accuracy - 0.05, accuracy - 0.05 * rising, accuracy]
    return [{"valid_acc": a, "train_acc": a, "epoch": i + 1} for i, a in enumerate(curve)]


@pytest.fixture
def record():
    """By the protocol, with nothing to complain about; ``copy`` it before planting a fault."""
    tried = {0.01: 70, 0.03: 80, 0.1: 75}
    search = [
        {"net": side, "peak": peak, "seed": 1000 + seed, "value": value + 0.1 * seed}
        for side in SIDES for peak, value in tried.items() for seed in range(3)
    ]  # fmt: skip
    runs = [
        {"net": side, "seed": seed, "rows": rows(0.8 + 0.02 * (side == "two") + 0.001 * seed)}
        for seed in range(6) for side in SIDES
    ]  # fmt: skip
    return {
        "name": "sound", "data": {"validation": 500, "digest": "0"}, "recipe": {}, "instructions": {}, "code": {},
        "processor": "x", "versions": {}, "date": "", "start": {"one": [1.0, 0.5], "two": [1.0, 0.6]},
        "search": search, "rates": {"one": 0.03, "two": 0.03}, "runs": runs, "failed": [],
    }  # fmt: skip


def kinds(record, experiment=SOUND):
    return {weakness.kind for weakness in checks.weaknesses(record, experiment)}


def test_a_sound_record_has_no_weakness(record):
    assert checks.weaknesses(record, SOUND) == []


def at(record, key, where, change):
    for entry in record[key]:
        if where(entry):
            change(entry)


def fail(record):
    at(record, "runs", lambda e: e["seed"] == 2, lambda e: e.update(failed="at chance"))
    record["failed"] = [{"net": "one", "seed": 2}]


FAULTS = {
    "edge": lambda r: at(r, "search", lambda e: e["net"] == "one" and e["peak"] == 0.1, lambda e: e.update(value=90)),
    "search seeds": lambda r: r["search"].pop(),
    "tie": lambda r: at(r, "search", lambda e: e["peak"] == 0.1, lambda e: e.update(value=e["value"] + 5)),
    "rate": lambda r: r["rates"].update(one=0.1),
    "trials": lambda r: r["search"].extend({"net": "one", "peak": 0.3, "seed": s, "value": 60} for s in range(3)),
    "validation": lambda r: r["data"].update(validation=300),
    "record": lambda r: r.pop("instructions"),
    "budget": lambda r: at(r, "runs", lambda e: e["net"] == "one", lambda e: e.update(rows=rows(0.8, rising=True))),
    "seeds": lambda r: r.update(runs=[e for e in r["runs"] if e["seed"] < 4]),
    "failed": fail,
    "one seed": lambda r: at(r, "runs", lambda e: (e["net"], e["seed"]) == ("two", 5),
                          lambda e: e.update(rows=rows(0.6))),
    "start": lambda r: r["start"].update(one=[1.0, 9.0, 1.0]),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_each_weakness_is_found(record, kind):
    planted = copy.deepcopy(record)
    if kind == "seeds":
        with pytest.raises(ValueError, match="share 4 seeds"):  # fewer than five cannot even be compared
            FAULTS[kind](planted) or checks.weaknesses(planted, SOUND)
        return
    FAULTS[kind](planted)
    assert kind in kinds(planted) - kinds(record)


def test_runs_that_fail_want_ten_seeds(record):
    fail(record)
    assert any(w.kind == "seeds" and "need 10" in w.text for w in checks.weaknesses(record, SOUND))


def test_signals_out_of_scale_are_found(record):
    record["start"]["two"] = [1.0, 0.01, 0.5]
    assert "start" in kinds(record)


def test_sides_that_differ_in_more_than_one_thing_are_named(record):
    both = {**SIDES, "two": Side(partial(narrow, width=8, act=nn.Tanh))}
    experiment = Experiment("?", lambda: None, 40, both, (("one", "two"),), Recipe(5), rates=(0.01,))
    (found,) = [w for w in checks.weaknesses(record, experiment) if w.kind == "sides"]
    assert found.text == "one and two differ in more than one thing: width, act"
    (verdict,) = checks.compared({s: [r for r in record["runs"] if r["net"] == s] for s in both}, experiment)
    assert str(verdict).startswith("the side with one is worse than the side with two; ")


def test_a_budget_that_is_too_short_stands_in_the_verdict(record):
    FAULTS["budget"](record)
    (verdict,) = checks.compared({s: [r for r in record["runs"] if r["net"] == s] for s in SIDES}, SOUND)
    assert "within 5 epochs" in str(verdict)


def suited(build, **choices):
    return build(**choices)


def test_what_a_side_is_made_of_is_seen_through_the_function_that_starts_it():
    a, b = Side(partial(suited, narrow, width=4)), Side(partial(suited, narrow, width=8, act=nn.Tanh))
    assert checks.differ(a, b) == ("width", "act") and checks.differ(a, a) == ()
    assert checks.differ(a, Side(a.build, (len,))) == ("augmentation",)
