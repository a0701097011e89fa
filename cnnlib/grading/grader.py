"""Grades one notebook: draws inputs, runs the reference and the student's code, judges outside of both."""

from __future__ import annotations

import builtins
import functools
import hashlib
import random
import re
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cnnlib
from cnnlib.grading import notebook, source, supervise
from cnnlib.grading.jail import Jail, Limits
from cnnlib.grading.notebook import Content
from cnnlib.grading.roster import Submission
from cnnlib.grading.sheet import Inputs, Probe, Sheet
from cnnlib.grading.supervise import Infra, Outcome, Question

PLACE = re.compile(r", cell (\d{1,6}), line (\d{1,6})$")
FIXED = re.compile(
    r"(?:took too long|more memory than allowed|something else than an answer came back"
    r"|the process died \(SIG[A-Z]+\)|the process ended before it had an answer \(os\._exit\?\)|" + supervise.GONE +
    r"|the returned value is too large|a dense tensor of real numbers is needed|the keys of a dict must be texts"
    r"|a tensor of numbers is needed|a number, a text or a list of them is needed"
    r"|ZeroDivisionError: (?:float )?division by zero|IndexError: \w+ index out of range|ValueError: math domain error)"
)  # fmt: skip
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


def public_message(exercise: str, outcome: Outcome, missing: dict[str, str], sizes: dict[int, int]) -> str:
    """What a page or table may show of a message from inside, where the hidden inputs are.

    That is fixed words, the name of an error that Python knows, and a place that the notebook has. ``missing``: why
    there is no answer, by exercise, said before the inputs were there; ``sizes``: lines of each cell.
    """
    if outcome.status == "missing":
        return missing.get(exercise, "not attempted")
    place = PLACE.search(outcome.message)
    words = outcome.message[: place.start()] if place else outcome.message
    where = place[0] if place and 0 < int(place[2]) <= sizes.get(int(place[1]), 0) else ""
    if fixed := FIXED.match(words):
        return fixed[0] + where
    error = getattr(builtins, words.partition(":")[0], None)
    known = isinstance(error, type) and issubclass(error, BaseException)
    return (error.__name__ if known else "an error") + where if words else ""


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


def grade(
    assignment: Assignment, right: list[Outcome], submission: Submission, content: Content, jail: Jail
) -> dict:
    """The result of one student's file, whose content was read; raises ``Infra`` if the grader failed."""
    result = {
        "id": submission.id,
        "name": submission.name,
        "total": 0,
        "max": assignment.sheet.points,
        "exercises": [],
        "manual": {},
    }
    try:
        if content.fault:
            raise notebook.Unreadable(content.fault)
        result["sha256"] = hashlib.sha256(content.data).hexdigest()
        read = notebook.parse(content.data, submission.file.suffix.lower())
    except notebook.Unreadable as error:
        return result | {"status": "unreadable", "notes": [str(error)], "review": []}
    run = supervise.run(assignment.sheet, read.code, assignment.questions, assignment.limits, jail)
    sizes = {number: code.count("\n") + 1 for number, code in read.code}
    shown = [
        replace(outcome, message=public_message(question.exercise, outcome, run.missing, sizes))
        for question, outcome in zip(assignment.questions, run.outcomes, strict=True)
    ]
    found = judge_exercises(assignment, right, shown)
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
        "messages": [
            outcome.message for outcome in run.outcomes
        ],  # as they came: they may tell hidden inputs
        "recheck": run.recheck,
    }
