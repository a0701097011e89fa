"""A page a student: what came out, what was said, and the code that it is about. Everything is escaped."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path

from cnnlib.grading.grader import Assignment
from cnnlib.grading.marks import FinalGrade
from cnnlib.grading.report import return_name
from cnnlib.grading.values import printable

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
