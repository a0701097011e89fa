"""Images in folders, one a class, as ImageNet is laid out: ``root/train/CLASS/*.JPEG`` and ``root/val/CLASS/*``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp"}


def _open_rgb(path: str) -> Image.Image:
    """The whole image in RGB; a file that ends too soon is an error here and not a grey area later."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}): mend or remove it, or ask to skip unreadable files"
        ) from None


@dataclass(frozen=True, eq=False, repr=False)
class ImageFolder:
    """Files and their labels; ``folder[i]`` reads one. ``skipped``: files left out as they cannot be read."""

    files: Sequence[str]
    labels: Sequence[int]
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many images."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """Image (RGB) and label; raises ``ValueError`` naming a file that cannot be read."""
        return _open_rgb(self.files[index]), self.labels[index]

    def __repr__(self) -> str:
        """Numbers in a line."""
        left_out = f", {len(self.skipped)} unreadable files skipped" if self.skipped else ""
        return f"ImageFolder({len(self):,} images, {len(self.classes)} classes{left_out})"


def _readable(path: str) -> bool:
    try:
        _open_rgb(path)
    except ValueError:
        return False
    return True


def image_folder(
    root: str | os.PathLike[str], classes: Sequence[str] | None = None, skip_unreadable: bool = False
) -> ImageFolder:
    """The images under ``root``, a folder a class; labels follow the alphabet, or ``classes`` if given.

    ``skip_unreadable`` opens every file first, which takes a while, and leaves out what fails. Raises
    ``ValueError`` for a folder that is not there, a class of ``classes`` without a folder or one without images.
    """
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: need one with a folder for each class")
    there = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    if not there:
        raise ValueError(f"{root} has no folders: need one for each class, with its images inside")
    names = tuple(classes or there)
    missing, strange = sorted(set(names) - set(there)), sorted(set(there) - set(names))
    if missing:
        raise ValueError(
            f"{root} has no folder for {len(missing)} of the classes, such as {missing[0]!r}: add it"
        )
    if strange:
        raise ValueError(
            f"{root} has {len(strange)} folders that are no class, such as {strange[0]!r}: remove it"
        )
    files, labels, skipped = [], [], []
    for label, name in enumerate(names):
        found = sorted(e.path for e in os.scandir(root / name) if Path(e.name).suffix.lower() in EXTENSIONS)
        good = [path for path in found if not skip_unreadable or _readable(path)]
        if not good:
            what = f"{len(found)} images and none is readable" if found else "no image"
            raise ValueError(f"{root / name} holds {what}: need one at least, such as a .jpg or .png file")
        skipped += sorted(set(found) - set(good))
        files += good
        labels += [label] * len(good)
    return ImageFolder(files, labels, names, tuple(skipped))


def train_and_val(
    root: str | os.PathLike[str], skip_unreadable: bool = False
) -> tuple[ImageFolder, ImageFolder]:
    """The images in ``root``/train and ``root``/val, of the same classes."""
    train = image_folder(Path(root, "train"), skip_unreadable=skip_unreadable)
    return train, image_folder(Path(root, "val"), train.classes, skip_unreadable)
