"""Worth against cost: a bubble a network, its area the parameters, and the front that nothing beats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cnnlib.style import COLOURS, FAINT, INK, MARKS, TEXT, at_most_seven, new_axes, short, styled
from cnnlib.versus import name_points

AREA = 900  # square points for the largest bubble


def _along(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points on the steps between corners, for names to keep clear of."""
    out = []
    for (x0, y0), (x1, y1) in zip(corners, corners[1:], strict=False):
        out += [(v, y0) for v in np.geomspace(x0, x1, 40)] + [(x1, v) for v in np.linspace(y0, y1, 20)]
    return out


@styled
def bubbles(
    rows: Iterable[Mapping], x: str, y: str, size: str, xlabel: str, ylabel: str,
    named: Sequence[str] = (), front: Sequence[str] = (),
) -> Axes:  # fmt: skip
    """A bubble a row at its fields ``x`` (a logarithmic axis) and ``y``, its area in proportion to ``size``
    (the smallest are dots).

    Rows have a ``name``, and a ``group`` that gives colour and mark. ``named``: which carry their name.
    ``front``: names, joined by steps in this order.
    """
    rows = list(rows)
    by_name = {row["name"]: row for row in rows}
    missing = [name for name in (*named, *front) if name not in by_name]
    if missing:
        raise ValueError(f"named or front has {', '.join(missing)}: rows has no such network")
    groups = list(dict.fromkeys(row["group"] for row in rows))
    at_most_seven("groups", groups)
    (ax,) = new_axes(6.4)
    largest = max(row[size] for row in rows)
    for row in sorted(rows, key=lambda r: -r[size]):
        k = groups.index(row["group"])
        area = max(AREA * row[size] / largest, 12)
        ax.scatter(row[x], row[y], s=area, color=COLOURS[k], marker=MARKS[k], alpha=0.55, ec="white", lw=0.8)
        ax.plot(row[x], row[y], ".", ms=3, color=INK)
    if front:
        places = [(by_name[name][x], by_name[name][y]) for name in front]
        ax.step(*zip(*places, strict=True), where="post", color=INK, lw=1.6, ls="--", zorder=1)
    marks = [
        Line2D([], [], ls="", marker=MARKS[k], ms=9, color=COLOURS[k], alpha=0.7, label=g)
        for k, g in enumerate(groups)
    ]
    if front:
        marks.append(Line2D([], [], color=INK, lw=1.6, ls="--", label="front"))
    ax.legend(
        handles=marks, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.12, 1), fontsize=TEXT - 1,
        columnspacing=1,
    )  # fmt: skip
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.grid(color=FAINT)
    ax.margins(0.09)
    ax.xaxis.set_major_formatter(lambda v, _: short(v))
    low, high = np.log10(ax.get_xlim())
    ax.set_xticks([v for e in range(-3, 14) for v in (10.0**e, 3 * 10.0**e) if low <= np.log10(v) <= high])
    ax.minorticks_off()
    dots = [(row[x], row[y]) for row in rows] + _along([(by_name[n][x], by_name[n][y]) for n in front])
    name_points(ax, {name: (by_name[name][x], by_name[name][y]) for name in named}, dots)
    return ax
