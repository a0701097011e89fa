"""The text of a sheet, chapters/exercises/NAME.md, in its forms: for students, solved, with other constants.

Markers of the text: ``### BEGIN SOLUTION`` and ``### END SOLUTION``; the first line of an answer's cell,
``# cnnlib exercise cost/1: conv_out, practice`` (or ``graded``); a cell that assigns ``VARIANT``, a dict of
constants, each with the values that it may take, the book's first.
"""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path

from cnnlib.grading.sheet import Sheet, load

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION *\n(.*?)^[ \t]*### END SOLUTION *$", re.M | re.S)
MARKER = re.compile(r"### (?:BEGIN|END) SOLUTION")
HEADER = re.compile(r"# cnnlib exercise [\w/]+: (\w+), (practice|graded)\n")
SHEET_ID = re.compile(r'^SHEET = "(\w+)/(\d+)"$', re.M)
VARIANT = re.compile(r"^VARIANT = ", re.M)
BLANK = r"\1# YOUR CODE HERE\n\1raise NotImplementedError"


def find_text(name: str) -> Path:
    """The text of a sheet: the path itself, or that of a sheet's name in a clone of the course."""
    if name.endswith(".md"):
        path = Path(name)
    else:
        folders = [Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]]
        paths = [folder / "chapters" / "exercises" / f"{name}.md" for folder in folders]
        path = next((path for path in paths if path.is_file()), paths[0])
    if not path.is_file():
        raise ValueError(
            f"sheet={name!r}: there is no file {path}; run this in a clone of the course (the text, which "
            "holds the solutions, is not in the installed package) or give the path of the .md file"
        )
    return path


def sheet_of(text: str) -> Sheet:
    """The sheet that a text belongs to; raises ``ValueError`` if text and package disagree."""
    if not (found := SHEET_ID.search(text)):
        raise ValueError('the text of a sheet must have a line like SHEET = "cost/1"')
    sheet = load(found[1])
    if sheet.revision != int(found[2]):
        raise ValueError(
            f"the text is {found[1]}/{found[2]}, the package knows {sheet.id}: take both from one version"
        )
    return sheet


def constants(text: str, variant: int | None = None) -> dict[str, object]:
    """The constants of the text: the book's, or those that a variant draws."""
    cell = next(
        (cell.source for cell in parse_text(text).cells if VARIANT.search(cell.source)), "VARIANT = {}"
    )
    table = ast.literal_eval(VARIANT.sub("", cell))
    if variant is None:
        return {name: values[0] for name, values in table.items()}
    rng = random.Random(f"variant {variant}")
    return {name: rng.choice(values) for name, values in table.items()}


def sheet_id(sheet: Sheet, variant: int | None) -> str:
    """What a notebook says in ``SHEET``: chapter/revision, and the variant if it is one."""
    return sheet.id if variant is None else f"{sheet.id}/{variant}"


def parse_text(text: str):
    """The notebook that a text describes, as it stands."""
    import jupytext  # only for those who make or grade sheets

    return jupytext.reads(text, fmt="md:myst")


def student_notebook(text: str, variant: int | None = None):
    """The notebook that students get: no solutions but those of practice exercises, folded below the check.

    Raises ``ValueError`` for a solution marker without its partner and for an exercise with no solution.
    """
    nb = parse_text(with_constants(text, variant))
    cells, fold = [], None
    for cell in nb.cells:
        header = HEADER.match(cell.source) if cell.cell_type == "code" else None
        blank, solutions = SOLUTION.subn(BLANK, cell.source)
        if MARKER.search(blank):
            raise ValueError(
                f"a ### BEGIN SOLUTION or ### END SOLUTION has no partner in the cell {cell.source[:60]!r}"
            )
        if bool(header) != bool(solutions):
            raise ValueError(
                f"an exercise has a header line and a solution, or neither: {cell.source[:60]!r}"
            )
        if header and header[2] == "practice":
            fold = solution_cell(HEADER.sub("", cell.source))
        cell.source = blank
        cells.append(cell)
        if fold and cell.source.startswith("check("):
            cells.append(fold)
            fold = None
    nb.cells = cells
    return nb


def solved_notebook(text: str, variant: int | None = None):
    """The notebook with every solution in place: the reference."""
    nb = parse_text(with_constants(text, variant))
    for cell in nb.cells:
        cell.source = without_markers(cell.source)
    return nb


def without_markers(source: str) -> str:
    """The solved form of a cell."""
    return "\n".join(line for line in source.split("\n") if not MARKER.search(line))


def solution_cell(source: str):
    """A Markdown cell that opens on a click and shows a solution."""
    import nbformat

    code = without_markers(source).strip()
    text = f"<details><summary>Solution</summary>\n\n```python\n{code}\n```\n\n</details>"
    return nbformat.v4.new_markdown_cell(text)


def with_constants(text: str, variant: int | None) -> str:
    """The text with plain assignments in place of ``VARIANT``, and the variant in the sheet's id."""
    values = constants(text, variant)
    lines = "\n".join(
        f"{name} = {value:_}" if type(value) is int else f"{name} = {value!r}"
        for name, value in values.items()
    )
    text = re.sub(r"^VARIANT = \{.*?^\}$", lines, text, flags=re.M | re.S)
    if variant is not None:
        sheet = sheet_of(text)
        text = re.sub(rf"\b{sheet.id}\b", sheet_id(sheet, variant), text)
    return text


def code_cells(nb) -> list[tuple[int, str]]:
    """(number of the cell in the notebook from 1, source) of every code cell."""
    return [(number, cell.source) for number, cell in enumerate(nb.cells, 1) if cell.cell_type == "code"]
