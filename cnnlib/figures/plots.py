"""Rows and arrays to figures in the house style. Knows no torch and computes nothing but where things stand.

Each function takes plain values, makes one figure and returns its ``Axes``.
End a cell with ``ax = plot.lines(...)``: the figure shows, and no text beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from cnnlib.figures.style import (
    COLOURS,
    DASHES,
    FAINT,
    HATCHES,
    INK,
    MARKS,
    TEXT,
    at_most_seven,
    for_text,
    new_axes,
    short,
    styled,
)


def _bars(
    ax: Axes, labels: Sequence[str], values: Sequence[float], groups: Sequence[str], texts: Sequence[str]
):
    """Bars from top to bottom, one colour and hatch a group, each with its value at the end."""
    kinds = list(dict.fromkeys(groups))
    at_most_seven("groups", kinds)
    for kind in kinds:
        rows = [i for i, group in enumerate(groups) if group == kind]
        k = kinds.index(kind)
        ax.barh(rows, [values[i] for i in rows], 0.72, color=COLOURS[k], hatch=HATCHES[k], label=kind, lw=0)
    for i, text in enumerate(texts):
        ax.annotate(
            text, (values[i], i), (5, 0), textcoords="offset points", va="center", color=INK,
            bbox={"fc": "white", "ec": "none", "pad": 1},
        )  # fmt: skip
    ax.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.45, -0.55))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=FAINT)
    ax.xaxis.set_major_formatter(lambda v, _: short(v))
    ax.set_xlim(0, 1.24 * max(values))
    if len(kinds) > 1:
        columns = len(kinds) if sum(map(len, kinds)) + 5 * len(kinds) < 46 else 2
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
        ax.legend(frameon=False, ncols=columns, fontsize=TEXT, **place)


def _same_length(columns: Mapping[str, Sequence]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ValueError(f"{told}: need one entry of each a row")


@styled
def bars(labels: Sequence[str], values: Sequence[float], xlabel: str, groups: Sequence[str] = ()) -> Axes:
    """Horizontal bars with their values, first label on top; ``groups`` (one a bar) colours them."""
    groups = groups or [""] * len(labels)
    _same_length({"labels": labels, "values": values, "groups": groups})
    (ax,) = new_axes(1.3 + 0.36 * len(labels))
    _bars(ax, labels, values, groups, [f"{v:,}" if isinstance(v, int) else f"{v:,.4g}" for v in values])
    ax.set_xlabel(xlabel)
    return ax


@styled
def top5_errors(rows: Iterable[Mapping]) -> Axes:
    """Top-5 errors by year, a bar an entry, and people as a line.

    ``rows``: mappings with ``year``, ``entry``, ``top5_error`` (per cent) and ``kind``, which colours the
    bars; a row of kind "human" becomes the line.
    """
    rows = list(rows)
    people = [r for r in rows if r["kind"] == "human"]
    entries = sorted((r for r in rows if r["kind"] != "human"), key=lambda r: int(r["year"]))
    values = [float(r["top5_error"]) for r in entries]
    (ax,) = new_axes(1.6 + 0.4 * len(entries))
    labels = [f"{r['year']}  {r['entry']}" for r in entries]
    _bars(ax, labels, values, [r["kind"] for r in entries], [f"{v:.3g} %" for v in values])
    for r in people:
        level = float(r["top5_error"])
        ax.axvline(level, color=INK, ls="--", lw=1.6, zorder=1.5)
        ax.annotate(
            f"{r['entry']}: {level:.3g} %",
            (level, len(entries)),
            (6, 0),
            textcoords="offset points",
            va="center",
        )
        ax.set_ylim(len(entries) + 0.5, -0.55)
    ax.set_xlabel("top-5 error (%)")
    return ax


@styled
def layer_costs(cost) -> list[Axes]:
    """Where a network spends: memory, parameters and MACs of each convolution and linear layer.

    ``cost``: of :func:`cnnlib.trace`. Three panels, one below the other; layers from left to right in order.
    """
    rows = [row for row in cost.rows if row.layer]
    if not rows:
        raise ValueError(f"{cost.name} has no convolution or linear layer: there is nothing to draw")
    linear = ["Linear" in row.kind or "mm" in row.kind for row in rows]
    at, axes = range(1, len(rows) + 1), new_axes(7.2, 3)
    panels = (
        ("Memory of the output (bytes)", [r.activations * cost.dtype.itemsize for r in rows]),
        ("Parameters", [r.params for r in rows]),
        ("Multiply-accumulates (MACs)", [r.macs for r in rows]),
    )
    for ax, (title, values) in zip(axes, panels, strict=True):
        for k, name in enumerate(("convolution", "fully connected")):
            mine = [i for i in range(len(rows)) if linear[i] == bool(k)]
            heights = [values[i] for i in mine]
            ax.bar([at[i] for i in mine], heights, 0.8, color=COLOURS[k], hatch=HATCHES[k], label=name, lw=0)
        ax.set_title(title)
        ax.grid(axis="y", color=FAINT)
        ax.yaxis.set_major_formatter(lambda v, _: short(v))
        ax.set_xticks(
            at if len(at) <= 12 else [i for i in at if i == 1 or i % (5 if len(at) <= 60 else 20) == 0]
        )
    axes[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1.12), ncols=2, fontsize=TEXT)
    axes[-1].set_xlabel("layer (convolutions and fully connected ones counted)")
    return axes


def _name_ends(ax: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Names each line at its right end, moved apart where they would touch."""
    ax.figure.canvas.draw()  # scales are final from here on
    low, high = ax.transAxes.inverted(), ax.transData
    heights = {name: low.transform(high.transform(end))[1] for name, end in ends.items()}
    texts = {name: fill(name, 18) for name in ends}
    points = ax.get_window_extent().height * 72 / ax.figure.dpi
    tall = {name: (text.count("\n") + 1) * TEXT * 1.25 / points for name, text in texts.items()}
    order = sorted(ends, key=heights.get)
    places, floor = {}, -1.0
    for name in order:
        places[name] = max(heights[name], floor + tall[name] / 2)
        floor = places[name] + tall[name] / 2
    over = max(0.0, floor - 1.05)
    for name in reversed(order):  # a pile that grew over the top is pushed down again
        if not over:
            break
        places[name] -= over
        below = order.index(name) - 1
        if below >= 0:
            gap = places[name] - places[order[below]] - (tall[name] + tall[order[below]]) / 2
            over = max(0.0, -gap)
    colours = {line.get_label(): line.get_color() for line in ax.lines}
    for name, text in texts.items():
        ax.annotate(
            text, (1.02, places[name]), xycoords="axes fraction", va="center", color=for_text(colours[name]),
            fontweight="bold", linespacing=1.0, annotation_clip=False,
        )  # fmt: skip


@styled
def training_curves(
    groups: Mapping[str, Sequence[Sequence[float]]],
    ylabel: str,
    xlabel: str = "epoch",
    x: Sequence[float] = (),
) -> Axes:
    """Runs of several sides: thin lines single runs, thick lines their mean, each side named at its end.

    ``groups``: label -> runs, each a list of values at ``x``, or at epoch 1, 2, ...; runs of one side are equally long.
    """
    at_most_seven("groups", groups)
    (ax,) = new_axes(4.2)
    ends = {}
    for k, (label, runs) in enumerate(groups.items()):
        if not runs or len({len(run) for run in runs}) != 1 or not len(runs[0]):
            raise ValueError(
                f"{label!r} has runs of {[len(r) for r in runs]} values: need one or more, equally long"
            )
        at = x or range(1, len(runs[0]) + 1)
        for run in runs:
            ax.plot(at, run, color=COLOURS[k], lw=0.9, alpha=0.45, ls=DASHES[k])
        mean = np.mean(runs, axis=0)
        ax.plot(
            at, mean, color=COLOURS[k], lw=3, ls=DASHES[k], marker=MARKS[k], ms=7, markevery=max(1, len(at) // 10),
            label=label,
        )  # fmt: skip
        ends[label] = (at[-1], mean[-1])
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(color=FAINT)
    _name_ends(ax, ends)
    return ax


@styled
def lines(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    yscale: str = "linear",
) -> Axes:
    """A line for each entry of ``series`` over the common ``x``, named at its right end."""
    at_most_seven("series", series)
    (ax,) = new_axes(4.2)
    for k, (label, y) in enumerate(series.items()):
        _same_length({"x": x, f"series[{label!r}]": y})
        ax.plot(x, y, color=COLOURS[k], ls=DASHES[k], marker=MARKS[k], ms=7, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale=yscale)
    ax.grid(color=FAINT)
    if all(isinstance(value, int) for value in x):
        ax.xaxis.get_major_locator().set_params(integer=True)
    _name_ends(ax, {label: (x[-1], y[-1]) for label, y in series.items()})
    return ax


@dataclass(frozen=True)
class Interval:
    """One difference: its estimate, its 95 % interval, and what each seed gave."""

    label: str
    difference: float
    low: float
    high: float
    seeds: Sequence[float]


def _interval(ax: Axes, row: Interval, y: float, k: int) -> None:
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
            _interval(ax, Interval(one.label, one.difference, low, high, one.seeds), y - 0.42 * k, k)
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
