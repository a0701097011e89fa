"""Zip archives of submissions: every member becomes a file with a name of ours, whatever its own name says."""

from __future__ import annotations

import os
import stat
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cnnlib.grading.notebook import MAX_BYTES

MAX_MEMBERS = 20_000  # members
MAX_TOTAL = 2**33  # bytes of all members
SUFFIXES = (".py", ".ipynb")  # what can be graded, the better last
PLATFORM_FILES = ("submission_metadata.yml",)  # what a platform puts beside the files


@dataclass(frozen=True)
class SubmittedFile:
    """One file that was handed in: its name as the platform gave it, where it lies, and why it is unreadable."""

    name: str
    path: Path
    fault: str = ""


def is_hidden(name: str) -> bool:
    """Whether a path is nobody's: files of a system or platform, and copies that Jupyter makes."""
    parts = name.split("/")
    return parts[-1] in PLATFORM_FILES or any(
        part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in parts
    )


def suffix_rank(path: Path) -> int:
    """How well a file can be graded: 1 for a notebook, 0 for a script, -1 for anything else."""
    suffix = path.suffix.lower()
    return SUFFIXES.index(suffix) if suffix in SUFFIXES else -1


def unpack(archive: Path, into: Path) -> list[SubmittedFile]:
    """The members of a zip archive, written into a folder as 0.ipynb, 1.ipynb, ...; no name leads elsewhere.

    Raises ``ValueError`` if the file is no zip archive, or holds more than a class can hand in.
    """
    into.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as source:
            members = [member for member in source.infolist() if not member.is_dir()]
            members = [member for member in members if not is_hidden(member.filename)]
            if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_TOTAL:
                raise ValueError(
                    f"{archive.name!r} holds more than {MAX_MEMBERS:,} files or {MAX_TOTAL >> 30} GB"
                )
            return [extract(source, member, into / str(n)) for n, member in enumerate(members)]
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError) as error:
        raise ValueError(f"{archive.name!r} cannot be read as a zip archive: {error}") from None


def extract(source: zipfile.ZipFile, member: zipfile.ZipInfo, stem: Path) -> SubmittedFile:
    """One member as a file, with the time that the archive knows."""
    suffix = Path(member.filename).suffix.lower()
    path = stem.with_suffix(suffix if suffix.isalnum() or suffix[1:].isalnum() else "")
    name = member.filename.replace("\\", "/")
    path.write_bytes(b"")
    if stat.S_ISLNK(member.external_attr >> 16):
        return SubmittedFile(name, path, "a link to another file")
    try:
        with source.open(member) as packed:
            data = packed.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as error:
        return SubmittedFile(name, path, f"the archive's member cannot be read: {error}")
    if len(data) > MAX_BYTES:
        return SubmittedFile(name, path, f"larger than {MAX_BYTES // 2**20} MB")
    path.write_bytes(data)
    when = time.mktime((*member.date_time, 0, 0, -1))
    os.utime(path, (when, when))
    return SubmittedFile(name, path)


def unpack_single(file: SubmittedFile, into: Path) -> SubmittedFile:
    """The one notebook in a zip archive that a student handed in; else the file with the reason why not."""
    try:
        members = unpack(file.path, into)
    except ValueError as error:
        return SubmittedFile(file.name, file.path, str(error))
    best = max((suffix_rank(Path(member.name)) for member in members), default=-1)
    found = [member for member in members if suffix_rank(Path(member.name)) == best >= 0]
    if len(found) != 1:
        return SubmittedFile(
            file.name, file.path, f"a zip archive with {len(found)} notebooks; hand in the notebook itself"
        )
    return SubmittedFile(file.name, found[0].path, found[0].fault)
