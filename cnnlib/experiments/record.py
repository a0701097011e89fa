"""What is stored of an experiment: its record, written after each entry, and the answers of its networks in few bytes.

The record, data/runs/NAME.json, holds all that fixes the outcome, and what is done. The answers, data/runs/NAME.npz,
are logits, each kept as its distance below the largest one of its image, on a grid that is fine near zero and coarse
further down: averages, classes and calibration come out the same to a fraction of their spread over seeds.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import cnnlib
from cnnlib.costs import trace
from cnnlib.experiments.experiment import Experiment
from cnnlib.experiments.search import SEEDS, VALIDATION
from cnnlib.images import Split
from cnnlib.training import describe

CODE = ("images", "models", "training", "experiments")  # the rooms whose code can change an outcome
STEPS = 20  # a distance d is kept as the whole number nearest to STEPS * sqrt(d)
DEEPEST = 16.0  # larger distances count as this one: a probability of e^-16


def _set(experiment: Experiment) -> str:
    """The name of the images, and whether it is all of them."""
    data = experiment.data
    return f"{data.func.__name__}, all of it" if hasattr(data, "func") else data.__name__


def digest(images: Split) -> str:
    """Of pixels and labels, training and test."""
    total = hashlib.sha256()
    for part in images:
        total.update(part.x.cpu().numpy().tobytes() + part.y.cpu().numpy().tobytes())
    return total.hexdigest()[:16]


@cache
def code_digest(rooms: tuple[str, ...] = CODE) -> str:
    """Of the source of ``rooms``: of those that can change an outcome, where none are named."""
    total = hashlib.sha256()
    for room in rooms:
        for path in sorted(Path(cnnlib.__file__).with_name(room).glob("*.py")):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def instructions() -> dict[str, str]:
    """The instruction sets that PyTorch's own kernels and oneDNN use here: they decide how sums are rounded."""
    return {
        "torch": torch.backends.cpu.get_cpu_capability(),
        "oneDNN": os.environ.get("ONEDNN_MAX_CPU_ISA", "the best there is"),
    }


def header(name: str, experiment: Experiment, device: torch.device) -> dict:
    """All that fixes the outcome; an unfinished file with another header is not continued."""
    recipe, data, epochs = experiment.recipe, experiment.data(), experiment.epochs()
    image = tuple(data[0].x.shape[1:])
    step = {"momentum": recipe.momentum, "decay": recipe.decay}
    if recipe.optimiser:  # which brings its own
        step = {"optimiser": describe(recipe.optimiser)}
    return {
        "name": name,
        "question": experiment.question,
        "data": {
            "set": _set(experiment), "train": experiment.images, "validation": VALIDATION, "test": len(data[1]),
            "digest": digest(data),
        },
        "recipe": {
            "epochs": recipe.epochs, "batch": recipe.batch, **step,
            "lr": "0 to its peak over a fifth of the run, then to 0", "first grid": list(experiment.rates),
            "search seeds": SEEDS, **({"channels_last": True} if recipe.channels_last else {}),
        },
        "sides": {
            label: {
                "build": describe(side.build), "augment": describe(side.augment),
                # a step costs three forward passes
                "budget_macs": round(
                    3 * experiment.images * epochs[label] * trace(side.build(), image).macs
                ),
                **({"epochs": epochs[label]} if experiment.equal_macs else {}),
            }
            for label, side in experiment.sides.items()
        },
        **({"views": list(experiment.views)} if experiment.views else {}),
        "device": f"{device}, threads: 1" if device.type == "cpu" else f"{device}",
        "instructions": instructions() if device.type == "cpu" else {},
        "versions": {v.__name__: v.__version__ for v in (torch, np)} | {"python": platform.python_version()},
        "code": {"version": cnnlib.__version__, "digest": code_digest()},
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
    """The record of an experiment, ``content``; what ``path`` holds of the same experiment is in it already.

    Beside the header it holds, a side each, ``step_bytes`` and ``start`` (the spread of each layer's output before
    training), the ``search``, the ``rates`` chosen, the ``runs``, and which of them ``failed``.
    """

    def __init__(self, name: str, experiment: Experiment, device: torch.device, path: Path) -> None:
        self.path, self.experiment = path, experiment
        self.content = json.loads(json.dumps(header(name, experiment, device)))
        fixed, now = set(self.content) - {"sides"}, self.content["sides"]
        self.content |= {"script": "", "date": date.today().isoformat(), "processor": processor()}
        self.content |= {"step_bytes": {}, "start": {}, "search": [], "rates": {}, "runs": [], "failed": []}
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            if all(before.get(key) == self.content[key] for key in fixed):
                # A side that came in, or changed, starts anew; the others go on.
                same = {label for label, side in before["sides"].items() if now.get(label) == side}
                for key in ("step_bytes", "start"):
                    self.content[key] = {k: v for k, v in before[key].items() if k in same}
                for key in ("search", "runs", "failed"):
                    self.content[key] = [entry for entry in before[key] if entry["net"] in same]

    def add(self, key: str, entry: dict) -> None:
        """One more entry of the search or the runs, in the order that one process would have made them."""
        self.content[key].append(entry)
        sides = list(self.experiment.sides)
        if key == "search":
            self.content[key].sort(key=lambda e: (sides.index(e["net"]), e["peak"], e["seed"]))
        else:
            self.content[key].sort(key=lambda e: (e["seed"], sides.index(e["net"])))
            failed = [
                {k: e[k] for k in ("net", "seed", "failed")} for e in self.content["runs"] if e.get("failed")
            ]
            self.content["failed"] = failed
        self.save()

    def save(self) -> None:
        """Write all there is so far."""
        save(self.path, self.content)


# Answers


def bits(answers: Tensor) -> str:
    """(N,) booleans -> text of a sixth of N characters, for the record of a run; N is a multiple of eight."""
    return base64.b85encode(np.packbits(answers.cpu().numpy()).tobytes()).decode()


def booleans(text: str) -> np.ndarray:
    """The booleans (N,) of ``bits``."""
    return np.unpackbits(np.frombuffer(base64.b85decode(text), np.uint8)).astype(bool)


def coded(logits: Tensor) -> np.ndarray:
    """(N, C) -> bytes of the same shape."""
    logits = logits.detach().cpu().double()
    below = (logits.max(-1, keepdim=True).values - logits).clamp(max=DEEPEST)
    return (below.sqrt() * STEPS).round().to(torch.uint8).numpy()


def decoded(codes: np.ndarray) -> Tensor:
    """Logits of which the largest is 0, shape as coded."""
    return -((torch.from_numpy(codes).float() / STEPS) ** 2)


def packed(logits: Tensor) -> str:
    """For the record of an unfinished experiment."""
    return base64.b85encode(coded(logits).tobytes()).decode()


def store_answers(path: Path, runs: list[dict], classes: int) -> None:
    """Take the texts out of the runs, and write them to ``path`` (.npz), an array (seeds, N, C) a side and view."""
    arrays: dict[str, list[np.ndarray]] = {}
    for run in runs:
        for view, kept in run.pop("answers").items():
            codes = np.frombuffer(base64.b85decode(kept), np.uint8).reshape(-1, classes)
            arrays.setdefault(f"{run['net']}/{view}", []).append(codes)
    with path.with_suffix(".part").open("wb") as file:
        np.savez_compressed(file, **{key: np.stack(codes) for key, codes in arrays.items()})
    path.with_suffix(".part").replace(path)


def load_answers(path: Path) -> dict[str, Tensor]:
    """Logits (seeds, N, C) of each "side/view"."""
    with np.load(path) as arrays:
        return {key: decoded(arrays[key]) for key in arrays.files}
