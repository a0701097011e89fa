"""What came out: tables for a spreadsheet, for Moodle, Canvas and Gradescope, and a page a student."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path, PurePosixPath

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
    columns += [*assignment.sheet.manual, "comments", "review", "notes", "handed in", "late days", "file"]
    columns += ["sha256", "sheet", "seed"]
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
        (final.submission.id, final.submission.name, part.name, part.status, part.points, part.max, message(part),
         part.comment)
        for final in finals
        for part in final.parts
    ]  # fmt: skip
    return csv_table(columns, [dict(zip(columns, row, strict=True)) for row in rows])


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
    columns = [*COLUMNS, "max", "answer"]
    rows = [
        (final.submission.id, part.name, part.points, part.comment, part.max, part.answer)
        for final in finals
        for part in final.parts
        if part.answer or part.by_hand
    ]
    return csv_table(columns, [dict(zip(columns, row, strict=True)) for row in rows])


def summary(finals: list[FinalGrade]) -> str:
    """One line: how many of which status, and the mean of those graded."""
    statuses = Counter(final.status for final in finals)
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    graded = [final.total for final in finals if final.status == "graded"]
    if not graded:
        return counts or "nobody"
    return f"{counts}; mean {sum(graded) / len(graded):.1f} of {finals[0].max}"


# Learning platforms


def moodle(finals: list[FinalGrade]) -> str:
    """A grading worksheet of a Moodle assignment; whoever has no total is left out, and keeps what stands there."""
    columns = [
        "Identifier",
        "Full name",
        "Grade",
        "Maximum grade",
        "Last modified (grade)",
        "Feedback comments",
    ]
    rows = [
        (
            f"Participant {final.submission.id}",
            final.submission.name,
            final.total,
            final.max,
            "-",
            comment(final),
        )
        for final in finals
        if final.total is not None
    ]
    return csv_table(columns, [dict(zip(columns, row, strict=True)) for row in rows]).removeprefix("\ufeff")


def canvas(assignment: Assignment, finals: list[FinalGrade]) -> str:
    """A table for the gradebook of Canvas, with its row of possible points."""
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", f"Sheet {assignment.id}"]
    rows = [
        {"Student": "    Points Possible", columns[-1]: finals[0].max if finals else assignment.sheet.points}
    ]
    rows += [
        {"Student": final.submission.name, "ID": final.submission.id, columns[-1]: final.total}
        for final in finals
        if final.total is not None
    ]
    text = csv_table(columns, rows).removeprefix("\ufeff")
    return text.replace(
        "\nPoints Possible,", "\n    Points Possible,", 1
    )  # Canvas knows the row by its spaces


def comment(final: FinalGrade) -> str:
    """One line on every question that did not bring all points, or that a person wrote something to."""
    lines = [
        f"{part.name} {points_text(part)}: {'; '.join(filter(None, (part.comment, message(part)))) or part.status}"
        for part in final.parts
        if part.points is not None and (part.points < part.max or part.comment)
    ]
    return "; ".join([*lines, *final.notes])[:2000] or "All points."


def points_text(part: Part) -> str:
    """Points of a part as "2/3"."""
    return f"{part.points:g}/{part.max}"


def gradescope(final: FinalGrade) -> str:
    """The ``results.json`` of one submission, every probe a test."""
    tests = []
    for part in final.parts:
        for probe in part.probes:
            tests.append(
                {
                    "name": f"{part.name}: {probe['claim']}",
                    "score": probe["points"],
                    "max_score": probe["max"],
                    "status": "passed" if probe["status"] == "ok" else "failed",
                    "output": f"{probe['status']}. {probe['message']}".strip(),
                    "visibility": "visible",
                }
            )
        if part.comment or part.points is not None and not part.probes:
            test = {"name": f"{part.name} (by hand)", "output": part.comment, "visibility": "visible"}
            tests.append(test | ({} if part.probes else {"score": part.points, "max_score": part.max}))
    score = {} if final.total is None else {"score": final.total}
    output = "\n".join(final.notes)
    return json.dumps(score | {"output": output, "stdout_visibility": "hidden", "tests": tests}, indent=1)


def return_name(final: FinalGrade, names: str, file: str) -> str:
    """What a feedback page must be called so that the platform gives it back to its student.

    Moodle looks for Name_ID_plugin_type_file, Canvas for the name under which the submission was downloaded.
    """
    if names == "moodle":
        person, number = (
            re.sub(r"[^\w .'-]|_", " ", text).strip() for text in (final.submission.name, final.submission.id)
        )
        return f"{person or 'Participant'}_{number}_assignsubmission_file_feedback.html"
    if names == "canvas" and final.submission.original:
        return PurePosixPath(final.submission.original).stem[:200] + ".html"
    return file


# Pages. Everything in them is escaped

SAFE_NAME = re.compile(r"(?=.{1,60}$)[a-z0-9_]+(?:-[a-z0-9_]+)*")  # never with two dashes in a row
MEANING = {
    "ok": "right",
    "failed": "a value is wrong",
    "error": "your code raised an error",
    "timeout": "took too long",
    "memory": "used too much memory",
    "crashed": "the process died",
    "missing": "not there, or not attempted",
    "tampered": "what came back was no answer",
}
OLDEST = (1980, 1, 1, 0, 0, 0)  # that a zip archive can hold; so equal pages make equal archives


def page_name(student: str) -> str:
    """A file name that is safe on every system, and another one for every student."""
    if SAFE_NAME.fullmatch(student):
        return f"{student}.html"
    tame = re.sub(r"[^A-Za-z0-9_-]+", "-", student)[:40].strip("-")
    return f"{tame or 'student'}--{hashlib.sha256(student.encode()).hexdigest()[:16]}.html"


def page_template():
    """The template of the page, with every value escaped."""
    from jinja2 import Environment, FileSystemLoader

    loader = FileSystemLoader(Path(__file__).parent)
    env = Environment(autoescape=True, loader=loader, trim_blocks=True, lstrip_blocks=True)
    env.finalize = lambda value: printable(value, "\n\t") if isinstance(value, str) else value
    env.filters["points"] = lambda value: "–" if value is None else f"{value:g}"
    return env.get_template("feedback.html")


def render_pages(assignment: Assignment, finals: list[FinalGrade]) -> dict[str, str]:
    """Name and text of a page for everybody who has a file."""
    made = page_template()
    return {
        page_name(final.submission.id): made.render(assignment=assignment, final=final, meaning=MEANING)
        for final in finals
        if final.submission.file
    }


def zip_pages(finals: list[FinalGrade], found: dict[str, str], names: str) -> bytes:
    """A zip archive of the pages, named as the platform wants them back."""
    data, used = io.BytesIO(), set()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for final in finals:
            file = page_name(final.submission.id)
            if file in found and final.status != "infra":
                name = return_name(final, names, file)
                name = file if name.casefold() in used else name  # two students' pages never become one
                used.add(name.casefold())
                out.writestr(zipfile.ZipInfo(name, OLDEST), found[file], zipfile.ZIP_DEFLATED)
    return data.getvalue()
