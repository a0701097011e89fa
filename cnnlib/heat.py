"""Maps laid over the images they speak of."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from cnnlib.pictures import in_colour, stretched, tiles
from cnnlib.style import array, styled


def _enlarged(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """(N, h, w) -> (N, height, width), straight between the middles of the cells."""
    planes = (Image.fromarray(plane.astype(np.float32)) for plane in x)
    return np.stack([np.asarray(p.resize((width, height), Image.Resampling.BILINEAR)) for p in planes])


@styled
def heat(x: object, maps: object, titles: Sequence[object] = (), cols: int = 4) -> Axes:
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
