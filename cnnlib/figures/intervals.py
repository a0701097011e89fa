"""Differences with their intervals, one below the other: a zero line, a dot a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from cnnlib.figures.style import COLOURS, FAINT, INK, TEXT, new_axes, styled


@dataclass(frozen=True)
class Interval:
    """One difference: its estimate, its 95 % interval, and what each seed gave."""

    label: str
    difference: float
    low: float
    high: float
    seeds: Sequence[float]


def _draw(ax: Axes, row: Interval, y: float, k: int) -> None:
    ax.plot([row.low, row.high], [y, y], color=COLOURS[k], lw=3, solid_capstyle="butt")
    ax.plot(row.difference, y, marker="os"[k], ms=9, color=COLOURS[k], mec="white")
    ax.plot(
        row.seeds, np.full(len(row.seeds), y - 0.13), ls="", marker=".", ms=5, color=COLOURS[k], alpha=0.6
    )


@styled
def intervals(rows: Sequence[Interval], again: Sequence[Interval], xlabel: str) -> Axes:
    """A bar for each of ``rows``; ``again``: the same comparisons made a second time, or none. Returns the Axes.

    An end of an interval that is not a number to draw, as of a median of few seeds, reaches to the edge.
    """
    if again and len(again) != len(rows):
        raise ValueError(
            f"again has {len(again)} intervals: need one for each of the {len(rows)} rows, or none"
        )
    step = 1.0 + 0.45 * bool(again)
    (ax,) = new_axes(1.3 + 0.62 * step * len(rows))
    ax.axvline(0, color=INK, lw=1.2, ls="--")
    seen = [v for r in (*rows, *again) for v in (r.low, r.high, *r.seeds) if np.isfinite(v)]
    edge = 1.1 * max(map(abs, seen), default=1.0)
    for i, row in enumerate(rows):
        y = -step * i
        for k, one in enumerate([row, *again[i : i + 1]]):
            low, high = np.clip([one.low, one.high], -edge, edge)
            _draw(ax, Interval(one.label, one.difference, low, high, one.seeds), y - 0.42 * k, k)
        ax.annotate(
            row.label, (0, y + 0.2), xycoords=("axes fraction", "data"), fontsize=TEXT - 1, va="bottom"
        )
    ax.set(xlabel=xlabel, yticks=[], ylim=(-step * (len(rows) - 1) - 0.35 - 0.42 * bool(again), 0.75))
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=FAINT)
    if again:
        for k, name in enumerate(("first seeds", "other seeds, searched anew")):
            ax.plot([], [], color=COLOURS[k], marker="os"[k], lw=3, label=name)
        ax.legend(frameon=False, fontsize=TEXT - 2, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return ax
