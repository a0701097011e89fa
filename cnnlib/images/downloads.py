"""The original files of the public sets: found in torchvision's folders, checked, and fetched when asked to.

Checksums are those of the unpacked files, so a copy that was packed again is as good as the first one. A
file is never used before it is verified. (torchvision's own loaders trust any unpacked file, and have no
time-out.)
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlib import resources

MNIST_URLS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://yann.lecun.com/exdb/mnist/")
MNIST_FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_URLS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
FASHION_FILES = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
CIFAR_URLS = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


def check_md5(name: str, content: bytes, md5: str) -> bytes:
    """``content``, or an OSError that names both checksums (they guard against accidents, not attacks)."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise OSError(f"{name} is damaged: its md5 is {found} ({len(content):,} bytes), expected {md5}")
    return content


def gunzip(name: str, content: bytes) -> bytes:
    """Unpacked ``content``; an OSError if it is cut short or no gzip file at all."""
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise OSError(f"{name} is damaged: {error}") from None


def _unpacked(folder: Path, name: str, md5: str) -> bytes:
    """The file ``name`` in ``folder``, from whichever of its forms is whole, plain or gzipped; else an OSError."""
    plain, packed = folder / name, folder / f"{name}.gz"
    try:
        return check_md5(name, plain.read_bytes(), md5)
    except OSError:
        if plain.is_file() and not packed.is_file():
            raise
    return check_md5(name, gunzip(packed.name, packed.read_bytes()), md5)


def read_idx(folder: Path, files: Mapping[str, str], urls: Sequence[str], download: bool) -> list[np.ndarray]:
    """Arrays (uint8) of the idx ``files`` in ``folder``, gzipped or not: images (N, H, W), labels (N,)."""
    arrays = []
    for name, md5 in files.items():
        packed = folder / f"{name}.gz"
        try:
            content = _unpacked(folder, name, md5)
        except OSError as error:
            if not download:
                raise _unusable(folder, error) from None

            def check(archive: bytes, name: str = name, md5: str = md5) -> None:
                check_md5(name, gunzip(f"{name}.gz", archive), md5)

            resources.download(packed, [url + packed.name for url in urls], check)
            content = _unpacked(folder, name, md5)
        axes = content[3]
        shape = np.frombuffer(content, ">u4", axes, offset=4)
        arrays.append(np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape))
    return arrays


def _unusable(folder: Path, error: OSError) -> ValueError:
    what = f"{Path(error.filename).name} is missing" if isinstance(error, FileNotFoundError) else str(error)
    return ValueError(f"{what}; put the whole file into {folder}, or pass download=True")


def _unpack_cifar10(archive: bytes) -> dict[str, bytes]:
    """The batches in the archive, each verified."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            inside = {name: tar.extractfile(f"cifar-10-batches-py/{name}").read() for name in CIFAR_FILES}
    except (tarfile.TarError, EOFError, KeyError, zlib.error) as error:
        raise OSError(f"cifar-10-python.tar.gz is damaged: {error}") from None
    return {name: check_md5(name, inside[name], md5) for name, md5 in CIFAR_FILES.items()}


def _cifar10_batches(folder: Path, archive: Path) -> dict[str, bytes]:
    """The batches in ``folder``, or, if one is missing or damaged, in the ``archive``; else an OSError."""
    try:
        return {name: check_md5(name, (folder / name).read_bytes(), md5) for name, md5 in CIFAR_FILES.items()}
    except OSError:
        if folder.is_dir() and not archive.is_file():
            raise
    return _unpack_cifar10(archive.read_bytes())


def read_cifar10(folder: Path, download: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) and labels (N,), training then test.

    Reads the batches in ``folder`` if they are whole, else the archive beside it, without unpacking it.
    """
    archive = folder.parent / "cifar-10-python.tar.gz"
    try:
        batches = _cifar10_batches(folder, archive)
    except OSError as error:
        if not download:
            raise _unusable(folder if folder.is_dir() else folder.parent, error) from None
        resources.download(archive, [url + archive.name for url in CIFAR_URLS], _unpack_cifar10)
        batches = _unpack_cifar10(archive.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pickles come from an old numpy
        rows = [pickle.loads(content, encoding="latin1") for content in batches.values()]  # verified above
    *batches, test = [(row["data"].reshape(-1, 3, 32, 32), np.array(row["labels"])) for row in rows]
    x, y = map(np.concatenate, zip(*batches, strict=True))
    return x, y, *test
