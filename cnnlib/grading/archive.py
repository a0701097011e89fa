"""Zip archives of submissions: what can be graded becomes a file with a name of ours, whatever its own name says."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cnnlib.grading.notebook import MAX_BYTES, no_notebook

MAX_MEMBERS = 20_000
MAX_DIRECTORY = 2**24  # bytes of an archive's list of members, all of which is read at once
MAX_TOTAL = 2**33  # bytes of all members that are unpacked
SUFFIXES = (".py", ".ipynb")  # what can be graded, the better last
METADATA = "submission_metadata.yml"  # what Gradescope puts beside the files
HEAD = 1024  # bytes that tell what a file is


@dataclass(frozen=True)
class SubmittedFile:
    """One file that was handed in: its name as the platform gave it, where it lies, and why it is unreadable."""

    name: str
    path: Path
    fault: str = ""


def is_hidden(name: str) -> bool:
    """Whether a path is nobody's: files of a system or platform, and copies that Jupyter makes."""
    parts = name.split("/")
    return parts[-1] == METADATA or any(
        part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in parts
    )


def suffix_of(name: str) -> str:
    """The end of a file name that decides what is done with it; "" for all others."""
    return next((suffix for suffix in (*SUFFIXES, ".zip") if name.lower().endswith(suffix)), "")


def suffix_rank(name: str) -> int:
    """How well a file can be graded: 1 for a notebook, 0 for a script, -1 for anything else."""
    suffix = suffix_of(name)
    return SUFFIXES.index(suffix) if suffix in SUFFIXES else -1


@contextlib.contextmanager
def opened(path: Path):
    """A zip archive and its members, without folders and hidden files; raises ``ValueError`` for anything else."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 2**16 - 22))
            tail = file.read()
        last = tail.rfind(b"PK\5\6")
        if last < 0 or struct.unpack_from("<I", tail, last + 12)[0] > MAX_DIRECTORY:
            raise ValueError("it has no list of members, or one that is too long")
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
        raise ValueError(f"{path.name!r} cannot be read as a zip archive: {error}") from None
    with archive:
        yield archive, [m for m in archive.infolist() if not m.is_dir() and not is_hidden(m.filename)]


def unpack(path: Path, into: Path) -> list[SubmittedFile]:
    """The members of the archive of a class, written into a folder as 0.ipynb, 1.ipynb, ...; no name leads elsewhere.

    Raises ``ValueError`` if the file is no zip archive, or holds more than a class can hand in.
    """
    into.mkdir(parents=True, exist_ok=True)
    with opened(path) as (archive, members):
        total = sum(member.file_size for member in members if suffix_of(member.filename))
        if len(members) > MAX_MEMBERS or total > MAX_TOTAL:
            raise ValueError(f"{path.name!r} holds more than {MAX_MEMBERS:,} files or {MAX_TOTAL >> 30} GB")
        return [extract(archive, member, into / str(n)) for n, member in enumerate(members)]


def extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, stem: Path) -> SubmittedFile:
    """One member as a file, with the time that the archive knows; what cannot be graded is not unpacked."""
    name = member.filename.replace("\\", "/")
    suffix = suffix_of(name)
    path, data, when = stem.with_suffix(suffix), b"", 0.0
    fault = "a link to another file" if stat.S_ISLNK(member.external_attr >> 16) else ""
    try:
        with archive.open(member) as packed:
            data = packed.read(MAX_BYTES + 1 if suffix else HEAD)
        when = time.mktime((*member.date_time, 0, 0, -1))
    except Exception as error:  # each way of packing has errors of its own for a bad stream
        if isinstance(error, OSError) and error.errno:  # the disk's, not the stream's
            raise
        fault = fault or f"the archive's member cannot be read: {error}"
    if not suffix:
        fault, data = fault or no_notebook(data), b""
    elif len(data) > MAX_BYTES:
        fault, data = f"larger than {MAX_BYTES // 2**20} MB", b""
    path.write_bytes(b"" if fault else data)
    os.utime(path, (when, when))
    return SubmittedFile(name, path, fault)


def metadata_of(folder: Path) -> bytes:
    """What Gradescope tells about a class, in a folder or in a zip archive; empty if there is nothing."""
    if folder.is_dir():
        return next((path.read_bytes() for path in sorted(folder.rglob(METADATA))), b"")
    with zipfile.ZipFile(folder) as source:
        return next((source.read(name) for name in source.namelist() if name.endswith(METADATA)), b"")


def unpack_single(file: SubmittedFile, into: Path) -> SubmittedFile:
    """The one notebook in a zip archive that a student handed in; else the file with the reason why not."""
    try:
        with opened(file.path) as (archive, members):
            best = max((suffix_rank(member.filename) for member in members), default=-1)
            found = [member for member in members if suffix_rank(member.filename) == best >= 0]
            if len(found) != 1:
                raise ValueError(f"a zip archive with {len(found)} notebooks; hand in the notebook itself")
            into.mkdir(parents=True, exist_ok=True)
            inner = extract(archive, found[0], into / "0")
    except ValueError as error:
        return SubmittedFile(file.name, file.path, str(error))
    return SubmittedFile(file.name, inner.path, inner.fault)
