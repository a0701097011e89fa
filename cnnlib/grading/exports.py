"""The class in the forms that Moodle, Canvas and Gradescope take in."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from cnnlib.grading.grader import Assignment
from cnnlib.grading.marks import FinalGrade, Part
from cnnlib.grading.report import csv_table, message


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
        {
            "Identifier": f"Participant {final.submission.id}",
            "Full name": final.submission.name,
            "Grade": final.total,
            "Maximum grade": final.max,
            "Last modified (grade)": "-",
            "Feedback comments": comment(final),
        }
        for final in finals
        if final.total is not None
    ]
    return csv_table(columns, rows).removeprefix("\ufeff")


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
