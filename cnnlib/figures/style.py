"""The house style of figures: colours, sizes, and how to draw in them without touching global settings.

Figures carry their own white ground, so that they also read on a dark page; colours are safe for colour-blind
readers (Okabe and Ito, 2008), and line styles, markers and hatches tell the same story in grey.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
INK, FAINT = "#222222", "#D9D9D9"
WIDTH, TEXT = 6.4, 13  # inches, points: a figure shown 343 pixels wide still has text of 10 pixels

STYLE = {
    "figure.facecolor": "white", "savefig.facecolor": "white", "axes.facecolor": "white",
    "figure.dpi": 144, "savefig.dpi": 144, "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"], "font.size": TEXT, "axes.titlesize": TEXT, "axes.labelsize": TEXT,
    "axes.titlelocation": "left", "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
    "axes.edgecolor": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "lines.linewidth": 2.2, "hatch.color": "white", "hatch.linewidth": 1.2, "image.cmap": "gray",
}  # fmt: skip


def styled(draw: Callable) -> Callable:
    """The function, drawing in the house style; Matplotlib's settings are as before when it returns."""

    @wraps(draw)
    def draw_styled(*args, **options):
        plt.draw_if_interactive()  # loads the backend: a notebook changes settings then, which have to stay
        with plt.rc_context():
            plt.rcdefaults()
            plt.rcParams.update(STYLE)
            return draw(*args, **options)

    return draw_styled


def new_axes(height: float, n: int = 1) -> list[Axes]:
    """``n`` empty axes, one below the other: on a phone, side by side would be too small to read."""
    _, grid = plt.subplots(n, 1, figsize=(WIDTH, height), squeeze=False)
    for ax in grid[:, 0]:
        # Ticks are made when the figure is shown, in whatever settings hold then: their style is fixed here.
        ax.tick_params(labelsize=TEXT - 1, color=INK, labelcolor=INK)
    return list(grid[:, 0])


def for_text(colour: str) -> str:
    """The colour made dark enough for letters on white."""
    return to_hex([0.65 * part for part in to_rgb(colour)])


def at_most_seven(what: str, names: Collection[str]) -> None:
    """Refuses more lines than there are colours and dashes to tell apart."""
    if len(names) > len(COLOURS):
        raise ValueError(
            f"{what} has {len(names)} entries: at most {len(COLOURS)} can be told apart in one figure"
        )


def array(x: object) -> np.ndarray:
    """A NumPy array of an array, a list or a tensor on any device."""
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def short(value: float) -> str:
    """Three digits and a thousands unit: '61.1 M'."""
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
