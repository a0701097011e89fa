"""Grades a folder: several notebooks at once, each result on disk at once, on a rerun only the rest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from cnnlib.grading import grader, notebook
from cnnlib.grading.grader import Task
from cnnlib.grading.jail import Jail
from cnnlib.grading.roster import Entry
from cnnlib.grading.supervise import Infra


def key(task: Task, entry: Entry) -> str:
    """Names a result: it changes with the student, the file and everything that the grade depends on."""
    try:
        digest = hashlib.sha256(notebook.load(entry.file)).hexdigest()
    except notebook.Unreadable as error:
        digest = str(error)
    parts = [entry.id, entry.file.suffix.lower(), digest, entry.fault, task.versions()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def stored(results: Path, name: str) -> dict | None:
    """A result that is on disk, or None."""
    path = results / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(path: Path, content: str | bytes) -> None:
    """Write all or nothing: a stop half way leaves the old file, or none."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    half.replace(path)


def kept(task: Task, entries: list[Entry], results: Path) -> dict[Entry, dict]:
    """The results that need no new run."""
    found = {entry: stored(results, key(task, entry)) for entry in entries}
    return {entry: result for entry, result in found.items() if result is not None}


def failed(entry: Entry, why: str) -> dict:
    """The result of a failure that is the grader's own."""
    return {"id": entry.id, "name": entry.name, "status": "infra", "notes": [why], "review": []}


def run(
    task: Task, entries: list[Entry], results: Path, jobs: int, jail: Jail
) -> Iterator[tuple[Entry, dict]]:
    """Grade these entries and store each result; yields them as they are done.

    Where the grader itself fails, the result has the status ``infra`` and is not stored. That, and being
    stopped by the clock beside others, brings a second run alone, since it may be the machine's fault. Raises
    ``Infra`` if the reference fails.
    """
    right = grader.reference(task, jail)

    def attempt(entry: Entry) -> dict:
        try:
            return grader.grade(task, right, entry, jail)
        except Infra as error:
            return failed(entry, str(error))
        except Exception as error:  # one submission must not stop the others, whatever it met in the grader
            return failed(entry, f"{type(error).__name__}: {error}")

    def keep(entry: Entry, result: dict) -> tuple[Entry, dict]:
        if result["status"] != "infra":
            try:
                write(results / f"{key(task, entry)}.json", json.dumps(result, indent=1))
            except OSError as error:
                return entry, failed(entry, f"the result cannot be stored: {error}")
        return entry, result

    again = []
    pool = ThreadPoolExecutor(jobs)
    running = {pool.submit(attempt, entry): entry for entry in entries}
    try:
        for done in as_completed(running):
            entry = running[done]
            result = done.result()
            if result["status"] == "infra" or jobs > 1 and result.get("late"):
                again.append(entry)
            else:
                yield keep(entry, result)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops the grader does not wait for loops
    for entry in again:
        yield keep(entry, attempt(entry))
