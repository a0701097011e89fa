"""A page a student: what came out, what was said, and the code that it is about. Everything is escaped."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path

from cnnlib.grading import exports
from cnnlib.grading.grader import Task
from cnnlib.grading.marks import Final

PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
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


def file_name(student: str) -> str:
    """A file name that is safe on every system, and another one for every student."""
    if PLAIN.fullmatch(student):
        return f"{student}.html"
    tame = re.sub(r"[^A-Za-z0-9_-]+", "-", student)[:40].strip("-")
    return f"{tame or 'student'}-{hashlib.sha256(student.encode()).hexdigest()[:8]}.html"


def template():
    """The template of the page, with every value escaped."""
    from jinja2 import Environment, FileSystemLoader

    loader = FileSystemLoader(Path(__file__).parent)
    env = Environment(autoescape=True, loader=loader, trim_blocks=True, lstrip_blocks=True)
    env.filters["points"] = lambda value: "–" if value is None else f"{value:g}"
    return env.get_template("feedback.html")


def pages(task: Task, finals: list[Final]) -> dict[str, str]:
    """Name and text of a page for everybody who has a file."""
    made = template()
    return {
        file_name(final.entry.id): made.render(task=task, final=final, meaning=MEANING)
        for final in finals
        if final.entry.file
    }


def archive(finals: list[Final], found: dict[str, str], names: str) -> bytes:
    """A zip archive of the pages, named as the platform wants them back."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for final in finals:
            file = file_name(final.entry.id)
            if file in found and final.status != "infra":
                name = exports.returned_name(final, names, file)
                out.writestr(zipfile.ZipInfo(name, OLDEST), found[file], zipfile.ZIP_DEFLATED)
    return data.getvalue()
