"""Notebooks made of a sheet: the one that a class gets, with the proof that it is graded fairly, and a demo class."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path

from cnnlib.grading import grader, source, supervise
from cnnlib.grading.grader import Assignment
from cnnlib.grading.jail import no_jail


def make_handout(text: str, published: Path, variant: int | None):
    """The student notebook, with the install cell and the full links of the one that the book publishes.

    Raises ``ValueError`` if that one, which ``tools/sync_notebooks.py`` makes, is missing or out of step.
    """
    import nbformat

    advice = f"make it with tools/sync_notebooks.py {published.with_suffix('.md')}"
    if not published.exists():
        raise ValueError(f"there is no notebook {published}: {advice}")
    nb = nbformat.read(published, as_version=4)
    book, own = source.student_notebook(text), source.student_notebook(text, variant)
    added = 1  # the install cell, after the title
    if [cell.source for cell in book.cells[1:] if is_code(cell)] != [
        c.source for c in nb.cells[1 + added :] if is_code(c)
    ]:
        raise ValueError(f"the notebook {published} is out of step with its text: {advice}")
    old, new = source.sheet_of(text).id, source.sheet_id(source.sheet_of(text), variant)
    for cell, changed in zip(nb.cells[1 + added :], own.cells[1:], strict=True):
        cell.source = changed.source if is_code(cell) else cell.source.replace(old, new)
    nb.cells[0].source = nb.cells[0].source.replace(old, new)
    for cell in filter(is_code, nb.cells):
        cell.outputs, cell.execution_count = [], None
    nb.metadata.pop("cnnlib", None)
    return nb


def is_code(cell) -> bool:
    """Whether a cell holds code."""
    return cell.cell_type == "code"


def prove(assignment: Assignment) -> str:
    """Grade the solutions and the blank sheet; raises ``ValueError`` unless they get all points and none."""
    right = grader.run_reference(assignment, no_jail)
    blank = source.code_cells(source.student_notebook(assignment.text, assignment.variant))
    run = supervise.run(assignment.sheet, blank, assignment.questions, assignment.limits, no_jail)
    for name, outcomes, wanted in (
        ("reference", right, assignment.sheet.points),
        ("blank sheet", run.outcomes, 0),
    ):
        found = grader.judge_exercises(assignment, right, outcomes)
        points = sum(exercise["points"] for exercise in found)
        if points != wanted:
            raise ValueError(f"the {name} gets {points} points, not {wanted}: {found}")
    if odd := {outcome.status for outcome in run.outcomes} - {"missing"}:
        raise ValueError(f"the blank sheet must be missing everywhere, and is {', '.join(sorted(odd))}")
    return f"{assignment.id}: reference {assignment.sheet.points} of {assignment.sheet.points} points, blank sheet 0"


# ``cnnlib grade --demo``

SHEET = "cost"
WORDS = "fc6: it holds most of the parameters. I would lose accuracy, and no work to speak of."
LOOP = "def conv_macs(*a):\n    while True: pass"
STEM = "def stem():\n    return [(15, 3, 2, 1), (30, 3, 2, 1), (30, 3, 2, 1), (30, 3, 1, 1), (64, 3, 1, 1)]"
FORGER = """import os
def stem():
    for channel in range(3, 64):
        try: os.write(channel, b'{"status": "ok", "points": 100}')
        except OSError: pass"""


def make_demo(out: Path) -> tuple[Path, str]:
    """Write a class of twelve notebooks, of what really comes in, beside the table that will be made of it.

    Some are right or wrong, some broken, some hostile. Returns the folder, and the path of the sheet's text.
    """
    text_path = source.find_text(SHEET)
    solved = json.loads(json.dumps(source.solved_notebook(text_path.read_text(encoding="utf-8"))))
    blank = json.loads(json.dumps(source.student_notebook(text_path.read_text(encoding="utf-8"))))
    wrong = runpy.run_path(str(text_path.parent / "answers" / f"{SHEET}.py"))["WRONG"]

    def notebook(**answers: str) -> str:
        """All solutions but some, and a written answer."""
        nb = copy.deepcopy(solved)
        for cell in nb["cells"]:
            cell["source"] = cell["source"].replace("*Write here.*", WORDS)
            for name, code in answers.items():
                if cell["cell_type"] == "code" and f"def {name}(" in cell["source"]:
                    cell["source"] = code
        return json.dumps(nb)

    def mistake(name: str, which: str) -> dict[str, str]:
        return {name: wrong[name][which].strip()}

    colab = json.loads(notebook())
    for cell in colab["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {"id": "aB3dE", "colab": {"base_uri": "https://localhost:8080/"}}
    files = {
        "all-right.ipynb": notebook(),
        "Copy of from-colab.ipynb": json.dumps(colab),
        "blank.ipynb": json.dumps(blank),
        "counted-flops.ipynb": notebook(**mistake("conv_macs", "counted FLOPs")),
        "forgot-the-batch.ipynb": notebook(**mistake("peak_memory", "forgot the batch")),
        "ignored-strides.ipynb": notebook(**mistake("receptive_field", "ignored the strides")),
        "cut-into-patches.ipynb": notebook(**mistake("stem", "cut the image into patches")),
        "endless-loop.ipynb": notebook(conv_macs=LOOP, stem=STEM),
        "syntax-error.ipynb": notebook(peak_memory="def peak_memory(maps, batch=1:\n    return 5"),
        "renamed.ipynb": notebook(receptive_field="def receptivefield(layers):\n    return 1"),
        "forger.ipynb": notebook(stem=FORGER),
        "a-report.ipynb": "%PDF-1.7 a report, renamed",
    }
    folder = out.with_name(f"{out.stem}-class")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder, str(text_path)
