"""The sheet *Comparing complexity*: its answers and its table against the package and the facts."""

import random
import runpy

import pytest
import torch
from handins import ROOT
from solving import opened
from torch import nn

import cnnlib
from cnnlib import measuring, resources
from cnnlib.costs.memory import traffic
from cnnlib.grading.sheets import complexity as sheet
from cnnlib.measuring import roofline


@pytest.fixture(scope="module")
def text():
    return opened("complexity")


def test_the_table_is_that_of_the_judge_and_of_the_facts(text):
    assert text.reference["TABLE"] == sheet.TABLE
    bills = {r["name"]: r for r in resources.facts("bills")}
    top1 = {
        r["name"]: r["top1"]
        for r in resources.facts("accuracy")
        if (r["set"], r["recipe"], r["crops"]) == ("ImageNet", "first", 1)
    }
    for name, (accuracy, macs, params, maps) in sheet.TABLE.items():
        bill = bills[name]
        assert accuracy == pytest.approx(top1[name], abs=0.06)
        assert macs == pytest.approx(bill["macs"] / 1e6, abs=0.6)
        assert params == pytest.approx(bill["params"] / 1e6, rel=0.005)
        assert maps == pytest.approx(bill["memory"] / 2**20, abs=0.06)


def test_the_front_is_the_package_s_where_there_is_one_currency(text):
    """And in several: whoever is on the front of one currency, ties apart, is dominated by nobody in all."""
    rng = random.Random(0)
    for ties in (False, True):
        for _ in range(50):
            rows = sheet.market(rng, 1, ties)["networks"]
            front = measuring.pareto_front(rows, lambda r: r[2][0], lambda r: r[1])
            assert sorted(r[0] for r in front) == sorted(text.reference["undominated"](rows))
    for _ in range(50):
        rows = sheet.market(rng, 3, ties=False)["networks"]
        found = text.reference["undominated"](rows)
        for c in range(3):
            assert {
                r[0] for r in measuring.pareto_front(rows, lambda r, c=c: r[2][c], lambda r: r[1])
            } <= set(found)


def test_ties_are_drawn_so_that_they_matter():
    """Some network is dominated at equal accuracy, and some that nothing dominates has an equal."""
    rng = random.Random(1)
    for _ in range(50):
        rows = sheet.market(rng, 1, ties=True)["networks"]
        assert any(a[1] == b[1] and a[2] < b[2] for a in rows for b in rows)
        front = measuring.pareto_front(rows, lambda r: r[2][0], lambda r: r[1])
        assert any(a[1:] == b[1:] for a in front for b in front if a is not b)


def test_one_convention_explains_most_of_every_sheet_that_is_drawn(text):
    rng = random.Random(2)
    for misprints in (0, 2):
        for _ in range(100):
            case = sheet.data_sheet(rng, tuple(sheet.WAYS), misprints)
            hits = sorted(
                sum(
                    abs(sheet.counted(way, *case["known"][name]) - value) <= 0.006
                    for name, value in case["printed"].items()
                )
                for way in sheet.WAYS
            )
            assert hits[-1] == 6 - misprints > hits[-2]


def test_conventions_are_those_that_a_trace_tells_apart(text):
    """The practice sheet of AlexNet, VGG-16 and ResNet-50, from layers that the engine counts."""
    known = {}
    for name in ("alexnet", "vgg16", "resnet50"):
        with torch.device("meta"):
            cost = cnnlib.trace(cnnlib.build(name), (3, 224, 224))
        by_kind = [sum(r.macs for r in cost.rows if r.kind == kind) for kind in ("Conv2d", "Linear")]
        assert sum(by_kind) == cost.macs
        known[name] = tuple(by_kind)
    case = text.sheet.exercise("what_they_count").practice[1]
    assert {n: tuple(v) for n, v in case.inputs["known"].items()} == known


def test_the_roof_is_the_package_s(text):
    """Of a chain of convolutions without biases: bytes as ``traffic`` counts them, the same limit; two a MAC."""
    machine = roofline.Machine("imagined", macs=6e9, bandwidth=1e9)
    sides = ((3, 32, 3, 24), (32, 8, 1, 22), (8, 64, 3, 22))
    layers, seconds, waiting = [], 0, 0
    for c_in, c_out, kernel, side in sides:
        conv = nn.Conv2d(c_in, c_out, kernel, bias=False)
        cost = cnnlib.trace(conv, (c_in, side, side))
        out = torch.Size(cost.rows[-1].out).numel()
        layers.append((cost.macs, conv.weight.numel(), c_in * side * side, out))
        moved = traffic(conv, (c_in, side, side), batch=5)
        macs = 5 * cost.macs
        seconds += macs / machine.roof(macs / moved)
        waiting += macs / moved < machine.ridge
    found = text.reference["under_the_roof"](layers, 5, 2 * machine.macs, machine.bandwidth)
    assert found == (pytest.approx(seconds), waiting) and 0 < waiting < 3


def test_a_queue_that_is_played_through_says_what_the_judge_says():
    """A thousand batches, picture by picture: the queue stays short exactly where the judge says it keeps up."""
    given = dict(RATE=400, WAIT=25, MEMORY=80, TOP1=69)
    for name in ("densenet121", "googlenet", "resnet18"):
        for batch in range(1, 6):
            seconds, free, waits = sheet.pass_seconds(name, batch), 0.0, []
            for n in range(1000):
                full = (n * batch + batch - 1) / given["RATE"]
                free = max(free, full) + seconds
                waits.append(free - n * batch / given["RATE"])
            lasts = waits[-1] <= waits[0] + 1e-6
            said = sheet.in_time([name, batch], None, given)
            assert ("does not keep up" in said) == (not lasts), (name, batch, said)
            if lasts:
                assert (said == "") == (1000 * max(waits) <= given["WAIT"])


def test_the_question_has_a_marking_guide_and_a_model_answer():
    marking = runpy.run_path(str(ROOT / "chapters/exercises/answers/complexity.py"))["MARKING"]
    assert {name: sum(points for points, _ in guide["points"]) for name, guide in marking.items()} == {
        "is_it_efficient": sheet.SHEET.manual["is_it_efficient"]
    }
    assert 100 < len(marking["is_it_efficient"]["model"].split()) < 220
