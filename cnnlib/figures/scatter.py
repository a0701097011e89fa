"""Points on two axes: measured against predicted, under the roof of a machine, bubbles of accuracy against cost."""

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


def _checked(rows: Iterable[object], named: Sequence[str]) -> list[Mapping]:
    found = [_fields(row) for row in rows]
    missing = set(named) - {row["name"] for row in found}
    if missing:
        raise ValueError(f"named has {', '.join(sorted(missing))}: rows has no such network")
    return found


def _finish(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Logarithmic axes with round numbers; names are placed after this."""
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.grid(color=FAINT)
    ax.minorticks_off()
    ax.xaxis.set_major_formatter(lambda v, _: short(v))
    ax.yaxis.set_major_formatter(lambda v, _: short(v))
    ax.margins(0.08)


@styled
def time_vs_macs(rows: Iterable[object], peak: float, named: Sequence[str], bound: float = 1.0) -> Axes:
    """Seconds of a forward pass against MACs, a point a network, with a line as long as its spread.

    ``rows``: of :mod:`cnnlib.measuring`, stored ones or fresh. ``peak``: the MACs that the machine can do in a
    second at best; its line is the least time that the arithmetic needs. ``named``: which networks carry their
    name. Rows whose ``spread`` is above ``bound`` are drawn hollow.
    """
    rows = _checked(rows, named)
    (ax,) = new_axes(5.2)
    for unsteady in (False, True):
        some = [r for r in rows if (r["spread"] > bound) is unsteady]
        if not some:
            continue
        x, y = [r["macs"] for r in some], [1e3 * r["forward"] for r in some]
        half = [r["spread"] * v / 2 for r, v in zip(some, y, strict=True)]
        ax.errorbar(x, y, half, ls="", color=COLOURS[0], elinewidth=1.1, alpha=0.7, zorder=2)
        told = f"spread above {bound:.0%}" if unsteady else "measured"
        face = "white" if unsteady else COLOURS[0]
        ax.plot(
            x, y, ls="", marker=MARKS[0], ms=6, mfc=face, mec=COLOURS[0] if unsteady else "white", label=told
        )
    ends = [min(r["macs"] for r in rows), max(r["macs"] for r in rows)]
    ax.plot(
        ends,
        [1e3 * m / peak for m in ends],
        color=INK,
        lw=1.4,
        ls="--",
        zorder=1,
        label="at the machine's peak",
    )
    _finish(ax, "MACs of a forward pass", "forward pass (ms)")
    ax.legend(frameon=False, loc="upper left", fontsize=TEXT - 1)
    places = {r["name"]: (r["macs"], 1e3 * r["forward"]) for r in rows if r["name"] in named}
    name_points(ax, places, [(r["macs"], 1e3 * r["forward"]) for r in rows])
    return ax


@styled
def predicted_vs_measured(rows: Iterable[object], named: Sequence[str]) -> Axes:
    """The measured peak of memory against the predicted one, two points a network: a forward pass, a training step.

    ``rows``: of :mod:`cnnlib.measuring`, stored ones or fresh. ``named``: which networks carry their name, at the
    point of the forward pass.
    """
    rows = _checked(rows, named)
    (ax,) = new_axes(5.2)
    pairs = {
        "forward pass": ("predicted_memory", "memory"),
        "training step": ("predicted_training", "training"),
    }
    _agree(ax, [row[told] for row in rows for told, _ in pairs.values()], "as predicted")
    dots = []
    for k, (label, (told, found)) in enumerate(pairs.items()):
        dots += [(row[told], row[found]) for row in rows]
        _points(ax, [row[told] for row in rows], [row[found] for row in rows], k, label)
    _finish(ax, "predicted peak (bytes)", "measured peak (bytes)")
    ax.legend(frameon=False, loc="upper left", fontsize=TEXT - 1)
    name_points(
        ax, {r["name"]: (r["predicted_memory"], r["memory"]) for r in rows if r["name"] in named}, dots
    )
    return ax


@styled
def roofline(groups: Mapping[str, Iterable[object]], machine: object, named: Sequence[str] = ()) -> Axes:
    """MACs a second against arithmetic intensity, a point a row, under the roof of ``machine``.

    ``groups``: label -> points of :func:`cnnlib.measuring.roofline.points`. ``machine``: of
    :mod:`cnnlib.measuring.roofline`; a dotted slope for each of its caches, named, beside that of its memory.
    ``named``: which points carry their name.
    """
    kept = {label: _checked(points, ()) for label, points in groups.items()}
    at_most_seven("groups", kept)
    everything = _checked([row for points in kept.values() for row in points], named)
    (ax,) = new_axes(5.6)
    low = min(row["intensity"] for row in everything) / 1.6
    high = max(max(row["intensity"] for row in everything), machine.ridge) * 1.6
    slopes = {"memory": machine.bandwidth} | {cache.level: cache.bandwidth for cache in machine.caches}
    for label, speed in slopes.items():
        x = [low, max(low, machine.macs / speed)]
        style = {"lw": 1.8, "color": INK} if label == "memory" else {"lw": 1.4, "ls": ":", "color": INK}
        ax.plot(x, [speed * v / 1e9 for v in x], zorder=1, **style)
    ax.plot([max(low, machine.ridge), high], [machine.macs / 1e9] * 2, color=INK, lw=1.8, zorder=1)
    ridge_of_fastest = machine.macs / max(slopes.values())
    ax.plot(
        [max(low, ridge_of_fastest), machine.ridge],
        [machine.macs / 1e9] * 2,
        color=INK,
        lw=1.4,
        ls=":",
        zorder=1,
    )
    for k, (label, points) in enumerate(kept.items()):
        _points(ax, [row["intensity"] for row in points], [row["reached"] for row in points], k, label)
    _finish(ax, "MACs a byte", "billion MACs a second")
    ax.set_ylim(top=1.7 * machine.macs / 1e9)
    ax.figure.canvas.draw()
    for label, speed in slopes.items():
        below = label == "memory"  # the caches' slopes stand above it
        ax.annotate(
            label, (low * 1.15, speed * low * 1.15 / 1e9), (7, -7) if below else (0, 4), rotation=_slope(ax),
            textcoords="offset points", fontsize=TEXT - 2, rotation_mode="anchor", va="top" if below else "baseline",
        )  # fmt: skip
    ax.annotate(
        "arithmetic",
        (high, machine.macs / 1e9),
        (0, 4),
        textcoords="offset points",
        ha="right",
        fontsize=TEXT - 2,
    )
    ax.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=2, fontsize=TEXT - 1, columnspacing=1
    )
    dots = [(row["intensity"], row["reached"]) for row in everything]
    name_points(
        ax,
        {row["name"]: (row["intensity"], row["reached"]) for row in everything if row["name"] in named},
        dots,
    )
    return ax


def _slope(ax: Axes) -> float:
    """Degrees at which a line of slope one stands on these axes."""
    (x0, y0), (x1, y1) = (ax.transData.transform(v) for v in ((1, 1), (10, 10)))
    return float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))


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
