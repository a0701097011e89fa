"""``cnnlib exercise build``: the notebook that a class gets, and the proof that its sheet grades fairly."""

from __future__ import annotations

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
