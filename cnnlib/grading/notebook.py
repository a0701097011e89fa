"""Reading what students hand in: notebooks that hold code, however their metadata suffered, and zip archives."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import struct
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cnnlib.grading.jail import Infra

MAX_BYTES = 100 * 2**20  # bytes of a file, pictures in its outputs included
MAX_CODE = 2**20  # characters of code
MAX_CELLS = 10_000
MAX_VALUES = 5_000_000  # in its JSON, most of them in outputs
MAGIC_BYTES = {
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a zip archive or an Office document",
    b"<": "a web page (HTML)",
    b"\x1f\x8b": "a gzip archive",
    b"{": "a notebook that was cut off or edited by hand",
}


class Unreadable(ValueError):
    """A file that holds no notebook; the message says what it holds instead."""


@dataclass(frozen=True)
class Notebook:
    """Code cells as (number in the notebook from 1, source), and the texts of the Markdown cells."""

    code: list[tuple[int, str]]
    markdown: list[str]


@dataclass(frozen=True)
class Content:
    """The bytes of a file that was handed in, or why it is none that can be read."""

    data: bytes = b""
    fault: str = ""

    @property
    def sha256(self) -> str:
        """Names the content."""
        return hashlib.sha256(self.fault.encode("utf-8", "replace") + b"\n" + self.data).hexdigest()


def read_content(path: Path, fault: str = "") -> Content:
    """The content of a file as it is now, read once; raises ``Infra`` where the disk or a right fails.

    ``fault``: what is known to be wrong with the file.
    """
    try:
        mode = path.lstat().st_mode
        if fault or not stat.S_ISREG(mode):
            return Content(
                fault=fault or ("a link to another file" if stat.S_ISLNK(mode) else "no ordinary file")
            )
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Infra(f"the file cannot be read: {error.strerror}") from None
    return Content(data) if len(data) <= MAX_BYTES else Content(fault=f"larger than {MAX_BYTES // 2**20} MB")


def parse(data: bytes, suffix: str) -> Notebook:
    """The notebook in the bytes of a file with this suffix."""
    if not data.strip():
        raise Unreadable("the file is empty")
    if suffix == ".py":
        return check_size(Notebook([(1, decode(data))], []))
    if suffix != ".ipynb":
        raise Unreadable(no_notebook(data))
    if sum(map(data.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise Unreadable("holds millions of values: clear the outputs of the notebook, then hand it in")
    try:
        content = json.loads(decode(data))
    except (ValueError, RecursionError):
        raise Unreadable(f"not a notebook: its text is not JSON{guess_format(data)}") from None
    return check_size(Notebook(*read_cells(content)))


def no_notebook(data: bytes) -> str:
    """What is said of a file, of which these are the first bytes, whose name is that of no notebook."""
    return f"neither a notebook (.ipynb) nor a .py file{guess_format(data)}"


def guess_format(data: bytes) -> str:
    """What a file that is no notebook seems to be."""
    if b"<<<<<<<" in data and b">>>>>>>" in data:
        return "; it holds merge conflict markers"
    found = next((kind for start, kind in MAGIC_BYTES.items() if data.lstrip().startswith(start)), "")
    return f"; it looks like {found}" if found else ""


def decode(data: bytes) -> str:
    """Text of a file in UTF-8, with or without a byte order mark, in UTF-16 with one, else in Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_cells(content: object) -> tuple[list[tuple[int, str]], list[str]]:
    """Code and Markdown of a notebook in format 3 or 4."""
    sheets = content.get("worksheets", [content]) if isinstance(content, dict) else None
    if not isinstance(sheets, list) or not sheets or not all(isinstance(sheet, dict) for sheet in sheets):
        raise Unreadable("not a notebook: there are no cells")
    if not any(isinstance(sheet.get("cells"), list) for sheet in sheets):
        raise Unreadable("not a notebook: there are no cells")
    code, markdown = [], []
    found = [cell for sheet in sheets if isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]
    for number, cell in enumerate(found, 1):
        if not isinstance(cell, dict):
            continue
        source = cell_text(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") == "code":
            code.append((number, source))
        elif cell.get("cell_type") == "markdown":
            markdown.append(source)
    return code, markdown


def cell_text(source: object) -> str:
    """A cell's source, stored as one text or as lines, without halves of surrogate pairs."""
    lines = source if isinstance(source, list) else [source]
    joined = "".join(line for line in lines if isinstance(line, str))
    return joined.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def check_size(notebook: Notebook) -> Notebook:
    """The notebook, if it is not absurdly long."""
    if len(notebook.code) + len(notebook.markdown) > MAX_CELLS:
        raise Unreadable(f"holds more than {MAX_CELLS:,} cells")
    if sum(len(source) for _, source in notebook.code) > MAX_CODE:
        raise Unreadable("holds more than a million characters of code")
    return notebook


def last_definition(notebook: Notebook, name: str) -> str:
    """The last code cell that defines a function or class of this name; "" if none does."""
    found = [
        code for _, code in notebook.code if re.search(rf"^[ \t]*(async def|def|class) {name}\b", code, re.M)
    ]
    return found[-1] if found else ""


def written_answer(notebook: Notebook, name: str) -> str:
    """What was written below "Your answer to NAME:" in a Markdown cell; "" if nothing was."""
    for source in notebook.markdown:
        found = re.search(rf"Your answer to {name}:?\**:?(.*)", source, re.S)
        if found and (answer := found[1].replace("*Write here.*", "").strip()):
            return answer
    return ""


# Archives: what can be graded becomes a file with a name of ours, whatever its own name says

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
