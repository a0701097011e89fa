"""Images that are read when they are needed, by worker processes: for sets that memory cannot hold."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Protocol

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.utils.data import DataLoader

Transform = Callable[[Image.Image, Generator], Tensor]  # an image -> float32 (C, H, W) in [0, 1]


DIGEST_SAMPLE = 256  # images that are read for the digest of a data set which brings none


class Dataset(Protocol):
    """What torchvision's datasets are: ``dataset[i]`` gives an image (PIL) and its label."""

    def __len__(self) -> int:
        """How many images."""

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """Image and label."""


Item = tuple[Tensor, int] | ValueError


@dataclass(frozen=True)
class _TransformedDataset:
    """What a worker does: read an image and transform it. It returns errors, which would arrive in pieces if raised."""

    dataset: Dataset
    transform: Transform
    classes: int

    def __getitem__(self, key: tuple[int, int]) -> Item:
        index, number = key
        try:
            image, label = self.dataset[index]
            x = self.transform(image, Generator().manual_seed(number))
        except ValueError as error:
            return error
        if not 0 <= label < self.classes:
            return ValueError(f"image {index} has label {label}: need 0 to {self.classes - 1}")
        return x, label


def _collate(items: list[Item]) -> tuple[Tensor, Tensor] | ValueError:
    errors = [item for item in items if isinstance(item, ValueError)]
    if errors:
        return errors[0]
    shapes = sorted({tuple(x.shape) for x, _ in items})
    if len(shapes) > 1:
        sizes = " and ".join("\u00d7".join(map(str, shape)) for shape in shapes[:2])
        return ValueError(
            f"images of {sizes} in one batch: the transform must give one size, as centre_crop(256, 224) does"
        )
    return torch.stack([x for x, _ in items]), torch.tensor([label for _, label in items])


def _outlive_signals(worker: int) -> None:
    """A run that is stopped saves first, and still needs the images on their way."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True, eq=False)
class Stream:
    """A set of images that stays where it is; ``train`` and ``evaluate`` take it in place of ``Images``.

    ``dataset``: an ``ImageFolder`` or one of torchvision's; ``classes``: a name each label; ``transform``: how an
    image becomes a tensor, see ``images.preprocessing``; ``workers``: processes that read (0: this one, the safe
    choice in a notebook on Windows and macOS).
    ``mean`` is taken off and ``std`` divided by, each (C, 1, 1) or (C, H, W).
    What is random in a transform follows from the seed, the epoch and the place of the image, not from the workers.
    """

    dataset: Dataset
    classes: Sequence[str]
    transform: Transform
    workers: int = 0
    mean: Tensor = torch.zeros(3, 1, 1)
    std: Tensor = torch.ones(3, 1, 1)

    def __len__(self) -> int:
        """How many images."""
        return len(self.dataset)

    def __repr__(self) -> str:
        """Number and classes in a line."""
        return f"Stream({len(self):,} images, {len(self.classes)} classes, {self.workers} workers)"

    def to(self, device: torch.device) -> Stream:
        """Itself: images go to the device as they come."""
        return self

    def example(self) -> Tensor:
        """One image, (1, C, H, W)."""
        item = _collate([self._transformed[0, 0]])
        if isinstance(item, ValueError):
            raise item
        return self._normalised(item[0])

    def max_label(self) -> int:
        """The highest label there can be."""
        return len(self.classes) - 1

    def fingerprint(self) -> dict[str, object]:
        """What a checkpoint remembers of the images it was trained on: number, classes and a digest.

        The digest is the data set's own, or of images spread over it, since to read all of a large set takes long.
        """
        digest = self.dataset.digest() if hasattr(self.dataset, "digest") else self._sample_digest()
        return {"count": len(self), "classes": list(self.classes), "digest": digest}

    def _sample_digest(self) -> str:
        total = hashlib.sha256()
        for i in range(0, len(self), len(self) // DIGEST_SAMPLE + 1):
            image, label = self.dataset[i]
            total.update(f"{image.size} {label}\n".encode() + image.tobytes())
        return total.hexdigest()[:16]

    def normalisation(self) -> dict[str, Tensor]:
        """What is taken off the pixels and what they are divided by; the network is used with the same."""
        return {"mean": self.mean, "std": self.std}

    def batches(self, indices: Sequence[Tensor], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """x (N, C, H, W) and y (N,) of the images at each of ``indices``, (N,); read ahead by the workers.

        Raises ``ValueError`` for a file that cannot be read, a label out of range, images of unequal size.
        """
        if not indices:
            return
        self._keys[:] = [[(i, (seed << 24) + i & 2**62 - 1) for i in part.tolist()] for part in indices]
        for batch in self._loader:
            if isinstance(batch, ValueError):
                raise batch
            x, y = batch
            yield self._normalised(x), y

    @cached_property
    def _keys(self) -> list[list[tuple[int, int]]]:
        """Position and seed of each image that the loader is to read next, a list a batch."""
        return []

    @cached_property
    def _loader(self) -> DataLoader:
        """Its workers stay from one epoch to the next: to start them takes seconds."""
        return DataLoader(
            self._transformed, batch_sampler=self._keys, num_workers=self.workers, collate_fn=_collate,
            pin_memory=torch.cuda.is_available(), persistent_workers=self.workers > 0, worker_init_fn=_outlive_signals,
            generator=Generator(),  # its own, or the numbers of the run would depend on where it is resumed
        )  # fmt: skip

    @property
    def _transformed(self) -> _TransformedDataset:
        return _TransformedDataset(self.dataset, self.transform, len(self.classes))

    def __getstate__(self) -> dict[str, object]:
        """What a process that gets a copy needs: not our workers."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _normalised(self, x: Tensor) -> Tensor:
        for name, value in self.normalisation().items():
            if value.shape[0] != x.shape[1] or value.shape[1:] not in ((1, 1), x.shape[2:]):
                sizes = ["\u00d7".join(map(str, shape)) for shape in (value.shape, x.shape[1:])]
                raise ValueError(
                    f"the {name} is of {sizes[0]} and the images of {sizes[1]}: give one for this size"
                )
        return (x - self.mean) / self.std
