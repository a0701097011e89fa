"""Figures: rows and arrays go in, pictures in the house style come out. Nothing is computed but where things stand.

Plots of numbers, pictures of arrays, drawings of networks (``network``, ``block``), and source code on the page
(``source``).
"""

from cnnlib.figures.diagram import block, network
from cnnlib.figures.listing import source
from cnnlib.figures.pictures import (
    confusion,
    field,
    filters,
    guesses,
    heat,
    images,
    maps,
    receptive_fields,
)
from cnnlib.figures.plots import bars, curves, errors, lines, trends
from cnnlib.figures.scatter import bubbles, versus
from cnnlib.figures.style import COLOURS, FAINT, new_axes, styled

__all__ = [
    "COLOURS",
    "FAINT",
    "bars",
    "block",
    "bubbles",
    "confusion",
    "curves",
    "errors",
    "field",
    "filters",
    "guesses",
    "heat",
    "images",
    "lines",
    "maps",
    "network",
    "new_axes",
    "receptive_fields",
    "source",
    "styled",
    "trends",
    "versus",
]
