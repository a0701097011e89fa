"""Grades one notebook: draws inputs, runs the reference and the student's code, judges outside of both."""

from __future__ import annotations

import functools
import hashlib
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cnnlib
from cnnlib.grading import notebook, source, supervise
from cnnlib.grading.roster import Submission
from cnnlib.grading.sheet import Inputs, Probe, Sheet
from cnnlib.grading.supervise import Infra, Outcome, Question
from cnnlib.grading.walls import Jail, Limits

WORST_FIRST = ("tampered", "crashed", "timeout", "memory", "error", "failed", "missing", "ok")


@dataclass(frozen=True)
class Assignment:
    """A sheet as one class gets it: its text with all solutions, its variant, the seed of its inputs."""

    sheet: Sheet
    text: str
    variant: int | None
    seed: int
    limits: Limits
    seeds: int = 1  # how often inputs are drawn; all of them must come out right

    @property
    def questions(self) -> list[Question]:
        """Every probe with its inputs; the same for the whole class."""
        values = source.constants(self.text, self.variant)
        questions = []
        for exercise in self.sheet.graded:
            given = {name: values[name] for name in exercise.given}
            for number, probe in enumerate(exercise.probes):
                draws = []
                for seed in range(self.seed, self.seed + self.seeds):
                    rng = random.Random(f"{seed} {exercise.name} {number}")
                    draws += [given | probe.inputs(rng) for _ in range(probe.draws)]
                questions.append(Question(exercise.name, draws))
        return questions

    @property
    def probes(self) -> list[Probe]:
        """The probes that belong to the questions, in their order."""
        return [probe for exercise in self.sheet.graded for probe in exercise.probes]

    @property
    def id(self) -> str:
        """What the notebooks of this class say in ``SHEET``."""
        return source.sheet_id(self.sheet, self.variant)

    def versions(self) -> dict[str, object]:
        """Everything that a result depends on besides the notebook."""
        return {
            "sheet": self.id,
            "sheet_sha256": hashlib.sha256(self.text.encode()).hexdigest(),
            "seed": self.seed,
            "seeds": self.seeds,
            "limits": asdict(self.limits),
            "cnnlib": cnnlib.__version__,
            "grader_sha256": package_sha256(),
            "python": sys.version.split()[0],
        }


@functools.cache
def package_sha256() -> str:
    """What this package was when the run began, whatever is edited or updated meanwhile."""
    package = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        package.update(path.read_bytes())
    return package.hexdigest()


def run_reference(assignment: Assignment, jail: Jail) -> list[Outcome]:
    """The values of the solutions in the sheet's text, computed as a student's are; raises ``Infra``."""
    cells = source.code_cells(source.solved_notebook(assignment.text, assignment.variant))
    outcomes = supervise.run(assignment.sheet, cells, assignment.questions, assignment.limits, jail).outcomes
    for question, outcome in zip(assignment.questions, outcomes, strict=True):
        if outcome.status != "value":
            raise Infra(
                f"the reference for {question.exercise} gave no value: {outcome.status}, {outcome.message}"
            )
    return outcomes


def judge_probe(probe: Probe, draws: list[Inputs], outcome: Outcome, right: Outcome) -> dict:
    """Status, points and message of one probe; the message tells no hidden input."""
    status, message, review = outcome.status, outcome.message, ""
    if status == "value":
        status = "ok"
        if type(outcome.value) is not list or len(outcome.value) != len(draws):
            status, message = "tampered", "something else than an answer came back"
        else:
            try:
                wrong = [
                    probe.judge(*triple) for triple in zip(outcome.value, right.value, draws, strict=True)
                ]
            except Exception as error:  # a value that its judge did not foresee must not stop the class
                wrong, review = (
                    ["the value cannot be judged"],
                    f"the judge failed: {type(error).__name__}: {error}",
                )
            if wrong := [line for line in wrong if line]:
                count = f" ({len(wrong)} of {len(draws)} inputs)" if len(draws) > 1 else ""
                status, message = "failed", wrong[0] + count
    points = probe.points if status == "ok" else 0
    found = {
        "claim": probe.claim,
        "status": status,
        "points": points,
        "max": probe.points,
        "message": message,
    }
    if status == "failed":
        found["hint"] = probe.hint
    return found | ({"review": review} if review else {})


def judge_exercises(assignment: Assignment, right: list[Outcome], outcomes: list[Outcome]) -> list[dict]:
    """One for each graded exercise: its status is the worst of its probes'."""
    probes: dict[str, list[dict]] = {}
    for question, probe, outcome, wanted in zip(
        assignment.questions, assignment.probes, outcomes, right, strict=True
    ):
        probes.setdefault(question.exercise, []).append(judge_probe(probe, question.draws, outcome, wanted))
    return [
        {
            "name": name,
            "status": min((probe["status"] for probe in found), key=WORST_FIRST.index),
            "points": sum(probe["points"] for probe in found),
            "max": sum(probe["max"] for probe in found),
            "probes": found,
        }
        for name, found in probes.items()
    ]


def grade(assignment: Assignment, right: list[Outcome], submission: Submission, jail: Jail) -> dict:
    """The result of one student's file; raises ``Infra`` if the grader failed."""
    result = {
        "id": submission.id,
        "name": submission.name,
        "total": 0,
        "max": assignment.sheet.points,
        "exercises": [],
        "manual": {},
    }
    try:
        if submission.fault:
            raise notebook.Unreadable(submission.fault)
        data = notebook.read_bytes(submission.file)
        result["sha256"] = hashlib.sha256(data).hexdigest()
        read = notebook.parse(data, submission.file.suffix.lower())
    except notebook.Unreadable as error:
        return result | {"status": "unreadable", "notes": [str(error)], "review": []}
    run = supervise.run(assignment.sheet, read.code, assignment.questions, assignment.limits, jail)
    found = judge_exercises(assignment, right, run.outcomes)
    review = list(run.shortcuts)
    if run.sheet_id and run.sheet_id != assignment.id:
        review.append(f"says it is sheet {run.sheet_id[:40]}, not {assignment.id}")
    for exercise in found:
        exercise["source"] = notebook.last_definition(read, exercise["name"])[:10_000]
        review += [
            f"{exercise['name']}: {probe['review']}" for probe in exercise["probes"] if "review" in probe
        ]
        review += [f"{exercise['name']}: tampered"] if exercise["status"] == "tampered" else []
    return result | {
        "status": "graded",
        "total": sum(exercise["points"] for exercise in found),
        "exercises": found,
        "manual": {name: notebook.written_answer(read, name)[:10_000] for name in assignment.sheet.manual},
        "notes": run.notes,
        "review": review,
        "recheck": run.recheck,
    }
