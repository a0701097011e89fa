"""Grades a folder: several notebooks at once, each result on disk at once, on a rerun only the rest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from cnnlib.grading import grader
from cnnlib.grading.grader import Assignment
from cnnlib.grading.jail import Infra, Jail
from cnnlib.grading.notebook import Content, read_content
from cnnlib.grading.roster import Submission


def result_key(assignment: Assignment, submission: Submission, content: Content) -> str:
    """Names a result: it changes with the student, the content and everything that the grade depends on."""
    parts = [submission.id, submission.file.suffix.lower(), content.sha256, assignment.versions()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def load_json(path: Path) -> dict:
    """An object that was stored; {} if there is none, or one that a crash left empty or half written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write all or nothing: a stop half way, or a power cut, leaves the old file, or none."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with half.open("wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def load_results(
    assignment: Assignment, submissions: list[Submission], results: Path
) -> dict[Submission, dict]:
    """The results that need no new run: those of the files as they are now."""
    found = {}
    for submission in submissions:
        try:
            key = result_key(assignment, submission, read_content(submission.file, submission.fault))
        except Infra:
            continue
        if "status" in (result := load_json(results / f"{key}.json")):
            found[submission] = result
    return found


def infra_result(submission: Submission, error: Exception) -> dict:
    """The result of a failure that is the grader's own."""
    why = str(error) if isinstance(error, Infra) else f"{type(error).__name__}: {error}"
    return {"id": submission.id, "name": submission.name, "status": "infra", "notes": [why], "review": []}


def grade_all(
    assignment: Assignment, submissions: list[Submission], results: Path, jobs: int, jail: Jail
) -> Iterator[tuple[Submission, dict]]:
    """Grade these submissions and store each result; yields them as they are done.

    Where the grader itself fails, the result has the status ``infra`` and is not stored. That, and being
    stopped by the clock beside others, brings a second run alone, since it may be the machine's fault. Raises
    ``Infra`` if the reference fails.
    """
    reference = grader.run_reference(assignment, jail)

    def attempt(submission: Submission) -> tuple[dict, str]:
        try:
            content = read_content(submission.file, submission.fault)
            result = grader.grade(assignment, reference, submission, content, jail)
            return result, result_key(assignment, submission, content)
        except Exception as error:  # one submission must not stop the others, whatever it met in the grader
            return infra_result(submission, error), ""

    def keep(submission: Submission, result: dict, key: str) -> tuple[Submission, dict]:
        if key:
            try:
                write_atomically(results / f"{key}.json", json.dumps(result, indent=1))
            except OSError as error:
                return submission, infra_result(submission, Infra(f"the result cannot be stored: {error}"))
        return submission, result

    again = []
    pool = ThreadPoolExecutor(jobs)
    running = {pool.submit(attempt, submission): submission for submission in submissions}
    try:
        for done in as_completed(running):
            submission = running[done]
            result, key = done.result()
            if result["status"] == "infra" or jobs > 1 and result.get("recheck"):
                again.append(submission)
            else:
                yield keep(submission, result, key)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops the grader does not wait for loops
    for submission in again:
        yield keep(submission, *attempt(submission))
