"""Results as tables for a spreadsheet: one row a student, and the written answers."""

from __future__ import annotations

import csv
import io
from collections import Counter

from cnnlib.grading.grader import Task
from cnnlib.grading.roll import Entry

FORMULA = ("=", "+", "-", "@")


def safe(value: object) -> object:
    """A text that no spreadsheet takes for a formula, on one line; other values as they are."""
    if not isinstance(value, str):
        return value
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return f"'{line}" if line.startswith(FORMULA) else line


def table(columns: list[str], rows: list[dict]) -> str:
    """CSV text; a byte order mark at its start tells Excel that it is UTF-8."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows({name: safe(value) for name, value in row.items()} for row in rows)
    return "\ufeff" + out.getvalue()


def grades(task: Task, results: list[tuple[Entry, dict | None]]) -> str:
    """The table of grades. Without a file a student is ``absent``, not yet graded ``infra``: no total."""
    names = [exercise.name for exercise in task.sheet.graded]
    per_exercise = [column for name in names for column in (name, f"{name} status")]
    columns = ["id", "name", "status", "total", "max", *per_exercise, *task.sheet.manual]
    columns += ["review", "notes", "file", "sha256", "sheet", "seed"]
    return table(columns, [row(task, entry, result, twins(results)) for entry, result in results])


def twins(results: list[tuple[Entry, dict | None]]) -> dict[str, list[str]]:
    """Which students handed in the same bytes."""
    by_content: dict[str, list[str]] = {}
    for entry, result in results:
        if result and "sha256" in result:
            by_content.setdefault(result["sha256"], []).append(entry.id)
    return by_content


def row(task: Task, entry: Entry, result: dict | None, same_bytes: dict[str, list[str]]) -> dict:
    """The row of one student."""
    found = {
        "id": entry.id,
        "name": entry.name,
        "max": task.sheet.points,
        "sheet": task.id,
        "seed": task.seed,
    }
    review = list(entry.review)
    if entry.file is None:
        return found | {"status": "absent", "review": "; ".join(review)}
    found["file"] = entry.file.name.encode("utf-8", "replace").decode()
    if result is None or result["status"] == "infra":
        notes = result["notes"] if result else ["not graded yet"]
        return found | {"status": "infra", "review": "; ".join(review), "notes": "; ".join(notes)}
    others = [student for student in same_bytes.get(result.get("sha256", ""), []) if student != entry.id]
    review += result["review"]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        review.append(f"same file as {', '.join(others[:3])}{more}")
    for exercise in result["exercises"]:
        found |= {exercise["name"]: exercise["points"], f"{exercise['name']} status": exercise["status"]}
    found |= {name: "to read" if text else "missing" for name, text in result["manual"].items()}
    return found | {
        "status": result["status"],
        "total": result["total"],
        "review": "; ".join(review),
        "notes": "; ".join(result["notes"])[:1000],
        "sha256": result.get("sha256", ""),
    }


def answers(results: list[tuple[Entry, dict | None]]) -> str:
    """What students wrote to the questions that a person reads."""
    rows = [
        {"id": entry.id, "question": name, "answer": text}
        for entry, result in results
        if result
        for name, text in result.get("manual", {}).items()
        if text
    ]
    return table(["id", "question", "answer"], rows)


def summary(results: list[tuple[Entry, dict | None]]) -> str:
    """One line: how many of which status, and the mean of those graded."""
    statuses = Counter(
        "absent" if entry.file is None else (result or {}).get("status", "infra") for entry, result in results
    )
    counts = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    graded = [result for _, result in results if result and result["status"] == "graded"]
    mean = sum(result["total"] for result in graded) / len(graded) if graded else 0
    return f"{counts or 'nobody'}" + (f"; mean {mean:.1f} of {graded[0]['max']}" if graded else "")
