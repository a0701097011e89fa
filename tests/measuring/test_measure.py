"""Measuring changes nothing, and what it measures follows what it predicts. No test asks how fast this machine is."""

import copy
import json
import os
import sys
import time
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import cnnlib
from cnnlib import measuring, table
from cnnlib.costs.memory import traffic
from cnnlib.measuring import instruments, measure, roofline, rounds

CPU = torch.device("cpu")
IMAGE = (3, 24, 24)


class Slow(nn.Module):
    """Adds one, and takes its time."""

    def forward(self, x):
        time.sleep(0.02)
        return x + 1


def net(*more):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), *more, nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(8 * 24 * 24, 4),
    )  # fmt: skip


def test_the_network_and_all_random_state_stay_as_they_are():
    model = net()
    model[1].eval()
    model(torch.rand(2, *IMAGE)).sum().backward()
    state, before = torch.random.get_rng_state(), copy.deepcopy(model.state_dict())
    grads = [p.grad.clone() for p in model.parameters()]
    level = os.environ.get("KINETO_LOG_LEVEL")
    with torch.no_grad():
        measuring.networks({"net": (model, IMAGE)}, batch=2, runs=1)
        measuring.layers(model, IMAGE, runs=1)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert os.environ.get("KINETO_LOG_LEVEL") == level
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert model.training and not model[1].training and model[4].training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_row_says_what_was_predicted_and_renders():
    model = cnnlib.build("lenet5")
    (row,) = measuring.networks({"mine": (model, (1, 32, 32))}, batch=3, runs=3)
    cost = cnnlib.trace(model, (1, 32, 32), 3)
    assert (row.name, row.batch, row.macs, row.predicted_memory) == ("mine", 3, cost.macs, cost.memory)
    assert row.predicted_training == cost.training_memory + cost.param_bytes
    assert 0 < row.forward < row.step and row.spread >= 0
    assert row.images_per_second == pytest.approx(3 / row.forward, rel=0.01)
    text = repr(table.of([row]))
    assert "predicted_training" in text and "mine" in text
    assert json.loads(json.dumps(vars(row))) == vars(row)


def test_measured_memory_is_that_of_the_maps():
    """Linear layers and in-place activations need no scratch: prediction and allocator agree to the byte."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 500), nn.ReLU(inplace=True), nn.Linear(500, 100))
    one, four = measuring.batches(model, (3, 32, 32), (1, 4), runs=1)
    assert one.memory == one.predicted_memory == 4 * (3072 + 500 + 100)
    assert four.memory == four.predicted_memory == 4 * one.memory


def test_memory_grows_with_the_batch_as_predicted():
    two, eight = measuring.batches(net(), IMAGE, (2, 8), runs=1)
    for got, told in (("memory", "predicted_memory"), ("training", "predicted_training")):
        rise = (getattr(eight, got) - getattr(two, got)) / (getattr(eight, told) - getattr(two, told))
        assert 0.9 < rise < 1.6, (got, rise)
        assert 0.8 < getattr(eight, got) / getattr(eight, told) < 1.8, got


def test_the_gradient_of_each_weight_is_part_of_a_step():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(3072, 1000))
    frozen = copy.deepcopy(wide)
    frozen[1].weight.requires_grad_(False)
    a, b = measuring.networks({"wide": (wide, (3, 32, 32)), "frozen": (frozen, (3, 32, 32))}, runs=1)
    weight = 4 * 3072 * 1000
    assert a.predicted_training - b.predicted_training >= weight
    assert a.training - b.training == pytest.approx(weight, rel=0.01)


def test_a_slow_layer_shows_up():
    rows = measuring.layers(net(Slow()), IMAGE, runs=3)
    slow = max(rows, key=lambda r: r.forward)
    assert (slow.name, slow.kind, slow.macs) == ("3", "Slow", 0)
    assert sum(r.share for r in rows) == pytest.approx(1, abs=0.02)
    assert [r.name for r in rows] == ["0", "1", "2", "3", "4", "5", "6", "(between the layers)"]
    assert sum(r.macs for r in rows) == cnnlib.trace(net(), IMAGE).macs
    fast, slowed = measuring.networks({"fast": (net(), IMAGE), "slow": (net(Slow()), IMAGE)}, runs=3)
    assert slowed.forward > 0.02 and slowed.forward > fast.forward


def test_runs_take_turns_after_a_warm_up():
    order = []
    calls = [lambda: order.append("a"), lambda: order.append("b")]
    times = measure._interleaved(calls, CPU, 3, lambda: float(len(order)))
    assert order == ["a", "a", "b", "b"] + ["a", "b"] * 3 and times == [[1.0] * 3] * 2


def test_dictionaries_tuples_and_two_inputs_can_be_measured():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, a, b):
            return {"sum": self.fc(a + b), "pair": (self.fc(a), torch.arange(3))}

    (row,) = measuring.networks({"two": (Two(), [(4,), (4,)])}, batch=2, runs=1)
    assert row.macs == 2 * 2 * 4 * 2 and row.training > 0


def refused(match, **options):
    with pytest.raises(ValueError, match=match) as caught:
        measuring.networks({"net": (options.pop("net", net()), options.pop("image", IMAGE))}, **options)
    assert "\n" not in str(caught.value)


def test_errors_are_one_sentence():
    refused("batch=0", batch=0)
    refused("runs=0", runs=0)
    refused("runs=True", runs=True)
    refused("device='nowhere'", device="nowhere")
    refused("device='meta': this machine cannot compute there", device="meta")
    refused("needs 3 channels", image=(5, 24, 24))
    refused("no parameter that wants a gradient", net=nn.ReLU())
    if not torch.cuda.is_available():
        refused("device='cuda'", device="cuda")
    with pytest.raises(ValueError, match="nothing.json is not in"):
        measuring.load("nothing")


def test_the_allocator_is_read_to_the_byte():
    def call():
        a = torch.empty(1000)  # 4000 bytes
        b = torch.empty(500)
        del a
        return b, torch.empty(250, dtype=torch.float64)

    assert instruments.peak_memory(call, CPU) == 6000
    assert instruments.peak_memory(lambda: None, CPU) == 0


@pytest.fixture
def powercap(tmp_path, monkeypatch):
    """Two packages whose counts stand, and a part of one, which would count twice."""
    for name, count in (("intel-rapl:0", 900), ("intel-rapl:1", 10), ("intel-rapl:0:0", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{count}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("1000\n")
    monkeypatch.setattr(instruments, "POWERCAP", tmp_path)
    monkeypatch.setattr(instruments, "ENERGY_WINDOW", 0.0)
    return tmp_path


def test_energy_is_the_counters_difference_also_when_it_starts_anew(powercap):
    def call():
        (powercap / "intel-rapl:0" / "energy_uj").write_text("100")
        (powercap / "intel-rapl:1" / "energy_uj").write_text("60")

    assert instruments.joules(call, CPU) == pytest.approx((200 + 50) / 1e6)


def test_no_counter_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(instruments, "POWERCAP", tmp_path)
    assert instruments.joules(lambda: None, CPU) == "not available"
    (tmp_path / "intel-rapl:0").mkdir()  # there, but not to be read
    assert instruments.joules(lambda: None, CPU) == "not available"
    monkeypatch.setattr(torch.mps, "synchronize", lambda: None)
    assert instruments.joules(lambda: None, torch.device("mps")) == "not available"
    assert instruments.peak_memory(lambda: None, torch.device("mps")) == "not available"


def test_a_gpus_counter_is_read_through_nvml(monkeypatch):
    counts = iter([0, 5000, 5000, 7000])  # millijoules: two to see that it works, before, after

    class NVMLError(Exception):
        pass

    fake = SimpleNamespace(
        NVMLError=NVMLError, nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(counts),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(instruments, "ENERGY_WINDOW", 0.0)
    assert instruments.joules(lambda: None, torch.device("cuda")) == pytest.approx(2.0)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert instruments.joules(lambda: None, torch.device("cuda")) == "not available"


def test_traffic_is_what_operations_read_and_write():
    conv = nn.Conv2d(3, 8, 3, padding=1)
    pixels = 24 * 24
    once = 4 * (3 * pixels + 3 * 9 * 8 + 8 + 8 * pixels)
    assert traffic(conv, IMAGE) == once
    assert traffic(conv, IMAGE, batch=2) == 2 * once - 4 * (3 * 9 * 8 + 8)
    in_place = nn.Sequential(conv, nn.ReLU(inplace=True), nn.Flatten())
    assert traffic(in_place, IMAGE) == once + 2 * 4 * 8 * pixels, "a view moves nothing"


def test_the_roof_is_the_lower_of_two_limits():
    machine = roofline.Machine("cpu", macs=100e9, bandwidth=10e9)
    assert machine.ridge == 10 and machine.roof(2) == 20e9 and machine.roof(50) == 100e9
    assert standing(machine, 10**9, 10**9, 0.2) == (1, 5, 10, 0.5, "memory")
    assert standing(machine, 10**9, 10**7, 0.02) == (100, 50, 100, 0.5, "arithmetic")
    assert standing(machine, 10**9, 10**9, 1.0) == (1, 1, 10, 0.1, "neither")
    thin, thick = measure_row(1, 1), measure_row(100, 1)
    assert [p.intensity for p in roofline.points([thick, thin], machine)] == [1, 100]
    assert "share" in repr(table.of(roofline.points([thin], machine)))


def standing(machine, macs, bytes_moved, forward):
    row = SimpleNamespace(name="net", batch=1, macs=macs, bytes_moved=bytes_moved, forward=forward)
    place = roofline.point(row, machine)
    return place.intensity, place.reached, place.roof, place.share, place.limit


def measure_row(macs=1, bytes_moved=1):
    numbers = dict.fromkeys(measuring.Measured.__dataclass_fields__, 1.0)
    return measuring.Measured(**numbers | {"name": "net", "macs": macs, "bytes_moved": bytes_moved})


def test_the_best_of_two_measurements_of_a_machine_survives_a_file():
    slow = roofline.Machine("cpu", 1e9, 4e9, (roofline.Cache("L2", 2**19, 5e9),))
    fast = roofline.Machine("cpu", 2e9, 3e9, (roofline.Cache("L2", 2**19, 9e9),))
    best = roofline.Machine("cpu", 2e9, 4e9, (roofline.Cache("L2", 2**19, 9e9),))
    assert slow.best(fast) == fast.best(slow) == best
    assert roofline.Machine.of(json.loads(json.dumps(asdict(best)))) == best


def test_caches_are_named_where_the_system_tells(tmp_path, monkeypatch):
    for k, (level, kind, size) in enumerate(
        [("1", "Data", "32K"), ("1", "Instruction", "32K"), ("2", "Unified", "512K")]
    ):
        (tmp_path / f"index{k}").mkdir()
        for what, text in (("level", level), ("type", kind), ("size", size)):
            (tmp_path / f"index{k}" / what).write_text(f"{text}\n")
    monkeypatch.setattr(roofline, "_CACHES", tmp_path)
    assert roofline.cache_sizes() == {"L1": 2**15, "L2": 2**19}
    monkeypatch.setattr(roofline, "_CACHES", tmp_path / "nowhere")
    assert roofline.cache_sizes() == {}


def test_the_machine_is_measured(monkeypatch):
    monkeypatch.setattr(roofline, "_SMALLER", (64, 2**12))
    machine = roofline.machine(runs=2)
    assert machine.device == "cpu" and machine.macs > 0 and machine.bandwidth > 0


@pytest.fixture
def surveyed(tmp_path, monkeypatch):
    """Surveys two small networks: one always takes the same time, one longer at each visit."""
    monkeypatch.setattr(roofline, "machine", lambda device, clock: roofline.Machine("cpu", 1e9, 1e9))
    seconds = {"steady": 1.0, "scatters": 1.0}

    def visit(benchmark, clock, step):
        seconds["scatters"] += benchmark.name == "scatters"
        return {"forward": [seconds[benchmark.name]] * 3, "step": [9.0] * step}

    monkeypatch.setattr(rounds, "visit", visit)
    jobs = {name: (net, IMAGE) for name in seconds}

    def run(header):
        return rounds.survey(
            jobs, header, tmp_path / "some.json", save, batch=1, device=CPU, clock=time.process_time
        )

    def save(path, record):
        path.write_text(json.dumps(record), encoding="utf-8")

    return run


def test_a_survey_visits_all_in_rounds_and_again_what_scatters(surveyed):
    record = surveyed({"date": "today"})
    steady, scatters = record["rows"]
    assert (steady["name"], steady["spread"], steady["by_round"]) == ("steady", 0.0, [1.0] * 3)
    assert scatters["spread"] > record["bound"] and len(scatters["by_round"]) == 3 + rounds.MORE
    assert scatters["fastest"] < scatters["forward"] < scatters["slowest"]
    assert [r["networks"] for r in record["rounds"]] == [2] * 3 + [1] * rounds.MORE
    assert (record["date"], record["machine"]["macs"]) == ("today", 1e9)
    assert set(steady) == {*vars(measure_row()), "by_round"}


def test_an_interrupted_survey_goes_on_and_another_machine_starts_anew(surveyed, monkeypatch):
    first, visit = surveyed({"device": "a"}), rounds.visit
    monkeypatch.setattr(rounds, "visit", lambda *_, **__: pytest.fail("all was there"))
    assert surveyed({"device": "a"})["rows"] == first["rows"]
    monkeypatch.setattr(rounds, "visit", visit)
    assert surveyed({"device": "b"})["rows"] != first["rows"]


def test_a_visit_times_passes_and_a_step():
    benchmark = measure.Benchmark("net", net(), IMAGE, 1, CPU)
    times = rounds.visit(benchmark, time.perf_counter)
    assert rounds.FORWARD[0] <= len(times["forward"]) <= rounds.FORWARD[2] and times["step"] == []
    steps = rounds.visit(benchmark, time.perf_counter, step=True)["step"]
    assert 1 <= len(steps) <= rounds.STEP[2] and all(t > 0 for t in times["forward"] + steps)


def test_layers_move_their_maps_and_weights():
    rows = {r.name: r for r in measuring.layers(net(), IMAGE, batch=2, runs=1)}
    maps = 2 * 8 * 24 * 24
    assert rows["0"].bytes_moved == 4 * (2 * 3 * 24 * 24 + 3 * 9 * 8 + maps)
    assert rows["5"].bytes_moved == 4 * (maps + 8 * 24 * 24 * 4 + 4 + 2 * 4)
    assert (rows["0"].batch, rows["0"].macs) == (2, 2 * 3 * 9 * 8 * 24 * 24)
    assert rows["(between the layers)"].bytes_moved == 0


def test_stored_rows_still_say_what_the_trace_says():
    stored = measuring.load()
    assert {"device", "clock", "versions", "date", "script", "machine"} <= stored.keys()
    rows = {row["name"]: row for row in stored["rows"]}
    assert all(0 < row["forward"] < row["step"] for row in stored["rows"]), "a step holds a forward pass"
    for name in ("lenet5", "alexnet", "resnet18", "squeezenet1_1", "densenet121"):
        cost = cnnlib.trace(cnnlib.build(name), cnnlib.models.image_shape(name), rows[name]["batch"])
        assert (rows[name]["macs"], rows[name]["predicted_memory"]) == (cost.macs, cost.memory)
        assert rows[name]["predicted_training"] == cost.training_memory + cost.param_bytes
    assert {"forward", "spread", "step", "weights", "memory", "training", "bytes_moved"} <= set(
        rows["lenet5"]
    )
    assert {"date", "script", "forward"} <= stored["other"].keys()
    for place in (stored["machine"], stored["layers"]["machine"]):
        assert roofline.Machine.of(place).ridge > 0
    assert [row["batch"] for row in stored["batches"]] == [1, 2, 4, 8, 16]
