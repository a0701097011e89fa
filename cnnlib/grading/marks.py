"""What a student gets in the end: the result on disk, with what a person has marked or corrected by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cnnlib.grading.grader import Assignment
from cnnlib.grading.roster import Submission, read_rows

COLUMNS = ("id", "question", "points", "comment")


@dataclass(frozen=True)
class Mark:
    """Points that a person gives for one question of one student, and why."""

    points: float
    comment: str


Marks = dict[tuple[str, str], Mark]  # (student, question) -> what a person gives


@dataclass(frozen=True)
class Part:
    """One exercise, or question that a person reads. ``points`` is None while nobody has given any."""

    name: str
    status: str
    points: float | None
    max: int
    probes: list[dict] = field(default_factory=list)
    source: str = ""  # the student's code
    answer: str = ""  # the student's words
    comment: str = ""
    graded: bool = True  # by its probes; else read by a person
    by_hand: bool = False  # its points are a person's


@dataclass(frozen=True)
class FinalGrade:
    """One row of the class. ``total`` is None where nothing can be said: nothing handed in, or ``infra``."""

    submission: Submission
    status: str
    total: float | None
    max: int
    parts: list[Part]
    review: list[str]
    notes: list[str]
    sha256: str


def read(path: Path, assignment: Assignment, students: set[str]) -> Marks:
    """The marks in a table with the columns of COLUMNS; rows without points are passed over.

    Raises ``ValueError`` for a student or question that does not exist and for points that are no number.
    """
    if not path.exists():
        return {}
    columns, rows = read_rows(path)
    if missing := {"id", "question", "points"} - set(columns):
        raise ValueError(f"{path} has no column {', '.join(sorted(missing))}; it needs {', '.join(COLUMNS)}")
    known = {exercise.name for exercise in assignment.sheet.graded} | set(assignment.sheet.manual)
    marks = {}
    for number, row in enumerate(rows, 2):
        if not (points := (row["points"] or "").strip().replace(",", ".")):
            continue
        student = row["id"] if row["id"] in students else row["id"].removeprefix("'")  # as `safe` writes it
        if student not in students:
            raise ValueError(f"{path}, line {number}: there is no student {row['id']!r}")
        if row["question"] not in known:
            raise ValueError(
                f"{path}, line {number}: no question {row['question']!r}; there are {', '.join(sorted(known))}"
            )
        try:
            value = float(points)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= 10_000:
            raise ValueError(f"{path}, line {number}: points={points!r} must be a number of at least 0")
        marks[student, row["question"]] = Mark(value, (row.get("comment") or "").strip())
    return marks


def final_grades(
    assignment: Assignment, results: list[tuple[Submission, dict | None]], marks: Marks
) -> list[FinalGrade]:
    """One row a student. A question that a person reads counts for all once it is marked for one."""
    counted = {question for _, question in marks} & set(assignment.sheet.manual)
    most = assignment.sheet.points + sum(assignment.sheet.manual[question] for question in counted)
    same_bytes = identical_files(results)
    return [
        final_grade(assignment, submission, result, marks, most, same_bytes) for submission, result in results
    ]


def final_grade(
    assignment: Assignment,
    submission: Submission,
    result: dict | None,
    marks: Marks,
    most: int,
    same_bytes: dict[str, list[str]],
) -> FinalGrade:
    """The row of one student."""
    status = "absent" if submission.file is None else result["status"] if result else "infra"
    notes = result["notes"] if result else [] if submission.file is None else ["not graded yet"]
    parts = parts_of(assignment, submission, result or {}, marks)
    given = [part.points for part in parts if part.points is not None]
    by_hand = [part for part in parts if part.by_hand]
    has_total = status in ("graded", "unreadable") or status == "absent" and bool(by_hand)
    review = [*submission.review, *(result["review"] if result else ())]
    review += [f"{part.name}: {part.points:g} by hand" for part in by_hand if part.graded]
    sha256 = (result or {}).get("sha256", "")
    others = [student for student in same_bytes.get(sha256, []) if student != submission.id]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        review.append(f"same file as {', '.join(others[:3])}{more}")
    return FinalGrade(
        submission, status, sum(given) if has_total else None, most, parts, review, notes, sha256
    )


def parts_of(assignment: Assignment, submission: Submission, result: dict, marks: Marks) -> list[Part]:
    """The exercises and questions of one student, corrected."""
    found = {exercise["name"]: exercise for exercise in result.get("exercises", ())}
    answers = result.get("manual", {})
    parts = []
    for exercise in assignment.sheet.graded:
        had = found.get(exercise.name, {"status": "", "points": None, "probes": [], "source": ""})
        mark = marks.get((submission.id, exercise.name))
        parts.append(
            Part(
                exercise.name,
                had["status"],
                mark.points if mark else had["points"],
                exercise.points,
                had["probes"],
                had["source"],
                comment=mark.comment if mark else "",
                by_hand=bool(mark),
            )
        )
    for question, most in assignment.sheet.manual.items():
        mark = marks.get((submission.id, question))
        words = answers.get(question, "")
        status = "marked" if mark else "to read" if words else "missing" if result else ""
        parts.append(
            Part(
                question,
                status,
                mark.points if mark else None,
                most,
                answer=words,
                comment=mark.comment if mark else "",
                graded=False,
                by_hand=bool(mark),
            )
        )
    return parts


def identical_files(results: list[tuple[Submission, dict | None]]) -> dict[str, list[str]]:
    """Which students handed in the same bytes."""
    by_content: dict[str, list[str]] = {}
    for submission, result in results:
        if result and "sha256" in result:
            by_content.setdefault(result["sha256"], []).append(submission.id)
    return by_content
