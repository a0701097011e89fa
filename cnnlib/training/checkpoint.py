"""A training run on disk: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor, nn

FORMAT = 1
PathLike = str | os.PathLike[str]


def fingerprint(net: nn.Module) -> str:
    """Equal for networks of the same layers in the same order with weights of the same names and shapes."""
    shapes = [f"{name} {tuple(value.shape)} {value.dtype}" for name, value in net.state_dict().items()]
    return hashlib.sha256("\n".join([str(net), *shapes]).encode()).hexdigest()[:16]


@contextmanager
def _atomic_path(path: Path) -> Iterator[Path]:
    """PathLike to write first; what goes wrong is differences, and nothing of it stays."""
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
    content = io.BytesIO()
    torch.save(state | {"format": FORMAT}, content)
    with _atomic_path(Path(path)) as part:
        with part.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine could leave the new name on old blocks
        os.replace(part, path)


def load(path: PathLike) -> dict:
    """What ``save`` wrote, on the CPU. Raises ``ValueError`` if the file is none, or damaged."""
    try:
        if is_zipfile(path):
            with ZipFile(path) as parts:
                if parts.testzip():  # the sums of its parts, which torch does not look at
                    raise BadZipFile
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): give the path of a checkpoint"
        ) from error
    except (
        RuntimeError,
        ValueError,
        EOFError,
        KeyError,
        BadZipFile,
        torch.serialization.pickle.UnpicklingError,
    ):
        raise ValueError(f"{path} is no checkpoint, or damaged: delete it, or give another path") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no checkpoint but a {type(state).__name__}: give another path")
    return state


def resume(path: PathLike, identity: dict) -> dict | None:
    """The run so far, or None where no file is. ``identity``: fingerprint of the network, recipe, images.

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
    for what in ("recipe", "images"):
        then, now = state[what], identity[what]
        other = [name for name in now if then.get(name) != now[name]]
        if other:
            differences = ", ".join(f"{name} was {then.get(name)} and is {now[name]}" for name in other)
            raise ValueError(f"{path} belongs to a run with other {what} ({differences}): {advice}")
    return state


def weights(path: PathLike) -> dict[str, Tensor]:
    """The weights in a file: of one of our runs (their running mean, if it kept one), or a bare state_dict."""
    state = load(path)
    if state.get("format") != FORMAT:
        return state
    return state["ema"]["values"] if state["ema"] else state["net"]
