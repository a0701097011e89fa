"""What the page on measured time and memory says is what the stored rows say, in both surveys where it is of time."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pytest

import cnnlib
from cnnlib import measuring
from cnnlib.measuring import roofline

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "chapters/measured.md").read_text(encoding="utf8")
STORED = measuring.load()
ROWS = STORED["rows"]
FIRST = {row["name"]: row["forward"] for row in ROWS}
SECOND = STORED["other"]["forward"]
MACS = {row["name"]: row["macs"] for row in ROWS}


def agreement(seconds, low, high):
    """Share of the pairs in which more MACs took more time."""
    pairs = [(a, b) for a in seconds for b in seconds if low < MACS[b] / MACS[a] <= high]
    return sum(seconds[b] > seconds[a] for a, b in pairs) / len(pairs)


@pytest.mark.parametrize(("seconds", "near"), [(FIRST, 0.85), (SECOND, 0.79)], ids=["first", "second"])
def test_macs_order_what_is_far_apart_and_less_what_is_near(seconds, near):
    assert round(agreement(seconds, 1.1, 2), 2) == near
    assert agreement(seconds, 2, 10) > 0.97 < agreement(seconds, 10, np.inf)


@pytest.mark.parametrize(("seconds", "ratio"), [(FIRST, 0.57), (SECOND, 0.73)], ids=["first", "second"])
def test_half_of_alexnets_macs_take_more_than_half_of_its_time(seconds, ratio):
    assert round(MACS["squeezenet1_1"] / MACS["alexnet"], 2) == 0.49
    assert round(seconds["squeezenet1_1"] / seconds["alexnet"], 2) == ratio


def test_the_spread_is_told():
    assert len(ROWS) == 116 and sum(row["spread"] > STORED["bound"] for row in ROWS) == 90
    ratios = [SECOND[name] / FIRST[name] for name in SECOND]
    assert np.percentile(ratios, (5, 50, 95)).round(2).tolist() == [1.01, 1.38, 1.97]
    assert len(ROWS) - len(SECOND) == 13 and STORED["other"]["load"] == [15, 32]


def over(measured, predicted, share):
    return sum(row[measured] > (1 + share) * row[predicted] for row in ROWS)


def test_how_many_networks_exceed_their_predicted_memory():
    assert [over("memory", "predicted_memory", x) for x in (0, 0.1, 1)] == [113, 73, 39]
    assert [over("training", "predicted_training", x) for x in (0, 0.01, 0.1)] == [17, 10, 5]
    ratios = [row["memory"] / row["predicted_memory"] for row in ROWS]
    assert (round(median(ratios), 2), round(max(ratios), 1)) == (1.49, 7.0)


def test_shares_of_the_best_rate_fall_with_the_size():
    best = STORED["machine"]["macs"]
    limits = [1e12, 5e9, 1e9, 1e8, 0]
    shares = [
        [row["macs"] / row["forward"] / best for row in ROWS if low < row["macs"] <= high]
        for high, low in zip(limits, limits[1:], strict=False)
    ]
    assert [round(100 * median(s)) for s in shares] == [53, 45, 21, 8]
    assert [round(100 * end) for end in (min(shares[0]), max(shares[0]))] == [34, 67]


def test_where_networks_stand_under_the_roof():
    machine = roofline.Machine.of(STORED["machine"])
    steps = {"name", "batch", "macs", "bytes_moved", "forward"}
    places = [roofline.point(type("Row", (), {k: row[k] for k in steps}), machine) for row in ROWS]
    assert sum(p.intensity < machine.ridge for p in places) == 6
    assert sum(p.limit == "neither" for p in places) == 43
    limits = {p.name: p.limit for p in places}
    assert {limits[name] for name in ("lenet5", "mobilenet_v2", "shufflenet_v2")} == {"neither"}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool that makes surveys, with a folder of its own, and little to measure."""
    spec = importlib.util.spec_from_file_location("measure_networks", ROOT / "tools/measure_networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lenet, image = cnnlib.build("lenet5"), (1, 32, 32)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "INSIDE", ("lenet5",))
    monkeypatch.setattr(module, "pinned", lambda: None)
    monkeypatch.setattr(roofline, "machine", lambda *_, **__: roofline.Machine("cpu", 1e9, 1e9))
    batches, layers = measuring.batches(lenet, image, (1, 2), runs=1), measuring.layers(lenet, image, runs=1)
    monkeypatch.setattr(measuring, "batches", lambda *_, **__: batches)
    monkeypatch.setattr(measuring, "layers", lambda *_, **__: layers)
    monkeypatch.setattr(
        sys, "argv", ["measure_networks.py", "--only", "lenet5", "--rounds", "1", "--more", "0"]
    )
    return module


def read_by_the_page(name):
    """Keys that the page takes of what it calls ``name``, without asking first whether they are there."""
    return set(re.findall(rf"""\b{name}\[['"](\w+)['"]\]""", PAGE))


def test_a_new_survey_has_every_key_that_the_page_reads(tool, tmp_path):
    """The one before it, of an older form, and then one of its own."""
    path = tmp_path / "_build/runs/measured-cpu-some.done.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({k: v for k, v in STORED.items() if k != "other"}), encoding="utf-8")
    for rounds in (False, True):  # whether the one before was made in rounds, so that its load was told
        before = json.loads(path.read_text(encoding="utf-8"))
        tool.main()
        new = json.loads(path.read_text(encoding="utf-8"))
        assert read_by_the_page("stored") <= new.keys() and ("passes" in new or new["rounds"])
        assert read_by_the_page("that_hour") | {"date"} <= new["layers"].keys()
        assert read_by_the_page("other") <= new["other"].keys()
        assert len(read_by_the_page("row")) > 4 < len(read_by_the_page("r"))
        for rows in (new["rows"], new["batches"]):
            assert all((read_by_the_page("r") | {"name"}) <= row.keys() for row in rows)
        assert all(read_by_the_page("row") <= row.keys() for row in new["rows"])
        assert new["script"].endswith("--device cpu --batch 1 --rounds 1 --more 0")
        other = new["other"]
        assert {k: other[k] for k in ("date", "script")} == {k: before[k] for k in ("date", "script")}
        assert other.get("made") == before.get("made")
        assert len(other["load"]) == 2 if rounds else other["load"] is None
        assert other["forward"]["lenet5"] == next(
            r["forward"] for r in before["rows"] if r["name"] == "lenet5"
        )
