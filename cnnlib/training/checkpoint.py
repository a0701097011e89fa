"""A training run on disk: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import hashlib
import io
import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor, nn

from cnnlib.images import Images, Stream
from cnnlib.training.recipe import Recipe, describe

FORMAT = 2
PathLike = str | os.PathLike[str]


def fingerprint(net: nn.Module) -> str:
    """Equal for networks of the same layers in the same order with weights of the same names and shapes."""
    shapes = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in net.state_dict().items()]
    return hashlib.sha256("\n".join([str(net), *shapes]).encode()).hexdigest()[:16]


@contextmanager
def _atomic_path(path: Path) -> Iterator[Path]:
    """Where to write first; an error says what failed, and nothing of it stays."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
    except OSError as error:
        if part.is_file():
            part.unlink()
        raise ValueError(
            f"{path} cannot be written ({error.strerror}): make room, or choose another place; "
            f"{'the checkpoint before is still there' if path.is_file() else 'nothing is there yet'}"
        ) from error


def check_writable(path: PathLike) -> None:
    """Raises ``ValueError`` if no file can be made at ``path``: better now than after the first epoch."""
    with _atomic_path(Path(path)) as part:
        part.touch()
        part.unlink()


def save(path: PathLike, state: dict) -> None:
    """Write ``state``, of tensors and plain values: a reader finds the file before or the new one, never a part.

    Raises ``ValueError`` if it cannot be written; the file before stays.
    """
    buffer = io.BytesIO()
    torch.save(state | {"format": FORMAT}, buffer)
    put_back(path, buffer.getbuffer())


def content(path: PathLike) -> bytes | None:
    """What is in the file, for ``put_back``; None where no file is."""
    return Path(path).read_bytes() if Path(path).exists() else None


def put_back(path: PathLike, content: bytes | memoryview | None) -> None:
    """Make ``content`` that of the file, in one go; None removes it."""
    if content is None:
        Path(path).unlink(missing_ok=True)
        return
    with _atomic_path(Path(path)) as part:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine could leave the new name on old blocks
        os.replace(part, path)


def load(path: PathLike) -> dict:
    """What ``save`` wrote, on the CPU. Raises ``ValueError`` if the file is none, or damaged."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): give the path of a checkpoint"
        ) from error
    try:
        if is_zipfile(path):
            with ZipFile(path) as parts:
                if parts.testzip():  # the sums of its parts, which torch does not look at
                    raise BadZipFile
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, BadZipFile, UnpicklingError):
        raise ValueError(f"{path} is no checkpoint, or damaged: delete it, or give another path") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no checkpoint but a {type(state).__name__}: give another path")
    return state


def identity(
    net: nn.Module, recipe: Recipe, train_set: Images | Stream, valid_set: Images | Stream
) -> dict[str, object]:
    """What a run is a run of, and its file must agree with; with the preparation of images that the weights need."""
    return {
        "network": fingerprint(net),
        "recipe": recipe.describe(),
        "training": train_set.fingerprint() | {"transform": describe(getattr(train_set, "transform", None))},
        "validation": valid_set.fingerprint()
        | {"transform": describe(getattr(valid_set, "transform", None))},
        "normalisation": train_set.normalisation(),
    }


def resume(path: PathLike, identity: dict) -> dict | None:
    """The run so far, or None where no file is.

    Raises ``ValueError`` if the file is damaged or belongs to another network, recipe or set of images.
    """
    if not Path(path).exists():
        return None
    state = load(path)
    if state.get("format") != FORMAT:
        raise ValueError(f"{path} holds weights but no training run: give another path")
    advice = "give another path, or delete the file to start anew"
    if state["network"] != identity["network"]:
        raise ValueError(f"{path} belongs to another network: {advice}")
    for part, name in (
        ("recipe", "recipe"),
        ("training", "training images"),
        ("validation", "validation images"),
    ):
        then, now = state[part], identity[part]
        other = [key for key in now if then.get(key) != now[key]]
        if other:
            differences = ", ".join(
                f"{key} was {_short(then.get(key))} and is {_short(now[key])}" for key in other
            )
            raise ValueError(f"{path} belongs to a run with other {name} ({differences}): {advice}")
    return state


def _short(value: object) -> str:
    return textwrap.shorten(str(value), 80, placeholder=" …")


def weights(path: PathLike) -> dict[str, Tensor]:
    """The weights in a file: of one of our runs (their running mean, if it kept one), or a bare state_dict."""
    state = load(path)
    if state.get("format") != FORMAT:
        return state
    return state["ema"]["values"] if state["ema"] else state["net"]
