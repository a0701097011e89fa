"""Images for networks: names, files and folders go in, batches of pixels and class numbers come out.

Small sets lie in memory (``Images``), large ones are read as they are needed (``Stream``). Preprocessing makes one
size of any image; augmentation changes whole batches at random.
"""

from cnnlib.images.augmentation import Augment, colour_pca, crop, cutout, flip, mixup
from cnnlib.images.datasets import (
    CIFAR10_CLASSES,
    FASHION_CLASSES,
    MNIST_CLASSES,
    PHOTOS,
    Images,
    Split,
    cifar10,
    fashion_14,
    fashion_mnist,
    mnist,
    photo,
)
from cnnlib.images.folders import ImageFolder, image_folder, open_image, train_and_val
from cnnlib.images.preprocessing import centre_crop, from_torchvision, random_scale_crop
from cnnlib.images.stream import Stream, Transform

__all__ = [
    "Augment",
    "CIFAR10_CLASSES",
    "FASHION_CLASSES",
    "ImageFolder",
    "Images",
    "MNIST_CLASSES",
    "PHOTOS",
    "Split",
    "Stream",
    "Transform",
    "centre_crop",
    "cifar10",
    "colour_pca",
    "crop",
    "cutout",
    "fashion_14",
    "fashion_mnist",
    "flip",
    "from_torchvision",
    "image_folder",
    "mixup",
    "mnist",
    "open_image",
    "photo",
    "random_scale_crop",
    "train_and_val",
]
