"""The files that come with the course, in ``data/``: verified before they are used. Knows no torch."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path


def folder() -> Path:
    """Where they lie."""
    return Path(str(resources.files("cnnlib_data")))


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
