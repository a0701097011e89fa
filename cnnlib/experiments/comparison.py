"""Is one side better than the other? Differences paired by seed, with an interval and a verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from cnnlib.experiments.experiment import TEST_ACCURACY, Metric
from cnnlib.experiments.record import booleans


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean, at percentiles widened for small samples.

    Tim Hesterberg: What teachers should know about the bootstrap. The American Statistician 69(4), 2015. With
    five normal differences it holds their true mean 93 times in 100, where plain percentiles do 86 times.
    """
    values = np.asarray(differences, float)
    n = len(values)
    level = scipy.stats.norm.cdf(-scipy.stats.t.ppf(0.975, n - 1) * (n / (n - 1)) ** 0.5)
    draws = np.random.default_rng(0).integers(n, size=(20_000, n))
    low, high = np.quantile(values[draws].mean(1), (level, 1 - level))
    return float(low), float(high)


def median_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Interval of the median between two of the sorted values: at least 95 %, whatever they are drawn from.

    The number of values below the true median is binomial. With five values not even the smallest and the largest
    hold it so often, so from fewer than six the interval is without end.
    """
    values = sorted(differences)
    outside = int(scipy.stats.binom.ppf(0.025, len(values), 0.5))  # left out on each side
    if not outside:
        return float("-inf"), float("inf")
    return values[outside - 1], values[-outside]


@dataclass(frozen=True)
class Comparison:
    """Side ``a`` less side ``b``, paired by seed: the difference and its 95 % interval. Prints as a sentence.

    The difference is the mean over seeds; where a run of either side failed, it is the median. ``images``: how many
    test images the interval allows for, 0 if it speaks of seeds alone. ``epochs``: the budget, where more of it might
    change the answer; None where the curves are flat. ``differ``: in what the sides differ, if in more than one thing.
    """

    a: str
    b: str
    differences: tuple[float, ...]  # one a seed
    difference: float
    low: float
    high: float
    metric: Metric
    failed: tuple[int, int] = (0, 0)  # runs of a and of b
    images: int = 0
    epochs: float | None = None
    differ: tuple[str, ...] = ()

    @property
    def seeds(self) -> int:
        """How many pairs of runs."""
        return len(self.differences)

    @property
    def resolution(self) -> float:
        """Smallest difference of this sign that these seeds could have shown: how far the interval reaches to 0.

        Moved by a constant, differences move their interval with them. So a difference is shown if, and only if,
        it is larger than this.
        """
        return self.difference - self.low if self.difference > 0 else self.high - self.difference

    @property
    def word(self) -> str:
        """``better`` or ``worse`` (a than b), or ``no difference shown`` if the interval holds 0."""
        if self.low <= 0 <= self.high:
            return "no difference shown"
        return "better" if (self.difference > 0) == self.metric.more_is_better else "worse"

    def __str__(self) -> str:
        """The verdict."""
        shown = self.word != "no difference shown"
        side = "the side with " if self.differ else ""
        a, b = side + self.a, side + self.b
        told = f"{a} is {self.word} than {b}" if shown else f"no difference shown between {a} and {b}"
        if self.epochs:
            told += f" within {self.epochs:g} epochs"
        kind = "median " if any(self.failed) else ""
        over = f"{self.seeds} seeds" + (f", {self.images:,} images" if self.images else "")
        told += (
            f"; {self.metric.name} {kind}{self.difference:+.2f} {self.metric.unit}, 95 % interval {self.low:+.2f} "
            f"to {self.high:+.2f} ({over})"
        )
        if not shown and self.resolution < float("inf"):
            told += f"; less than {self.resolution:.2f} could not have been shown"
        if any(self.failed):
            trained = [f"{self.seeds - n} of {self.seeds}" for n in self.failed]
            told += f"; trained at all: {trained[0]} against {trained[1]}"
        return told

    __repr__ = __str__


def _images(a: Mapping[int, dict], b: Mapping[int, dict], seeds: Sequence[int], metric: Metric) -> np.ndarray:
    """Right answers of a less those of b, -1, 0 or 1 (seeds, images), if each run kept which images it got right."""
    if not metric.on_test or not all("right" in side[seed] for side in (a, b) for seed in seeds):
        return np.zeros((len(seeds), 0))
    return np.stack([booleans(a[s]["right"]).astype(int) - booleans(b[s]["right"]) for s in seeds])


def compare(
    a: Sequence[dict],
    b: Sequence[dict],
    metric: Metric = TEST_ACCURACY,
    epochs: float | None = None,
    differ: Sequence[str] = (),
) -> Comparison:
    """Runs of two sides (dicts with ``net``, ``seed``, ``rows``), compared on the seeds that both have.

    The interval allows for other seeds and, where the runs kept which test images they got ``right``, for other test
    images: both halves are added as independent errors are. ``epochs`` and ``differ``: see ``Comparison``.
    Raises ``ValueError`` for fewer than five seeds: an interval from less is wrong too often.
    """
    one, two = ({run["seed"]: run for run in side} for side in (a, b))
    seeds = sorted(one.keys() & two.keys())
    if len(seeds) < 5:
        raise ValueError(f"the two sides share {len(seeds)} seeds: need at least 5 to compare them")
    pairs = [(metric.of(one[s]), metric.of(two[s])) for s in seeds]
    differences = [0.0 if x == y else x - y for x, y in pairs]
    failed = tuple(sum(bool(side[seed].get("failed")) for seed in seeds) for side in (one, two))
    by_image = _images(one, two, seeds, metric)
    if any(failed):
        middle, (low, high) = float(np.median(differences)), median_interval(differences)
    else:
        middle, (low, high) = float(np.mean(differences)), interval(differences)
        if by_image.size:
            error = 196 * by_image.mean(0).std() / by_image.shape[1] ** 0.5  # 1.96 standard errors, in points
            low, high = middle - np.hypot(middle - low, error), middle + np.hypot(high - middle, error)
    return Comparison(
        a[0]["net"], b[0]["net"], tuple(differences), middle, float(low), float(high), metric, failed,
        0 if any(failed) else by_image.shape[1], epochs, tuple(differ),
    )  # fmt: skip
