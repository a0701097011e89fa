"""A photo beside the classes that a network finds likely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from cnnlib.pictures import in_colour
from cnnlib.style import COLOURS, FAINT, INK, TEXT, WIDTH, array, styled


@styled
def guesses(rows: Iterable[object], photos: Mapping[str, object]) -> list[Axes]:
    """Each photo, and a bar for each of its guesses; the axes of the bars come back.

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
