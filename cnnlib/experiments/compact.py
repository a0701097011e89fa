"""Answers of trained networks in few bytes: which test images they got right, and logits, data/runs/NAME.npz.

A logit is kept as its distance below the largest one of its image, on a grid that is fine near zero and coarse
further down: averages, classes and calibration come out the same to a fraction of their spread over seeds.
"""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

STEPS = 20  # a distance d is kept as the whole number nearest to STEPS * sqrt(d)
DEEPEST = 16.0  # larger distances count as this one: a probability of e^-16


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


def text(logits: Tensor) -> str:
    """For the record of an unfinished experiment."""
    return base64.b85encode(coded(logits).tobytes()).decode()


def store(path: Path, runs: list[dict], classes: int) -> None:
    """Take the texts out of the runs, and write them to ``path`` (.npz), an array (seeds, N, C) a side and view."""
    arrays: dict[str, list[np.ndarray]] = {}
    for run in runs:
        for view, kept in run.pop("answers").items():
            codes = np.frombuffer(base64.b85decode(kept), np.uint8).reshape(-1, classes)
            arrays.setdefault(f"{run['net']}/{view}", []).append(codes)
    with path.with_suffix(".part").open("wb") as file:
        np.savez_compressed(file, **{key: np.stack(codes) for key, codes in arrays.items()})
    path.with_suffix(".part").replace(path)


def load(path: Path) -> dict[str, Tensor]:
    """Logits (seeds, N, C) of each "side/view"."""
    with np.load(path) as arrays:
        return {key: decoded(arrays[key]) for key in arrays.files}
