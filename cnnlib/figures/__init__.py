"""Figures: rows and arrays go in, pictures in the house style come out. Nothing is computed but where things stand.

Plots of numbers, pictures of arrays, drawings of networks (``network``, ``block``), and source code on the page
(``source``).
"""

from cnnlib.figures.diagram import block, network
from cnnlib.figures.listing import source
from cnnlib.figures.pictures import (
    confusion,
    feature_maps,
    filters,
    heatmaps,
    images,
    predictions,
    receptive_field_frames,
    receptive_fields,
)
from cnnlib.figures.plots import (
    Interval,
    bars,
    intervals,
    layer_costs,
    lines,
    top5_errors,
    training_curves,
)
from cnnlib.figures.scatter import bubbles, predicted_vs_measured, roofline, time_vs_macs
from cnnlib.figures.style import COLOURS, FAINT, new_axes, styled

__all__ = [
    "COLOURS",
    "FAINT",
    "Interval",
    "bars",
    "block",
    "bubbles",
    "confusion",
    "feature_maps",
    "filters",
    "heatmaps",
    "images",
    "intervals",
    "layer_costs",
    "lines",
    "network",
    "new_axes",
    "predicted_vs_measured",
    "predictions",
    "receptive_field_frames",
    "receptive_fields",
    "roofline",
    "source",
    "styled",
    "time_vs_macs",
    "top5_errors",
    "training_curves",
]
