"""Images for networks: names, files and folders go in, batches of pixels and class numbers come out.

Small sets lie in memory (``Images``), large ones are read as they are needed (``Stream``). Preprocessing makes one
size of any image; augmentation changes whole batches at random.
"""

from cnnlib.images.augmentation import Augment, colour_pca, crop, cutout, flip, mix
from cnnlib.images.datasets import (
    CLOTHES,
    DIGITS,
    PHOTOS,
    THINGS,
    Images,
    Split,
    cifar10,
    fashion_14,
    fashion_mnist,
    mnist,
    photo,
)
from cnnlib.images.folders import Folder, folder
from cnnlib.images.preprocessing import centre, fixed, scale_crop
from cnnlib.images.stream import Stream, View

__all__ = [
    "Augment",
    "CLOTHES",
    "DIGITS",
    "Folder",
    "Images",
    "PHOTOS",
    "Split",
    "Stream",
    "THINGS",
    "View",
    "centre",
    "cifar10",
    "colour_pca",
    "crop",
    "cutout",
    "fashion_14",
    "fashion_mnist",
    "fixed",
    "flip",
    "folder",
    "mix",
    "mnist",
    "photo",
    "scale_crop",
]
