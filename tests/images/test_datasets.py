"""Images come whole or not at all, from wherever they are."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from cnnlib import datasets, resources
from cnnlib.images import downloads
from cnnlib.images.datasets import Images


@pytest.mark.parametrize("load", [datasets.mnist, datasets.fashion_mnist])
def test_the_shipped_sets_are_balanced_images_with_labels(load):
    train, test = load()
    assert (len(train), len(test)) == (5000, 1000)
    for part in (train, test):
        assert part.x.shape[1:] == (1, 28, 28) and part.x.dtype == torch.float32
        assert part.x.min() == 0 and part.x.max() == 1
        assert part.y.bincount().tolist() == [len(part) // 10] * 10 and len(part.classes) == 10
    flat = torch.cat([train.x, test.x]).flatten(1)
    assert (
        len(flat.unique(dim=0)) > 5950
    )  # no picture of the test set is in the training set, but for a few twins


def test_mnist_is_mnist():
    """The usual mean and deviation of all 60,000 digits, which 5,000 of them meet within a hundredth."""
    x = datasets.mnist()[0].x
    assert abs(x.mean() - 0.1307) < 0.01 and abs(x.std() - 0.3081) < 0.01


def test_photos_are_pictures():
    for name in datasets.PHOTOS:
        photo = datasets.photo(name)
        assert photo.dtype == torch.uint8 and photo.shape[0] == 3 and min(photo.shape[1:]) == 288
    with pytest.raises(ValueError, match="no photo is called 'dog': there are astronaut"):
        datasets.photo("dog")


def test_facts_are_numbers_and_names():
    rows = {r["name"]: r for r in resources.facts("architectures") if r["source"] == "torchvision"}
    assert rows["vgg16"]["params"] == 138_357_544 and rows["vgg16"]["top1"] == 71.592
    with pytest.raises(ValueError, match="there are accuracy, architectures"):
        resources.facts("fiction")


def test_parts_that_do_not_fit_are_refused():
    x, y = torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])
    for bad, words in [
        (lambda: Images(x[0], y, ("a", "b")), "four axes"),
        (lambda: Images(x.double(), y, ("a", "b")), "torch.float32"),
        (lambda: Images(x, y.float(), ("a", "b")), "torch.int64"),
        (lambda: Images(x, y[:1], ("a", "b")), "one label an image"),
        (lambda: Images(x, y, ("a",)), "labels 0 to 1"),
        (lambda: Images(x, y, ("a", "b")).head(3), "n=3: need 1 to 2"),
        (lambda: Images(x, y, ("a", "b"))[0], r"\[0:1\]"),
    ]:
        with pytest.raises(ValueError, match=words):
            bad()
    assert len(Images(x, y, ("a", "b"))[torch.tensor([1, 1, 0])]) == 3


@pytest.mark.parametrize("harm", ["cut", "gone", "flipped"])
def test_a_harmed_shipped_file_is_never_used(tmp_path, monkeypatch, harm):
    content = (resources.folder() / "mnist_5k.npz").read_bytes()
    if harm != "gone":
        changed = (
            content[:-100] if harm == "cut" else content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]
        )
        (tmp_path / "mnist_5k.npz").write_bytes(changed)
    (tmp_path / "SHA256SUMS").write_bytes((resources.folder() / "SHA256SUMS").read_bytes())
    monkeypatch.setattr(resources, "folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="mnist_5k.npz .*(missing|damaged).*install cnnlib again") as told:
        datasets.mnist()
    assert str(tmp_path) in str(told.value) and str(told.value) in resources.damaged()


# ---- the full sets: tiny ones in their real form, found in folders and fetched from this machine ----


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def tiny(monkeypatch):
    """Four MNIST files of six and three digits, and their names; checksums as if these were the real ones."""
    draw = np.random.default_rng(0)
    files = {}
    for part, n in (("train", 6), ("t10k", 3)):
        files[f"{part}-images-idx3-ubyte"] = idx(draw.integers(256, size=(n, 28, 28), dtype=np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx(draw.integers(10, size=n, dtype=np.uint8))
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(downloads, "MNIST_FILES", sums)
    return files


@contextmanager
def serving(answer):
    """A server on this machine; ``answer(path)`` gives the bytes to send and the length to announce."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body, length = answer(self.path.rsplit("/", 1)[1])
            if body is None:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def packed(files):
    def answer(name):
        body = gzip.compress(files[name.removesuffix(".gz")])
        return body, len(body)

    return answer


@pytest.mark.parametrize("form", ["plain", "gz"])
@pytest.mark.parametrize("root_is", ["parent", "set", "raw"])
def test_files_placed_by_hand_are_found(tmp_path, tiny, form, root_is):
    raw = tmp_path / "données 図" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in tiny.items():
        (raw / (name + ".gz" * (form == "gz"))).write_bytes(
            gzip.compress(content) if form == "gz" else content
        )
    root = {"parent": raw.parents[1], "set": raw.parent, "raw": raw}[root_is]
    train, test = datasets.mnist(full=True, root=str(root) if form == "gz" else root)
    assert (len(train), len(test)) == (6, 3)
    assert (train.x[0, 0, 3, 4] * 255).round() == tiny["train-images-idx3-ubyte"][16 + 3 * 28 + 4]


def test_a_set_is_fetched_once_and_whole(tmp_path, tiny, monkeypatch):
    with serving(packed(tiny)) as url:
        monkeypatch.setattr(downloads, "MNIST_URLS", (url,))
        train, _ = datasets.mnist(full=True, root=tmp_path, download=True)
    assert len(train) == 6
    again, _ = datasets.mnist(full=True, root=tmp_path)  # the server is gone
    assert torch.equal(again.x, train.x)
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} == {".gz"}


def faults(files):
    good = packed(files)

    def cut(name):
        body, length = good(name)
        return body[:-20], length

    def other(name):
        body = gzip.compress(b"something else")
        return body, len(body)

    return {"cut": cut, "another file": other, "refused": lambda name: (None, 0)}


@pytest.mark.parametrize("fault", ["cut", "another file", "refused"])
def test_a_bad_download_is_refused_and_leaves_nothing(tmp_path, tiny, monkeypatch, fault):
    with serving(faults(tiny)[fault]) as url:
        monkeypatch.setattr(downloads, "MNIST_URLS", (url,))
        with pytest.raises(ValueError, match="could not be downloaded .*put it into") as told:
            datasets.mnist(full=True, root=tmp_path, download=True)
    assert "train-images-idx3-ubyte.gz" in str(told.value) and str(tmp_path) in str(told.value)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_the_next_address_is_asked_if_one_fails(tmp_path, tiny, monkeypatch):
    with serving(faults(tiny)["refused"]) as bad, serving(packed(tiny)) as good:
        monkeypatch.setattr(downloads, "MNIST_URLS", (bad, good))
        assert len(datasets.mnist(full=True, root=tmp_path, download=True)[0]) == 6


def test_a_silent_server_is_given_up(tmp_path, tiny, monkeypatch):
    wait = threading.Event()

    def never(name):
        wait.wait(5)
        return None, 0

    monkeypatch.setattr(resources, "TIMEOUT", 0.2)
    with serving(never) as url:
        monkeypatch.setattr(downloads, "MNIST_URLS", (url,))
        with pytest.raises(ValueError, match="timed out"):
            datasets.mnist(full=True, root=tmp_path, download=True)
        wait.set()


def test_a_short_file_in_the_cache_is_told_and_mended_on_request(tmp_path, tiny, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in tiny.items():
        (raw / name).write_bytes(content)
    (raw / "train-images-idx3-ubyte").write_bytes(tiny["train-images-idx3-ubyte"][:-9])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is damaged.*download=True"):
        datasets.mnist(full=True, root=tmp_path)
    with serving(packed(tiny)) as url:
        monkeypatch.setattr(downloads, "MNIST_URLS", (url,))
        assert len(datasets.mnist(full=True, root=tmp_path, download=True)[0]) == 6
    assert len(datasets.mnist(full=True, root=tmp_path)[0]) == 6  # from the whole form, beside the short one
    assert (raw / "train-images-idx3-ubyte").exists()  # what was there is not ours to remove


def test_a_missing_set_names_file_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNLIB_DATA", str(tmp_path))
    for load, file in [
        (lambda: datasets.mnist(full=True), "train-images"),
        (datasets.cifar10, "cifar-10-python"),
    ]:
        with pytest.raises(ValueError, match=f"{file}.* is missing; put the whole file into") as told:
            load()
        assert str(tmp_path) in str(told.value)
    with pytest.raises(ValueError, match="full=True"):
        datasets.mnist(root=tmp_path)


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Six batches of 20 images, and an archive with them in ``tmp_path``."""
    draw, content = np.random.default_rng(1), {}
    for name in downloads.CIFAR_FILES:
        row = {"data": draw.integers(256, size=(20, 3072), dtype=np.uint8), "labels": [3] * 20}
        content[name] = pickle.dumps(row)
    monkeypatch.setattr(
        downloads, "CIFAR_FILES", {name: hashlib.md5(body).hexdigest() for name, body in content.items()}
    )
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, body in content.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return content


def test_cifar10_is_read_from_its_archive_and_from_its_folder(tmp_path, small_cifar):
    content = small_cifar
    train, test = datasets.cifar10(root=tmp_path)
    assert train.x.shape == (100, 3, 32, 32) and len(test) == 20 and train.classes[3] == "cat"
    last = pickle.loads(content["test_batch"])["data"][7].reshape(3, 32, 32)  # red, green, blue planes
    assert np.array_equal((test.x[7] * 255).round().byte().numpy(), last)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, body in content.items():
        (folder / name).write_bytes(body[:-1] if name == "data_batch_3" else body)
    assert len(datasets.cifar10(root=tmp_path)[0]) == 100  # from the archive
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    with pytest.raises(ValueError, match="data_batch_3 is damaged"):
        datasets.cifar10(root=tmp_path)


@pytest.mark.parametrize("there", [["data_batch_1", "data_batch_2"], ["test_batch"], []])
def test_a_half_unpacked_cifar10_does_not_stand_in_the_way_of_its_archive(tmp_path, small_cifar, there):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in there:
        (folder / name).write_bytes(small_cifar[name])
    train, test = datasets.cifar10(root=tmp_path)
    assert (len(train), len(test)) == (100, 20)
    (tmp_path / "cifar-10-python.tar.gz").unlink()
    missing = next(name for name in small_cifar if name not in there)
    with pytest.raises(ValueError, match=f"{missing} is missing; put the whole file into {folder}"):
        datasets.cifar10(root=tmp_path)


def test_small_clothes_are_means_of_four_pixels():
    (big, _), (small, test) = datasets.fashion_mnist(), datasets.fashion_14()
    assert small.x.shape == (len(big), 1, 14, 14) and len(test) == 1000
    assert torch.equal(small.y, big.y) and small.classes == big.classes
    assert torch.allclose(small.x[7, 0, 2, 3], big.x[7, 0, 4:6, 6:8].mean())
