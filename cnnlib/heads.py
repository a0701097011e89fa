"""The loss of a network with auxiliary classifiers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def loss(answer: Tensor | tuple[Tensor, ...], y: Tensor, weight: float = 0.3) -> Tensor:
    """Cross-entropy of the logits, and ``weight`` times that of each auxiliary head (Szegedy et al. 2014, sec. 5).

    ``answer``: what a network says in training, the logits (N, classes) alone or followed by those of its heads;
    ``y``: class numbers (N,).
    """
    logits, *heads = answer if isinstance(answer, tuple) else (answer,)
    return F.cross_entropy(logits, y) + weight * sum(F.cross_entropy(head, y) for head in heads)
