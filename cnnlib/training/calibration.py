"""Is a network right as often as it says? Confidence beside accuracy, in bins.

Chuan Guo, Geoff Pleiss, Yu Sun, Kilian Q. Weinberger: On Calibration of Modern Neural Networks. ICML 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bin:
    """Images whose largest probability lies in (low, high]: their share, mean confidence, share answered right."""

    low: float
    high: float
    share: float
    confidence: float
    accuracy: float


def confidence_bins(logits: Tensor, y: Tensor, count: int = 15) -> list[Bin]:
    """Equally wide bins of confidence that hold at least one image.

    ``logits``: logits or log-probabilities (N, C); ``y``: labels (N,).
    """
    if logits.ndim != 2 or logits.shape[:1] != y.shape or not len(y):
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} and labels of {tuple(y.shape)}: need (N, C) and (N,)"
        )
    confidence, said = logits.double().softmax(1).max(1)
    place = (confidence * count).ceil().clamp(1, count).long() - 1
    bins = []
    for k in range(count):
        held = place == k
        if held.any():
            right = (said[held] == y[held]).double().mean().item()
            share = held.double().mean().item()
            bins.append(Bin(k / count, (k + 1) / count, share, confidence[held].mean().item(), right))
    return bins


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (ECE): the gap between confidence and accuracy, averaged over images."""
    return sum(b.share * abs(b.confidence - b.accuracy) for b in bins)


def overconfidence(bins: Sequence[Bin]) -> float:
    """Mean confidence less accuracy: above zero the network claims too much."""
    return sum(b.share * (b.confidence - b.accuracy) for b in bins)


def nll(logits: Tensor, y: Tensor) -> float:
    """Mean of -log p of the true class, in nats: what training minimises (the negative log-likelihood)."""
    return -logits.log_softmax(1)[torch.arange(len(y)), y].mean().item()
