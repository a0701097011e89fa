"""Experiments run, stored, drawn and judged: ``show(name)``, ``verdict(name)``, ``run(name)``."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, replace
from datetime import date
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from cnnlib import cost, plot
from cnnlib.datasets import Images
from cnnlib.experiments import EXPERIMENTS, Experiment
from cnnlib.judge import Comparison, compare
from cnnlib.recipe import words
from cnnlib.schedule import Linear
from cnnlib.train import Diverged, seeded, train
from cnnlib.train import device as find_device

__all__ = ["EXPERIMENTS", "compare", "load", "run", "show", "sides", "verdict"]

SEARCH_SEED = 1000  # of the search for each side's rate; the runs that count have seeds 0, 1, ...


def _experiment(name: str) -> Experiment:
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = get_close_matches(name, EXPERIMENTS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(EXPERIMENTS)}"
    raise ValueError(f"no experiment is called {name!r}: {hint}")


# Stored runs


def load(name: str) -> dict:
    """A stored experiment, as it stands in data/runs/NAME.json; ``ValueError`` if it is not there."""
    _experiment(name)
    path = Path(str(resources.files("cnnlib_data"))) / "runs" / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"{path.name} is not in {path.parent}: make it with `cnnlib run {name}`")
    return json.loads(path.read_text(encoding="utf-8"))


def sides(stored: dict) -> dict[str, list[dict]]:
    """The runs of each side."""
    names = dict.fromkeys(run["net"] for run in stored["runs"])
    return {name: [run for run in stored["runs"] if run["net"] == name] for name in names}


def verdict(name: str) -> list[Comparison]:
    """What the stored runs of an experiment show: a comparison for each of its pairs."""
    runs, experiment = sides(load(name)), _experiment(name)
    return [compare(runs[a], runs[b], experiment.metric) for a, b in experiment.pairs]


def show(name: str):
    """The stored curves of an experiment, thin lines single runs, thick lines their mean; returns the Axes."""
    metric = _experiment(name).metric
    stored = sides(load(name)).items()
    groups = {side: [[metric.curve(row) for row in run["rows"]] for run in runs] for side, runs in stored}
    return plot.curves(groups, metric.ylabel)


# Running


def _header(name: str, experiment: Experiment, device: torch.device) -> dict:
    """All that fixes the outcome; an unfinished file with another header is not continued."""
    recipe, data, epochs = experiment.recipe, experiment.data(), experiment.epochs()
    image = tuple(data[0].x.shape[1:])
    step = {"momentum": recipe.momentum, "decay": recipe.decay}
    if recipe.optimiser:  # which brings its own
        step = {"optimiser": words(recipe.optimiser)}
    threads = f", threads: {torch.get_num_threads()}" if device.type == "cpu" else ""
    return {
        "name": name,
        "question": experiment.question,
        "data": {"set": experiment.data.__name__, "train": experiment.images, "test": len(data[1])},
        "recipe": {
            "epochs": recipe.epochs, "batch": recipe.batch, **step,
            "lr": "0 to its peak over a fifth of the run, then to 0", "peaks": list(experiment.rates),
            **({"channels_last": True} if recipe.channels_last else {}),
        },
        "sides": {
            label: {
                "build": words(side.build), "augment": words(side.augment),
                # a step costs three forward passes
                "budget_macs": round(
                    3 * experiment.images * epochs[label] * cost.trace(side.build(), image).macs
                ),
                **({"epochs": epochs[label]} if experiment.equal_macs else {}),
            }
            for label, side in experiment.sides.items()
        },
        "device": f"{device}{threads}",
        "versions": {v.__name__: v.__version__ for v in (torch, np)} | {"python": platform.python_version()},
    }  # fmt: skip


def _train(
    experiment: Experiment,
    label: str,
    data: tuple[Images, Images],
    epochs: float,
    peak: float,
    seed: int,
    device: torch.device,
) -> dict:
    """One run: net, seed, rows, and the seconds it took, of the clock and of this process."""
    side, lr = experiment.sides[label], Linear((0, 0.2, 1), (0, peak, 0))
    recipe = replace(experiment.recipe, epochs=epochs, lr=lr, augment=side.augment, seed=seed)
    began, busy = time.perf_counter(), time.process_time()
    with seeded(seed):
        net = side.build().to(device)
    rows = [asdict(row) for row in train(net, *data, recipe)]
    short = [{k: v if isinstance(v, int) else float(f"{v:.5g}") for k, v in row.items()} for row in rows]
    return {
        "net": label, "seed": seed, "rows": short,
        "wall_s": round(time.perf_counter() - began, 1), "cpu_s": round(time.process_time() - busy, 1),
    }  # fmt: skip


def _save(path: Path, record: dict) -> None:
    """Write in one go, an entry of each list on its own line."""

    def text(value: object) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in value) + "\n ]"

    body = ",\n ".join(f"{json.dumps(key)}: {text(value)}" for key, value in record.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_text(f"{{\n {body}\n}}\n", encoding="utf-8")
    os.replace(path.with_suffix(".part"), path)


def _search(
    experiment: Experiment, label: str, data, epochs: float, record: dict, device: torch.device, save
) -> float:
    """The peak rate with which this side does best on a fifth of its training images, held out."""
    cut = experiment.images * 4 // 5
    held_out = data[0][:cut], data[0][cut : experiment.images]
    tried = {entry["peak"]: entry["value"] for entry in record["search"] if entry["net"] == label}
    for peak in experiment.rates:
        if peak in tried:
            continue
        try:
            rows = _train(experiment, label, held_out, epochs, peak, SEARCH_SEED, device)["rows"]
            tried[peak] = float(f"{experiment.metric.value(rows):.5g}")
        except Diverged:
            tried[peak] = None
        record["search"].append({"net": label, "peak": peak, "seed": SEARCH_SEED, "value": tried[peak]})
        save(f"{label}: peak rate {peak:g} gives {tried[peak]}")
    finite = [peak for peak, value in tried.items() if value is not None]
    if not finite:
        raise ValueError(f"{label} diverges at each of rates={experiment.rates}: it needs lower ones")
    sign = 1 if experiment.metric.more_is_better else -1
    return max(finite, key=lambda peak: sign * tried[peak])


def run(name: str, seeds: int = 5, device: str = "cpu", root: str | os.PathLike[str] = ".") -> Path:
    """Run an experiment and store it as data/runs/NAME.json under ``root``; prints a line after each training run.

    Until it is complete it lives in _build/runs/, from where an interrupted experiment goes on.
    """
    experiment = _experiment(name)
    if seeds < 5:
        raise ValueError(f"seeds={seeds}: need at least 5, fewer cannot be compared")
    device = find_device(device)
    unfinished = Path(root, "_build", "runs", f"{name}.json")
    record = json.loads(json.dumps(_header(name, experiment, device)))
    fixed, sides_now = set(record) - {"sides"}, record["sides"]
    record |= {"script": "", "date": date.today().isoformat(), "search": [], "rates": {}, "runs": []}
    if unfinished.is_file():
        before = json.loads(unfinished.read_text(encoding="utf-8"))
        if all(before.get(key) == record[key] for key in fixed):
            # A side that came in, or changed, starts anew; the others go on.
            same = {label for label, side in before["sides"].items() if sides_now.get(label) == side}
            for key in ("search", "runs"):
                record[key] = [entry for entry in before[key] if entry["net"] in same]
    record["script"] = f"cnnlib run {name} --seeds {seeds}"

    def save(line: str) -> None:
        _save(unfinished, record)
        print(line, flush=True)

    data = tuple(images.to(device) for images in experiment.data())
    epochs = experiment.epochs()
    for label in experiment.sides:
        record["rates"][label] = _search(experiment, label, data, epochs[label], record, device, save)
    done = {(run["net"], run["seed"]) for run in record["runs"]}
    for seed in range(seeds):
        for label in experiment.sides:
            if (label, seed) in done:
                continue
            split = data[0].take(experiment.images), data[1]
            one = _train(experiment, label, split, epochs[label], record["rates"][label], seed, device)
            record["runs"].append(one)
            save(f"{label}, seed {seed}: {experiment.metric.value(one['rows']):.2f} in {one['wall_s']:.0f} s")
    stored = Path(root, "data", "runs", f"{name}.json")
    _save(unfinished, record)
    stored.parent.mkdir(parents=True, exist_ok=True)
    os.replace(unfinished, stored)
    return stored
