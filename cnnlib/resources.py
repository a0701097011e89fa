"""Files: those that come with the course in ``data/``, verified before use, and those that are downloaded. No torch."""

from __future__ import annotations

import csv
import hashlib
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from urllib.request import Request, urlopen

TIMEOUT = 30  # seconds without an answer


def folder() -> Path:
    """Where they lie."""
    return Path(str(files("cnnlib_data")))


@cache
def _checksums() -> dict[str, str]:
    lines = (folder() / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def read(name: str) -> bytes:
    """Content of the file ``name``; raises ``ValueError`` if it is missing or not what was shipped."""
    path = folder() / name
    cure = "install cnnlib again, or put back the file from the course's repository"
    if not path.is_file():
        raise ValueError(f"{path.name} is missing in {path.parent}: {cure}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _checksums()[name]:
        raise ValueError(f"{path.name} in {path.parent} is damaged (its SHA-256 is another): {cure}")
    return content


def damaged() -> list[str]:
    """One sentence for each file that is missing or damaged."""
    problems = []
    for name in _checksums():
        try:
            read(name)
        except ValueError as error:
            problems.append(str(error))
    return problems


def _value(text: str) -> int | float | str | None:
    """Numbers as numbers, an empty cell as None."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text or None


def facts(name: str) -> list[dict[str, int | float | str | None]]:
    """The rows of a facts table, such as ``"architectures"``; data/facts/README.md explains the columns."""
    path = folder() / "facts" / f"{name}.csv"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in path.parent.glob("*.csv")))
        raise ValueError(f"no facts table is called {name!r}: there are {names}")
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: _value(text) for key, text in row.items()} for row in csv.DictReader(file)]


def progress_bar(*args, **options):
    """A bar of tqdm, arguments as there: shown in a terminal or an open notebook, after a second, and then gone.

    Nothing is shown where standard error goes to a file, or where TQDM_DISABLE is set, as in notebooks that a program
    executes. (tqdm's own reading of that variable stops at notebooks.)
    """
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", TqdmWarning
        )  # a kernel without ipywidgets has no bar, and that is all
        from tqdm.auto import tqdm
    hidden = True if os.environ.get("TQDM_DISABLE", "0") != "0" else options.pop("disable", None)
    return tqdm(*args, **{"leave": False, "delay": 1, "dynamic_ncols": True} | options | {"disable": hidden})


def download(path: Path, urls: Sequence[str], check: Callable[[bytes], object]) -> None:
    """Save as ``path`` what the first of ``urls`` gives that passes ``check``; it takes its name when whole.

    ``check`` raises an ``OSError`` for other content. Raises ``ValueError`` that says what each address answered and
    where to put the file by hand.
    """
    failures = []
    path.parent.mkdir(parents=True, exist_ok=True)
    for url in urls:
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                _copy(url, file, path.name)
            check(part.read_bytes())
            os.replace(part, path)
            return
        except (OSError, HTTPException) as error:  # no address, no answer in time, cut short, not the file
            failures.append(f"{url}: {error}")
        finally:
            part.unlink(missing_ok=True)
    raise ValueError(
        f"{path.name} could not be downloaded ({'; '.join(failures)}): try again later, or get the file by "
        f"other means and put it into {path.parent}"
    )


def _copy(url: str, file, name: str) -> None:
    with urlopen(Request(url, headers={"User-Agent": "cnnlib"}), timeout=TIMEOUT) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        with progress_bar(total=size or None, desc=name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
            while chunk := answer.read(1 << 20):
                file.write(chunk)
                bar.update(len(chunk))
    if size and file.tell() != size:
        raise OSError(f"it ended after {file.tell():,} of {size:,} bytes")


def pinned() -> dict[str, str]:
    """The variables that hold PyTorch to the instruction set which every x86 processor of the last ten years has.

    Sums are rounded as the instruction set has it: with these, stored numbers come out the same everywhere. They have
    to be set before torch is imported. Empty on other processors.
    """
    x86 = platform.machine() in ("x86_64", "AMD64")
    return {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"} if x86 else {}
