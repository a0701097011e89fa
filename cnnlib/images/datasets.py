"""Images in memory: the small sets and photos that the course ships, and the full public sets.

Sources and terms of what is shipped: ``data/LICENSES.md``.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cnnlib import resources
from cnnlib.images import downloads

PHOTOS = ("astronaut", "cameraman", "cat", "coffee", "flower", "hopper", "rocket", "temple")
MNIST_CLASSES = tuple("0123456789")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, eq=False, repr=False)
class Images:
    """Labelled images: ``x`` float32 (N, C, H, W) in [0, 1], ``y`` int64 (N,), ``classes`` a name each label.

    ``images[10:20]`` and ``images[index_tensor]`` are Images again. Raises ``ValueError`` for parts that do
    not fit together.
    """

    x: Tensor
    y: Tensor
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        if self.x.ndim != 4:
            raise ValueError(f"x has shape {tuple(self.x.shape)}: need four axes (N, C, H, W)")
        if self.x.dtype != torch.float32:
            raise ValueError(f"x is {self.x.dtype}: need torch.float32, such as x.float() / 255 for bytes")
        if self.y.dtype != torch.int64:
            raise ValueError(f"y is {self.y.dtype}: need torch.int64, such as y.long()")
        if self.y.shape != self.x.shape[:1]:
            raise ValueError(f"y has shape {tuple(self.y.shape)}: need one label an image, ({len(self.x)},)")
        if len(self.y) and not 0 <= int(self.y.min()) <= int(self.y.max()) < len(self.classes):
            low, high, last = int(self.y.min()), int(self.y.max()), len(self.classes) - 1
            raise ValueError(f"y holds labels {low} to {high}: need 0 to {last}, one for each class name")

    def __len__(self) -> int:
        """How many images."""
        return len(self.y)

    def __getitem__(self, index: slice | Tensor) -> Images:
        """The images of a slice, or at the positions or under the mask of a tensor."""
        if isinstance(index, int):
            raise ValueError(f"index {index}: one image is a slice too, [{index}:{index + 1}]")
        return Images(self.x[index], self.y[index], self.classes)

    def __repr__(self) -> str:
        """Number, shape, classes and device in a line."""
        shape = "\u00d7".join(map(str, self.x.shape[1:]))
        return f"Images({len(self):,} of {shape}, {len(self.classes)} classes, {self.x.device})"

    def head(self, n: int) -> Images:
        """The first ``n`` images; raises ``ValueError`` if there are fewer."""
        if not 0 < n <= len(self):
            raise ValueError(f"n={n}: need 1 to {len(self)}, the images there are")
        return self[:n]

    def pad(self, pixels: int) -> Images:
        """The images with ``pixels`` of black around them: 2 make 32 x 32 of 28 x 28."""
        return Images(F.pad(self.x, (pixels,) * 4), self.y, self.classes)

    def example(self) -> Tensor:
        """One image, (1, C, H, W)."""
        return self.x[:1]

    def max_label(self) -> int:
        """The highest label there is."""
        return int(self.y.max())

    def batches(self, indices: Sequence[Tensor], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """x and y of the images at each of ``indices``, (N,). ``seed`` is for images read at random sizes."""
        for index in indices:
            index = index.to(self.x.device)
            yield self.x[index], self.y[index]

    def fingerprint(self) -> dict[str, object]:
        """What a checkpoint remembers of the images it was trained on: number, classes and a digest."""
        total = hashlib.sha256()
        for part in (self.x, self.y):
            total.update(part.cpu().contiguous().numpy())
        return {"count": len(self), "classes": list(self.classes), "digest": total.hexdigest()[:16]}

    def normalisation(self) -> dict[str, Tensor]:
        """What is taken off the pixels and what they are divided by: nothing."""
        return {}

    def to(self, device: torch.device | str) -> Images:
        """The same images on ``device``; itself if they are there."""
        moved = self.x.to(device)
        return self if moved is self.x else Images(moved, self.y.to(device), self.classes)


Split = tuple[Images, Images]  # training, test


def _split(arrays: Iterable[np.ndarray], classes: tuple[str, ...]) -> Split:
    """From x_train, y_train, x_test, y_test: x uint8 (N, H, W) or (N, C, H, W), y any integers (N,)."""

    def images(x: np.ndarray, y: np.ndarray) -> Images:
        pixels = torch.from_numpy(x.reshape(len(x), -1, *x.shape[-2:]).astype(np.float32))
        return Images(pixels.div_(255), torch.from_numpy(y.astype(np.int64)), classes)

    x_train, y_train, x_test, y_test = arrays
    return images(x_train, y_train), images(x_test, y_test)


# What is shipped


def photo(name: str) -> Tensor:
    """One of ``PHOTOS``: uint8 (3, H, W), shorter side 288 pixels."""
    if name not in PHOTOS:
        raise ValueError(f"no photo is called {name!r}: there are {', '.join(PHOTOS)}")
    with Image.open(io.BytesIO(resources.read(f"photos/{name}.jpg"))) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


# Sets


Root = str | os.PathLike[str] | None


def _folder(root: Root, inner: str, present: str) -> Path:
    """Where the file ``present*`` lies: in ``inner`` below root, unless root is on the way to it already."""
    top = Path(root or os.environ.get("CNNLIB_DATA") or "~/.cache/cnnlib").expanduser()
    parts = Path(inner).parts
    ways = [top.joinpath(*parts[skip:]) for skip in range(len(parts) + 1)]
    return next((way for way in ways if any(way.glob(f"{present}*"))), ways[0])


def _subset(name: str, classes: tuple[str, ...], root: Root, download: bool) -> Split:
    if root or download:
        raise ValueError("root and download belong to the full set: pass full=True too, or neither")
    with np.load(io.BytesIO(resources.read(name))) as arrays:
        return _split((arrays[key] for key in ("x_train", "y_train", "x_test", "y_test")), classes)


def mnist(full: bool = False, root: Root = None, download: bool = False) -> Split:
    """Handwritten digits, 28 x 28 grey: training and test images, 5,000 and 1,000 of them (shipped).

    With ``full=True`` all 60,000 and 10,000, from the original files in torchvision's folders under ``root``
    (default: the environment variable CNNLIB_DATA, else ~/.cache/cnnlib); ``download=True`` fetches them if
    need be. Raises ``ValueError`` naming file and folder if a file is missing or damaged.
    """
    if not full:
        return _subset("mnist_5k.npz", MNIST_CLASSES, root, download)
    folder = _folder(root, "MNIST/raw", "train-images")
    return _split(
        downloads.read_idx(folder, downloads.MNIST_FILES, downloads.MNIST_URLS, download), MNIST_CLASSES
    )


def fashion_mnist(full: bool = False, root: Root = None, download: bool = False) -> Split:
    """Photos of clothes, 28 x 28 grey; arguments as in ``mnist``."""
    if not full:
        return _subset("fashion_mnist_5k.npz", FASHION_CLASSES, root, download)
    folder = _folder(root, "FashionMNIST/raw", "train-images")
    return _split(
        downloads.read_idx(folder, downloads.FASHION_FILES, downloads.FASHION_URLS, download), FASHION_CLASSES
    )


def fashion_14() -> Split:
    """The 5,000 photos of clothes at 14 x 14, each pixel the mean of four: for deep networks on small machines."""
    return tuple(Images(F.avg_pool2d(part.x, 2), part.y, part.classes) for part in fashion_mnist())


def cifar10(root: Root = None, download: bool = False) -> Split:
    """Photos of ten kinds of things, 32 x 32 RGB: 50,000 training and 10,000 test images, never shipped.

    Arguments and errors as in ``mnist(full=True)``.
    """
    folder = _folder(root, "cifar-10-batches-py", "data_batch")
    return _split(downloads.read_cifar10(folder, download), CIFAR10_CLASSES)
