"""Reading what students hand in: any notebook that holds code, however its metadata suffered."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cnnlib.grading.walls import Infra

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
