"""Folders of small coloured images, in the layout of ImageNet."""

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "red": (200, 50, 40)}


def make(root, count=6, classes=COLOURS, side=40):
    """``count`` noisy images of each colour, of sizes that differ, in an ImageNet layout."""
    draw = np.random.default_rng(0)
    for name, colour in classes.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            noise = draw.integers(-40, 40, (side + i, side + 2 * i, 3))
            picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / name / f"{i}.{'JPEG' if i % 2 else 'png'}")
    return root
