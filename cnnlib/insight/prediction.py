"""What a trained network makes of images: its best classes for a photo, as rows, and which of a set it gets wrong."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from cnnlib import models
from cnnlib.images import PHOTOS, open_image
from cnnlib.images import photo as shipped_photo
from cnnlib.training import evaluating

Photo = str | os.PathLike[str]  # a file, or the name of a photo that the course ships


class Prediction(NamedTuple):
    """One class that a network finds likely."""

    photo: str
    label: int  # 0 to 999
    name: str
    probability: float


def open_photo(photo: Photo) -> Image.Image:
    """The photo in RGB, turned as its camera says. Raises ``ValueError`` if there is none."""
    path = Path(photo)
    if not path.is_file():
        if str(photo) in PHOTOS:
            return Image.fromarray(shipped_photo(str(photo)).permute(1, 2, 0).numpy())
        ours = ", ".join(PHOTOS)
        raise ValueError(f"no photo at {photo}: give a file, or the name of one that is here: {ours}")
    return ImageOps.exif_transpose(open_image(path))


def classify(
    photos: Sequence[Photo], network: str = "squeezenet1_1", weights: str = "bundled", best: int = 5
) -> list[Prediction]:
    """The ``best`` classes of each photo, most likely first, photo after photo.

    Photos are prepared as the weights want it: mostly 256 pixels on the shorter side, of which the middle 224 x 224.
    ``weights``: as in ``cnnlib.build``. A probability is the softmax over all classes; it is no promise.
    """
    images = [open_photo(photo) for photo in photos]
    trained = models.find_weights(network, weights)
    if not 1 <= best <= len(trained.classes):
        raise ValueError(f"best={best}: need 1 to {len(trained.classes)}, the classes there are")
    net = models.build(network, weights=weights).eval()
    rows = []
    for photo, image in zip(photos, images, strict=True):
        with torch.inference_mode():
            chances = net(trained.transform(image)[None]).softmax(1)[0]
        top = chances.topk(best)
        name = Path(photo).stem
        for label, chance in zip(top.indices.tolist(), top.values.tolist(), strict=True):
            rows.append(Prediction(name, label, trained.classes[label], chance))
    return rows


def misclassified(net: nn.Module, images) -> tuple[Tensor, Tensor]:
    """The numbers of the ``images`` (with ``x`` and ``y``) that the network gets wrong, and the class it gives each."""
    with evaluating(net):
        predicted = torch.cat([net(batch).argmax(1) for batch in images.x.split(256)])
    wrong = (predicted != images.y).nonzero().flatten()
    return wrong, predicted[wrong]
