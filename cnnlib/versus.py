"""Measured against predicted: a point a network, and the line on which they would agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes

from cnnlib.style import COLOURS, FAINT, INK, MARKS, TEXT, new_axes, short, styled

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
def versus(rows: Iterable[object], flops: float, named: Sequence[str]) -> list[Axes]:
    """Two panels: forward time against MACs, and the measured peak of memory against the predicted one.

    ``rows``: of :mod:`cnnlib.measure`, stored ones or fresh. ``flops``: what the machine can do in a second at
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
