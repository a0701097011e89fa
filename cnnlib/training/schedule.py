"""Learning rates as functions of progress: 0 at the first step of a training run, 1 at its end."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True)
class PiecewiseLinear:
    """Straight lines through (knot, value): ``PiecewiseLinear((0, 0.2, 1), (0, 0.1, 0))`` rises to 0.1, falls to 0.

    Raises ``ValueError`` unless the knots rise from 0 to 1 and each has one value.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the knots."""
        rising = all(a < b for a, b in zip(self.knots, self.knots[1:], strict=False))
        if len(self.knots) < 2 or self.knots[0] != 0 or self.knots[-1] != 1 or not rising:
            raise ValueError(f"knots={self.knots}: need rising numbers from 0 to 1")
        if len(self.values) != len(self.knots):
            raise ValueError(f"values={self.values}: need one for each of {len(self.knots)} knots")

    def __call__(self, t: float) -> float:
        """Rate at progress ``t``."""
        right = next(i for i in range(1, len(self.knots)) if t <= self.knots[i] or self.knots[i] == 1)
        (t0, t1), (v0, v1) = self.knots[right - 1 : right + 1], self.values[right - 1 : right + 1]
        # At a knot its own value: the formula may miss it by a rounding, and fall below 0.
        return v1 if t == t1 else v0 + (v1 - v0) * (t - t0) / (t1 - t0)


@dataclass(frozen=True)
class StepDecay:
    """``start``, times ``factor`` as progress passes each of ``at``: the staircase of the early papers."""

    start: float
    at: tuple[float, ...]
    factor: float = 0.1

    def __call__(self, t: float) -> float:
        """Rate at progress ``t``."""
        return self.start * self.factor ** sum(t >= edge for edge in self.at)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from ``start`` down to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983).

    ``warmup``: the share of the run in which the rate rises from 0 in a straight line, before the cosine begins.
    """

    start: float
    warmup: float = 0.0

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup={self.warmup}: need at least 0 and less than 1")

    def __call__(self, t: float) -> float:
        """Rate at progress ``t``."""
        if t < self.warmup:
            return self.start * t / self.warmup
        return self.start * (1 + cos(pi * (t - self.warmup) / (1 - self.warmup))) / 2
