"""The class as tables for a spreadsheet: a row a student, a row a question, and the written answers."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from datetime import datetime

from cnnlib.grading.grader import Assignment
from cnnlib.grading.marks import COLUMNS, FinalGrade, Part
from cnnlib.grading.values import printable

FORMULA = re.compile(
    r"(^|; *)(?=[=+\-@\uff1d\uff0b\uff0d\uff20].)"
)  # where semicolons part the cells, after them too


def safe_cell(value: object) -> object:
    """A text that no spreadsheet takes for a formula, on one line; numbers as short as they are; None is empty.

    A sign alone is no formula, and Moodle writes one.
    """
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, str):
        return value
    return FORMULA.sub(r"\1'", " ".join(printable(value).split()))


def csv_table(columns: list[str], rows: list[dict]) -> str:
    """CSV text; a byte order mark at its start tells Excel that it is UTF-8."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    return "\ufeff" + out.getvalue()


def grades(assignment: Assignment, finals: list[FinalGrade], due: str | None = None) -> str:
    """The table of grades. Who is ``absent``, or ``infra`` (not graded yet), has no total.

    ``due``: when it was due, in ISO format; then days late are counted.
    """
    names = [exercise.name for exercise in assignment.sheet.graded]
    columns = ["id", "name", "status", "total", "max"]
    columns += [column for name in names for column in (name, f"{name} status")]
    columns += [
        *assignment.sheet.manual,
        "comments",
        "review",
        "notes",
        "handed in",
        "late days",
        "file",
        "sha256",
        "sheet",
        "seed",
    ]
    date = datetime.fromisoformat(due) if due else None
    return csv_table(columns, [grade_row(assignment, final, date) for final in finals])


def grade_row(assignment: Assignment, final: FinalGrade, due: datetime | None) -> dict:
    """The row of one student."""
    found = {
        "id": final.submission.id,
        "name": final.submission.name,
        "status": final.status,
        "total": final.total,
        "max": final.max,
        "comments": "; ".join(f"{part.name}: {part.comment}" for part in final.parts if part.comment),
        "review": "; ".join(final.review),
        "notes": "; ".join(final.notes)[:1000],
        "file": final.submission.original.rsplit("/", 1)[-1],
        "sha256": final.sha256,
        "sheet": assignment.id,
        "seed": assignment.seed,
    }
    if final.submission.file:
        when = datetime.fromtimestamp(final.submission.handed_in)
        found |= {"handed in": when.isoformat(" ", "minutes")}
        found |= {"late days": final.submission.late_days(due)} if due else {}
    for part in final.parts:
        if part.graded:
            found |= {part.name: part.points, f"{part.name} status": part.status}
        else:
            found[part.name] = part.status if part.points is None else part.points
    return found


def questions(finals: list[FinalGrade]) -> str:
    """The table of questions: what each student got for each, and what the grader or a person said."""
    columns = ["id", "name", "question", "status", "points", "max", "message", "comment"]
    rows = [
        {
            "id": final.submission.id,
            "name": final.submission.name,
            "question": part.name,
            "status": part.status,
            "points": part.points,
            "max": part.max,
            "message": message(part),
            "comment": part.comment,
        }
        for final in finals
        for part in final.parts
    ]
    return csv_table(columns, rows)


def message(part: Part) -> str:
    """What the probes of a part said: each message once, with what was tried where it is not all of them."""
    said: dict[str, list[str]] = {}
    for probe in part.probes:
        if probe["message"]:
            said.setdefault(probe["message"], []).append(probe["claim"])
    if len(said) == 1 and len(*said.values()) == len(part.probes):
        return next(iter(said))
    return "; ".join(f"{' / '.join(claims)}: {words}" for words, claims in said.items())


def to_mark(finals: list[FinalGrade]) -> str:
    """What students wrote to the questions that a person reads: fill in points, save as overrides.csv.

    What was decided by hand before stands there, too, so that it is still in the new file.
    """
    rows = [
        {
            "id": final.submission.id,
            "question": part.name,
            "points": part.points,
            "comment": part.comment,
            "max": part.max,
            "answer": part.answer,
        }
        for final in finals
        for part in final.parts
        if part.answer or part.by_hand
    ]
    return csv_table([*COLUMNS, "max", "answer"], rows)


def summary(finals: list[FinalGrade]) -> str:
    """One line: how many of which status, and the mean of those graded."""
    statuses = Counter(final.status for final in finals)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    graded = [final.total for final in finals if final.status == "graded"]
    if not graded:
        return counts or "nobody"
    return f"{counts}; mean {sum(graded) / len(graded):.1f} of {finals[0].max}"
