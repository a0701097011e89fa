"""Images in folders, one a class, as ImageNet is laid out: ``root/train/CLASS/*.JPEG`` and ``root/val/CLASS/*``.

Tiny ImageNet's ``val/val_annotations.txt`` is read, too. What is hidden (``.ipynb_checkpoints``) is no class.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from cnnlib.images.preprocessing import to_rgb

EXTENSIONS = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tif",
        ".tiff",
        ".webp",
        ".gif",
    ]
)
ANNOTATIONS = "val_annotations.txt"
DIGEST_SAMPLE = (
    1024  # files whose content goes into a digest: all of a small set, a second's work of a large one
)


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """The whole image in RGB; a file that ends too soon is an error here and not a grey area later.

    Raises ``ValueError`` naming a file that cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return to_rgb(image)
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise ValueError(
            f"{path} cannot be read as an image ({error}): mend it, remove it, or skip unreadable files"
        ) from None


@dataclass(frozen=True, eq=False, repr=False)
class ImageFolder:
    """Files below ``root`` and their labels; ``folder[i]`` reads one.

    ``skipped``: images left out as they cannot be read. ``ignored``: files that are no images by their names.
    """

    root: str
    files: Sequence[str]
    labels: Sequence[int]
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many images."""
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """Image (RGB) and label; raises ``ValueError`` naming a file that cannot be read."""
        return open_image(self.files[index]), self.labels[index]

    def __repr__(self) -> str:
        """Numbers in a line."""
        notes = "".join(f", {note}" for note in self.left_out())
        return f"ImageFolder({len(self):,} images, {len(self.classes)} classes{notes})"

    def left_out(self) -> list[str]:
        """What is below ``root`` and not among the images, a phrase each."""
        kinds = {"unreadable files skipped": self.skipped, "files ignored that are no images": self.ignored}
        return [f"{len(paths)} {what}, such as {paths[0]}" for what, paths in kinds.items() if paths]

    def labelled_as(self, classes: Sequence[str], ids: Sequence[str] = ()) -> ImageFolder:
        """The same images with labels among ``classes``: folders are named as those, as their ``ids``, or all numbers.

        Raises ``ValueError`` naming a folder that is no such class.
        """
        plain = [name.lower().replace("_", " ") for name in classes]
        numbers = [str(i) for i in range(len(classes))]
        wanted = [name.lower().replace("_", " ") for name in self.classes]
        for known, names in ((list(ids), self.classes), (plain, wanted), (numbers, wanted)):
            complete = known is not numbers or len(names) == len(
                numbers
            )  # digits may be classes by themselves
            if complete and all(known.count(name) == 1 for name in names):
                labels = [known.index(name) for name in names]
                return replace(self, labels=[labels[i] for i in self.labels], classes=tuple(classes))
        strange = next(
            (n for n, w in zip(self.classes, wanted, strict=True) if n not in ids and plain.count(w) != 1),
            "0",
        )
        raise ValueError(
            f"{self.root} has a folder {strange!r}, which is no class that the weights know: name folders as the "
            f"classes ({classes[0]!r})" + (f" or by id ({ids[0]!r})" if ids else "")
        )

    def digest(self) -> str:
        """Of names, labels and sizes of all files and of what some hold; the same wherever the folder lies."""
        total = hashlib.sha256()
        for i, (path, label) in enumerate(zip(self.files, self.labels, strict=True)):
            name = Path(path).relative_to(self.root).as_posix()
            total.update(f"{name}\0{label}\0{os.stat(path).st_size}\n".encode("utf-8", "surrogateescape"))
            if i % (len(self) // DIGEST_SAMPLE + 1) == 0:
                total.update(Path(path).read_bytes())
        return total.hexdigest()[:16]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"  # Jupyter and macOS make such folders by themselves


def _files_below(folder: Path) -> list[str]:
    """All files in a folder and the folders in it, but for what is hidden."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _hidden(name)]
        found += [os.path.join(parent, name) for name in names if not _hidden(name)]
    return sorted(found)


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def _by_annotations(root: Path) -> dict[str, list[str]]:
    """Tiny ImageNet's validation images: a line each, file and class first."""
    classes: dict[str, list[str]] = {}
    for line in (root / ANNOTATIONS).read_text(encoding="utf-8").splitlines():
        name, label = (line.split("\t") + [""])[:2]
        classes.setdefault(label, []).append(str(root / "images" / name))
    unlisted = set(_files_below(root / "images")).symmetric_difference(sum(classes.values(), []))
    if unlisted:
        raise ValueError(
            f"{root / ANNOTATIONS} and the folder beside it do not agree on {min(unlisted)}: mend one"
        )
    return classes


def _by_class(root: Path) -> dict[str, list[str]]:
    """The files of each class."""
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: need one with a folder for each class")
    if (root / ANNOTATIONS).is_file():
        return _by_annotations(root)
    names = [entry.name for entry in os.scandir(root) if entry.is_dir() and not _hidden(entry.name)]
    if not names:
        raise ValueError(f"{root} has no folders: need one for each class, with its images inside")
    return {name: _files_below(root / name) for name in sorted(names)}


def _readable(path: str) -> bool:
    try:
        open_image(path)
    except ValueError:
        return False
    return True


def image_folder(
    root: str | os.PathLike[str], classes: Sequence[str] | None = None, skip_unreadable: bool = False
) -> ImageFolder:
    """The images under ``root``, a folder a class; labels follow the alphabet, or ``classes`` if given.

    Folders within the folder of a class belong to it. ``skip_unreadable`` opens every file first, which takes a
    while, and leaves out what fails. Raises ``ValueError`` for a folder that is not there, a class of ``classes``
    without a folder or one without images.
    """
    root = Path(root)
    found = _by_class(root)
    names = tuple(classes or sorted(found))
    missing, strange = sorted(set(names) - set(found)), sorted(set(found) - set(names))
    if missing:
        raise ValueError(
            f"{root} has no folder for {len(missing)} of the classes, such as {missing[0]!r}: add it"
        )
    if strange:
        raise ValueError(
            f"{root} has {len(strange)} folders that are no class, such as {strange[0]!r}: remove it"
        )
    files, labels, skipped = [], [], []
    beside = (entry for entry in os.scandir(root) if entry.is_file() and entry.name != ANNOTATIONS)
    ignored = [entry.path for entry in beside if not _hidden(entry.name)]
    for label, name in enumerate(names):
        images = [path for path in found[name] if _is_image(path)]
        others = [path for path in found[name] if not _is_image(path)]
        good = [path for path in images if not skip_unreadable or _readable(path)]
        if not good:
            what = f"{len(images)} images and none is readable" if images else "no image"
            what += f", only other files, such as {others[0]}" if others and not images else ""
            raise ValueError(f"{root / name} holds {what}: need one at least, such as a .jpg or .png file")
        skipped += sorted(set(images) - set(good))
        ignored += others
        files += good
        labels += [label] * len(good)
    return ImageFolder(str(root), files, labels, names, tuple(skipped), tuple(sorted(ignored)))


def train_and_val(
    root: str | os.PathLike[str], skip_unreadable: bool = False
) -> tuple[ImageFolder, ImageFolder]:
    """The images in ``root``/train and ``root``/val, of the same classes."""
    train = image_folder(Path(root, "train"), skip_unreadable=skip_unreadable)
    return train, image_folder(Path(root, "val"), train.classes, skip_unreadable)
