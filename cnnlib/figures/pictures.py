"""Arrays to pictures: images, filters, feature maps, receptive fields on a photo, a confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from cnnlib.figures.style import (
    COLOURS,
    DASHES,
    FAINT,
    INK,
    TEXT,
    WIDTH,
    array,
    at_most_seven,
    for_text,
    styled,
)


def in_colour(x: np.ndarray, name: str) -> np.ndarray:
    """(N, C, H, W) with 1 or 3 channels, bytes or [0, 1] -> (N, H, W, 3) in [0, 1]."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not len(x):
        raise ValueError(f"{name} has shape {x.shape}: need (N, C, H, W) with C = 1 (grey) or 3 (colour)")
    x = x / 255 if x.dtype == np.uint8 else np.clip(x, 0, 1)
    return np.broadcast_to(x.transpose(0, 2, 3, 1), (*x.shape[:1], *x.shape[2:], 3))


def stretched(x: np.ndarray) -> np.ndarray:
    """Each picture of its own scale: its smallest value black, its largest white, a constant one grey."""
    axes = tuple(range(1, x.ndim))
    low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
    return np.where(high > low, (x - low) / np.where(high > low, high - low, 1), 0.5)


def tiles(x: np.ndarray, cols: int, titles: Sequence[str] = ()) -> Axes:
    """(N, H, W, 3) pictures in one Axes, row by row, with a title below each."""
    n, h, w = x.shape[:3]
    cols = min(cols, n)
    rows = -(-n // cols)
    gap = max(1, round(0.04 * w))
    pixel = WIDTH / (cols * (w + gap))  # inches
    deep = max((str(t).count("\n") + 1 for t in titles), default=0)
    line = round((deep * (TEXT - 1) * 1.25 + 4) / 72 / pixel) if titles else 0
    sheet = np.ones((rows * (h + gap + line) - gap, cols * (w + gap) - gap, 3))
    for i in range(n):
        top, left = i // cols * (h + gap + line), i % cols * (w + gap)
        sheet[top : top + h, left : left + w] = x[i]
    _, ax = plt.subplots(figsize=(WIDTH, pixel * sheet.shape[0]))
    ax.imshow(sheet, interpolation="nearest")
    ax.set_axis_off()
    for i, title in enumerate(titles):
        top, left = i // cols * (h + gap + line), i % cols * (w + gap)
        ax.text(left + w / 2, top + h, str(title), ha="center", va="top", fontsize=TEXT - 1, linespacing=1.1)
    return ax


@styled
def images(x: object, titles: Sequence[object] = (), cols: int = 8) -> Axes:
    """Images (N, C, H, W), grey or colour, bytes or values in [0, 1], with a title below each."""
    shown = in_colour(array(x), "x")
    titles = list(titles)
    if titles and len(titles) != len(shown):
        raise ValueError(f"{len(titles)} titles for {len(shown)} images: need one a image, or none")
    return tiles(shown, cols, titles)


@styled
def filters(w: object, cols: int = 12) -> Axes:
    """First-layer filters (C_out, 1 or 3, h, w), each stretched to the full range from black to white."""
    return tiles(in_colour(stretched(array(w).astype(float)), "w"), cols)


@styled
def feature_maps(x: object, titles: Sequence[object] = (), cols: int = 8) -> Axes:
    """The feature maps (C, H, W) or (1, C, H, W) of one image, each stretched from black to white."""
    x = array(x).astype(float)
    x = x[0] if x.ndim == 4 and len(x) == 1 else x
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}: need the maps of one image, (C, H, W)")
    return tiles(in_colour(stretched(x)[:, None], "x"), cols, list(titles))


@styled
def receptive_field_frames(photo: object, spans: Mapping[str, object]) -> Axes:
    """What one unit of each layer sees, as a frame on a photo (3, H, W).

    ``spans``: layer name -> ``Span`` (or one a spatial axis), as the rows of a cost carry them. The unit
    drawn is the one whose frame lies nearest to the middle of the photo. Frames are cut at its edge.
    """
    at_most_seven("spans", spans)
    shown = in_colour(array(photo)[None], "photo")[0]
    h, w = shown.shape[:2]
    fig, ax = plt.subplots(figsize=(WIDTH, WIDTH * 0.68 * h / w))
    ax.imshow(shown)
    ax.set_axis_off()
    ordered = sorted(spans.items(), key=lambda item: -_axis(item[1], 0).size)
    for k, (name, span) in enumerate(ordered):
        (top, high), (left, wide) = _middle(_axis(span, 0), h), _middle(_axis(span, -1), w)
        edges = max(top, 0), max(left, 0), min(top + high, h), min(left + wide, w)
        y0, x0, y1, x1 = edges
        frame = (x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0
        ax.add_patch(Rectangle(*frame, fill=False, ec="white", lw=4.5))
        ax.add_patch(Rectangle(*frame, fill=False, ec=COLOURS[k], lw=2.4, ls=DASHES[k], label=name))
        seen = f"{wide}" if high == wide else f"{high}×{wide}"
        ax.annotate(
            f"{name}: {seen} px", (x1 - 0.5, y0 + 0.25 * (y1 - y0)), (1.03, 1 - (k + 0.5) / len(ordered)),
            textcoords="axes fraction",
            va="center", color=for_text(COLOURS[k]), fontweight="bold", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": COLOURS[k], "lw": 1.2, "shrinkA": 2, "shrinkB": 0},
        )  # fmt: skip
    return ax


def _axis(span, axis: int):
    """The span along one axis: a tuple of spans holds one for each, a single one (a tuple of ints) all."""
    return span if hasattr(span, "size") else span[axis]


def _middle(span, n: int) -> tuple[int, int]:
    """First pixel and length of the window of ``span`` nearest to the middle of ``n`` pixels."""
    unit = round(((n - span.size) / 2 - span.start) / span.stride)
    return span.start + unit * span.stride, span.size


@styled
def receptive_fields(photo: object, rows: Iterable[object], cols: int = 2) -> Axes:
    """What one unit of each layer sees, found twice: the photo (3, H, W), once for each row.

    ``rows``: of ``insight.receptive_fields`` on images of the photo's size. The pixels that a gradient reaches stay
    bright; the frame stands around the window of the formula, cut at the edge of the photo.
    """
    shown, squares, titles = in_colour(array(photo)[None], "photo")[0], [], []
    h, w = shown.shape[:2]
    thick = max(1, round(w / 110))
    for row in rows:
        mask = array(row.mask)
        if mask.shape != (h, w):
            raise ValueError(
                f"{row.layer} was probed on an image of {mask.shape}, the photo has {(h, w)}: need one size"
            )
        tile = np.where(mask[..., None], shown, 0.35 * shown)
        (top, left), (high, wide) = [s.start for s in row.window], [s.size for s in row.window]
        y, x = np.arange(h)[:, None], np.arange(w)
        down, right = np.maximum(top - y, y - top - high + 1), np.maximum(left - x, x - left - wide + 1)
        far = np.maximum(down, right)  # pixels outside the window
        tile[(far > 0) & (far <= thick)] = to_rgb(COLOURS[4])
        squares.append(tile)
        titles.append(f"{row.layer}: {' × '.join(f'{s.size:g}' for s in row.window)} px")
    return tiles(np.stack(squares), cols, titles)


@styled
def confusion(matrix: object, classes: Sequence[str]) -> Axes:
    """How often each true class (row) was called what (column): whole numbers, the darker the more."""
    matrix = array(matrix)
    if matrix.shape != (len(classes),) * 2:
        raise ValueError(
            f"matrix has shape {matrix.shape}: need a row and a column for each of {len(classes)} classes"
        )
    _, ax = plt.subplots(figsize=(WIDTH, WIDTH))
    ax.imshow(matrix, cmap="Blues")
    for (i, j), value in np.ndenumerate(matrix):
        if value:
            dark = value > 0.55 * matrix.max()
            ax.text(j, i, f"{value:d}", ha="center", va="center", fontsize=11, color="white" if dark else INK)
    ticks = range(len(classes))
    ax.set(xticks=ticks, yticks=ticks, yticklabels=classes, xlabel="predicted", ylabel="true")
    ax.set_xticks(ticks, classes, rotation=45, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0, labelsize=TEXT - 1)
    ax.spines[:].set_visible(False)
    return ax


def _enlarged(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, h, w) -> (N, height, width), straight between the middles of the cells."""
    planes = (Image.fromarray(plane.astype(np.float32)) for plane in x)
    return np.stack([np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)) for p in planes])


@styled
def heatmaps(x: object, maps: object, titles: Sequence[object] = (), cols: int = 4) -> Axes:
    """Images ``x`` (N, C, H, W), each under its map of ``maps`` (N, h, w): blue where it is least, yellow where most.

    A map covers the whole of its image; each is stretched between its own smallest and largest value.
    """
    shown, maps = in_colour(array(x), "x"), array(maps).astype(float)
    if maps.ndim != 3 or len(maps) != len(shown):
        raise ValueError(
            f"maps has shape {maps.shape}: need one map an image, (N, h, w) with N = {len(shown)}"
        )
    grey = shown.mean(-1, keepdims=True)
    colours = matplotlib.colormaps["viridis"](_enlarged(stretched(maps), *shown.shape[1:3]))[..., :3]
    return tiles(0.4 * grey + 0.6 * colours, cols, [str(title) for title in titles])


@styled
def predictions(rows: Iterable[object], photos: Mapping[str, object]) -> list[Axes]:
    """Each photo, and a bar for each of its likeliest classes; the axes of the bars come back.

    ``rows``: as ``classify`` gives them. ``photos``: name -> uint8 (3, H, W).
    """
    told: dict[str, list] = {}
    for row in rows:
        told.setdefault(row.photo, []).append(row)
    if not told or set(told) - set(photos):
        raise ValueError(f"photos has {', '.join(photos) or 'none'}: need one for each of {', '.join(told)}")
    height = max(map(len, told.values())) * 0.36 + 0.25
    _, grid = plt.subplots(
        len(told), 2, figsize=(WIDTH, height * len(told)), width_ratios=(1, 1.5), squeeze=False
    )
    for (left, right), (name, found) in zip(grid, told.items(), strict=True):
        left.imshow(in_colour(array(photos[name])[None], "photos")[0])
        left.set_axis_off()
        places = range(len(found))
        right.barh(places, [1] * len(found), 0.84, color=FAINT, lw=0)
        right.barh(places, [row.probability for row in found], 0.84, color=COLOURS[5], lw=0)
        for place, row in zip(places, found, strict=True):
            right.text(0.02, place, row.name, va="center", color=INK, fontsize=TEXT)
            right.text(
                0.98, place, f"{row.probability:.0%}", va="center", ha="right", color=INK, fontsize=TEXT
            )
        right.set(xlim=(0, 1), ylim=(len(found) - 0.5, -0.5))
        right.set_axis_off()
    return list(grid[:, 1])
