"""Grades a folder: several notebooks at once, each result on disk at once, on a rerun only the rest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from cnnlib.grading import grader, notebook
from cnnlib.grading.grader import Assignment
from cnnlib.grading.roster import Submission
from cnnlib.grading.supervise import Infra
from cnnlib.grading.walls import Jail


def result_key(assignment: Assignment, submission: Submission) -> str:
    """Names a result: it changes with the student, the file and everything that the grade depends on."""
    try:
        digest = hashlib.sha256(notebook.read_bytes(submission.file)).hexdigest()
    except notebook.Unreadable as error:
        digest = str(error)
    parts = [submission.id, submission.file.suffix.lower(), digest, submission.fault, assignment.versions()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def load_result(results: Path, name: str) -> dict | None:
    """A result that is on disk, or None."""
    path = results / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write all or nothing: a stop half way leaves the old file, or none."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    half.replace(path)


def load_results(
    assignment: Assignment, submissions: list[Submission], results: Path
) -> dict[Submission, dict]:
    """The results that need no new run."""
    found = {
        submission: load_result(results, result_key(assignment, submission)) for submission in submissions
    }
    return {submission: result for submission, result in found.items() if result is not None}


def infra_result(submission: Submission, why: str) -> dict:
    """The result of a failure that is the grader's own."""
    return {"id": submission.id, "name": submission.name, "status": "infra", "notes": [why], "review": []}


def grade_all(
    assignment: Assignment, submissions: list[Submission], results: Path, jobs: int, jail: Jail
) -> Iterator[tuple[Submission, dict]]:
    """Grade these submissions and store each result; yields them as they are done.

    Where the grader itself fails, the result has the status ``infra`` and is not stored. That, and being
    stopped by the clock beside others, brings a second run alone, since it may be the machine's fault. Raises
    ``Infra`` if the reference fails.
    """
    right = grader.run_reference(assignment, jail)

    def attempt(submission: Submission) -> dict:
        try:
            return grader.grade(assignment, right, submission, jail)
        except Infra as error:
            return infra_result(submission, str(error))
        except Exception as error:  # one submission must not stop the others, whatever it met in the grader
            return infra_result(submission, f"{type(error).__name__}: {error}")

    def keep(submission: Submission, result: dict) -> tuple[Submission, dict]:
        if result["status"] != "infra":
            try:
                write_atomically(
                    results / f"{result_key(assignment, submission)}.json", json.dumps(result, indent=1)
                )
            except OSError as error:
                return submission, infra_result(submission, f"the result cannot be stored: {error}")
        return submission, result

    again = []
    pool = ThreadPoolExecutor(jobs)
    running = {pool.submit(attempt, submission): submission for submission in submissions}
    try:
        for done in as_completed(running):
            submission = running[done]
            result = done.result()
            if result["status"] == "infra" or jobs > 1 and result.get("recheck"):
                again.append(submission)
            else:
                yield keep(submission, result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops the grader does not wait for loops
    for submission in again:
        yield keep(submission, attempt(submission))
