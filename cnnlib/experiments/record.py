"""The record of an experiment: all that fixes its outcome, what is done, written after each entry."""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from pathlib import Path

import numpy as np
import torch

from cnnlib.costs import trace
from cnnlib.experiments.experiment import Experiment
from cnnlib.training import words


def _set(experiment: Experiment) -> str:
    """The name of the images, and whether it is all of them."""
    data = experiment.data
    return f"{data.func.__name__}, all of it" if hasattr(data, "func") else data.__name__


def header(name: str, experiment: Experiment, device: torch.device) -> dict:
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
        "data": {"set": _set(experiment), "train": experiment.images, "test": len(data[1])},
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
                    3 * experiment.images * epochs[label] * trace(side.build(), image).macs
                ),
                **({"epochs": epochs[label]} if experiment.equal_macs else {}),
            }
            for label, side in experiment.sides.items()
        },
        **({"views": list(experiment.views)} if experiment.views else {}),
        "device": f"{device}{threads}",
        "versions": {v.__name__: v.__version__ for v in (torch, np)} | {"python": platform.python_version()},
    }  # fmt: skip


def save(path: Path, record: dict) -> None:
    """Write in one go, an entry of each list on its own line."""

    def text(value: object) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in value) + "\n ]"

    body = ",\n ".join(f"{json.dumps(key)}: {text(value)}" for key, value in record.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_text(f"{{\n {body}\n}}\n", encoding="utf-8")
    os.replace(path.with_suffix(".part"), path)


class Record:
    """The record of an experiment, ``record``; what ``path`` holds of the same experiment is in it already."""

    def __init__(self, name: str, experiment: Experiment, device: torch.device, path: Path) -> None:
        self.path, self.experiment = path, experiment
        self.record = json.loads(json.dumps(header(name, experiment, device)))
        fixed, now = set(self.record) - {"sides"}, self.record["sides"]
        self.record |= {"script": "", "date": date.today().isoformat()}
        self.record |= {"step_bytes": {}, "search": [], "rates": {}, "runs": []}
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if all(before.get(key) == self.record[key] for key in fixed):
                # A side that came in, or changed, starts anew; the others go on.
                same = {label for label, side in before["sides"].items() if now.get(label) == side}
                self.record["step_bytes"] = {
                    k: v for k, v in before.get("step_bytes", {}).items() if k in same
                }
                for key in ("search", "runs"):
                    self.record[key] = [entry for entry in before[key] if entry["net"] in same]

    def add(self, key: str, entry: dict, line: str) -> None:
        """One more entry of the search or the runs, in the order that one process would have made them."""
        self.record[key].append(entry)
        sides, rates = list(self.experiment.sides), self.experiment.rates
        if key == "search":
            self.record[key].sort(key=lambda e: (sides.index(e["net"]), rates.index(e["peak"])))
        else:
            self.record[key].sort(key=lambda e: (e["seed"], sides.index(e["net"])))
        self.save()
        print(line, flush=True)

    def save(self) -> None:
        """Write all there is so far."""
        save(self.path, self.record)

    def rate(self, label: str) -> float:
        """The peak rate with which a side did best in the search."""
        tried = [
            entry for entry in self.record["search"] if entry["net"] == label and entry["value"] is not None
        ]
        if not tried:
            raise ValueError(
                f"{label} diverges at each of rates={self.experiment.rates}: it needs lower ones"
            )
        sign = 1 if self.experiment.metric.more_is_better else -1
        return max(tried, key=lambda entry: sign * entry["value"])["peak"]
