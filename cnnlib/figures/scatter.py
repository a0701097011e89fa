"""Measured against predicted: a point a network, and the line on which they would agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cnnlib.figures.style import COLOURS, FAINT, INK, MARKS, TEXT, at_most_seven, new_axes, short, styled

_AROUND = np.radians(
    [0, 180, 90, 270, 45, 225, 315, 135, 22.5, 202.5, 157.5, 337.5, 67.5, 247.5, 112.5, 292.5]
)


def _fields(row: object) -> Mapping:
    return row if isinstance(row, Mapping) else vars(row)


def _points(ax: Axes, x: Sequence[float], y: Sequence[float], kind: int, label: str) -> None:
    ax.plot(x, y, ls="", marker=MARKS[kind], ms=6, color=COLOURS[kind], alpha=0.85, mec="white", label=label)


def name_points(
    ax: Axes, places: Mapping[str, tuple[float, float]], dots: Sequence[tuple[float, float]]
) -> None:
    """Writes the name beside each place, where it covers no dot, no other name and no border."""
    ax.figure.canvas.draw()
    renderer, to_pixels = ax.figure.canvas.get_renderer(), ax.transData.transform
    taken = [np.array([px - 5, py - 5, px + 5, py + 5]) for px, py in map(to_pixels, dots)]
    frame = ax.get_window_extent(renderer)
    for name, place in places.items():
        text = ax.annotate(
            name, place, (0, 0), textcoords="offset points", fontsize=TEXT - 2, color=INK, ha="center",
            va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": INK, "lw": 0.7, "shrinkA": 0, "shrinkB": 3},
        )  # fmt: skip
        text.set_in_layout(False)  # else the panel would shrink, and places found now be wrong
        box = text.get_window_extent(renderer)
        w, h, (px, py) = box.width, box.height, to_pixels(place)
        for far, angle in product((8, 16, 28, 44, 64, 90, 120, 160), _AROUND):
            cx, cy = px + np.cos(angle) * (far + w / 2), py + np.sin(angle) * (far + h / 2)
            spot = np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
            inside = frame.x0 < spot[0] and spot[2] < frame.x1 and frame.y0 < spot[1] and spot[3] < frame.y1
            if inside and not any(_touch(spot, other) for other in taken):
                break
        taken.append(spot)
        point = 72 / ax.figure.dpi
        text.set_position(((cx - px) * point, (cy - py) * point))


def _touch(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def _agree(ax: Axes, values: Sequence[float], told: str) -> None:
    """The diagonal, and what it stands for."""
    ends = [min(values), max(values)]
    ax.plot(ends, ends, color=INK, lw=1.4, ls="--", zorder=1, label=told)


@styled
def predicted_vs_measured(rows: Iterable[object], flops: float, named: Sequence[str]) -> list[Axes]:
    """Two panels: forward time against MACs, and the measured peak of memory against the predicted one.

    ``rows``: of :mod:`cnnlib.measuring`, stored ones or fresh. ``flops``: what the machine can do in a second at
    best; its line in the first panel is the least time that the arithmetic needs. ``named``: which networks
    carry their name, in the second panel only where they are off the line; all have a point.
    """
    rows = [_fields(row) for row in rows]
    missing = set(named) - {row["name"] for row in rows}
    if missing:
        raise ValueError(f"named has {', '.join(sorted(missing))}: rows has no such network")
    time, memory = new_axes(10, 2)
    x, y = [row["macs"] for row in rows], [1e3 * row["forward"] for row in rows]
    _points(time, x, y, 0, "measured")
    least = [2e3 * m / flops for m in (min(x), max(x))]
    time.plot([min(x), max(x)], least, color=INK, lw=1.4, ls="--", zorder=1, label="at this machine's peak")
    time.set(xlabel="MACs of a forward pass", ylabel="forward pass (ms)")
    pairs = {
        "predicting": ("predicted_memory", "memory"),
        "a training step": ("predicted_training", "training"),
    }
    told = [[row[a] for row in rows] for a, _ in pairs.values()]
    _agree(memory, sum(told, []), "as predicted")
    dots = []
    for k, (label, (a, b)) in enumerate(pairs.items()):
        dots += [(row[a], row[b]) for row in rows]
        _points(memory, [row[a] for row in rows], [row[b] for row in rows], k, label)
    memory.set(xlabel="predicted peak (bytes)", ylabel="measured peak (bytes)")
    for ax in (time, memory):
        ax.set(xscale="log", yscale="log")
        ax.grid(color=FAINT)
        ax.minorticks_off()
        ax.xaxis.set_major_formatter(lambda v, _: short(v))
        ax.yaxis.set_major_formatter(lambda v, _: short(v))
        ax.margins(0.08)
        ax.legend(frameon=False, loc="upper left", fontsize=TEXT - 1)
    wanted = [row for row in rows if row["name"] in named]
    name_points(
        time, {r["name"]: (r["macs"], 1e3 * r["forward"]) for r in wanted}, list(zip(x, y, strict=True))
    )
    off = [row for row in wanted if not 0.8 < row["memory"] / row["predicted_memory"] < 1.25]
    name_points(memory, {r["name"]: (r["predicted_memory"], r["memory"]) for r in off}, dots)
    return [time, memory]


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
