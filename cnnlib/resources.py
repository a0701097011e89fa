"""The files that come with the course in ``data/``: images, verified before use, and tables of facts. No torch."""

from __future__ import annotations

import csv
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path


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
