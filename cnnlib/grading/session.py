"""One call of ``cnnlib grade``: a folder of notebooks, the run beside the table, and everything written from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cnnlib.grading import batch, jail, marks, report, roster
from cnnlib.grading.grader import Assignment
from cnnlib.grading.jail import Infra
from cnnlib.grading.notebook import read_content
from cnnlib.grading.roster import Submission

OVERRIDES = "overrides.csv"


@dataclass(frozen=True)
class RunFolder:
    """The folder beside the table: results, marks by hand, feedback and report."""

    table: Path

    @property
    def path(self) -> Path:
        """OUT-run for OUT.csv."""
        return self.table.with_name(f"{self.table.stem}-run")

    @property
    def results(self) -> Path:
        """One JSON file a result."""
        return self.path / "results"

    @property
    def about(self) -> dict:
        """What the last run wrote into run.json; empty before the first."""
        return batch.load_json(self.path / "run.json")

    @property
    def options(self) -> dict:
        """The options of the last run, those that decide who is graded, and how."""
        return self.about.get("options", {})

    def seed(self, asked: int | None, sharded: bool) -> int:
        """The seed that was asked for, else that of the run on disk, else a new one."""
        if asked is not None:
            return asked
        if "seed" in self.about:
            return self.about["seed"]
        if any(self.results.glob("*.json")):
            raise ValueError(
                f"{self.path / 'run.json'} is gone, empty or half written: say --seed with the number that stands in "
                f"the column seed of {self.table}, so that all students get the same inputs"
            )
        if sharded:
            raise ValueError("--shard needs --seed: all parts of a class must get the same hidden inputs")
        return secrets.randbits(32)

    def take(self, others: list[Path]) -> None:
        """Copy the results of other runs, and what the first says of itself where this run has nothing yet.

        Raises ``ValueError`` for a folder that is no run.
        """
        for other in others:
            if not (other / "results").is_dir():
                raise ValueError(f"merge={str(other)!r} is no run: it has no folder results")
            self.results.mkdir(parents=True, exist_ok=True)
            for path in sorted((other / "results").glob("*.json")):
                batch.write_atomically(self.results / path.name, path.read_text(encoding="utf-8"))
            if not self.about and (other / "run.json").exists():
                batch.write_atomically(
                    self.path / "run.json", (other / "run.json").read_text(encoding="utf-8")
                )


def in_shard(submission: Submission, shard: tuple[int, int]) -> bool:
    """Whether a student belongs to part i of n; it depends on the id alone."""
    number, count = shard
    return int(hashlib.sha256(submission.id.encode()).hexdigest(), 16) % count == number - 1


def has_status(result: dict, statuses: list[str]) -> bool:
    """Whether a result, or one of its exercises, has one of these statuses."""
    return bool(set(statuses) & {found["status"] for found in [result, *result.get("exercises", ())]})


def check_variant(assignment: Assignment, handed_in: list[Submission]) -> None:
    """Raise ``ValueError`` if most notebooks are of a variant, and none was said: their constants are other ones."""
    if assignment.variant is not None:
        return
    own = re.compile(rb'SHEET = \\?"' + re.escape(assignment.sheet.id).encode() + rb"/(\d+)")
    said = Counter()
    for submission in handed_in:
        with contextlib.suppress(Infra):  # that is said when it is graded
            if found := own.search(read_content(submission.file, submission.fault).data):
                said[found[1].decode()] += 1
    for variant, count in said.most_common(1):
        if 2 * count > len(handed_in):
            name = f"{assignment.sheet.id}/{variant}"
            raise ValueError(
                f"{count} of {len(handed_in)} files say that they are {name}: add --variant {variant}"
            )


def options_to_keep(arguments) -> dict:
    """What the next run takes over where nothing else is said; paths are whole, for another folder."""
    paths = {name: getattr(arguments, name) for name in ("submissions", "roster")}
    plain = {
        name: getattr(arguments, name)
        for name in ("sheet", "names", "due", "variant", "seeds", "time", "memory")
    }
    return plain | {name: str(path.resolve()) if path else None for name, path in paths.items()}


def grade_missing(arguments, assignment: Assignment, handed_in: list[Submission], run: RunFolder) -> None:
    """Grade whoever has no result yet or must be graded again, and say who."""
    from tqdm import tqdm

    done = batch.load_results(assignment, handed_in, run.results)
    again = {submission for submission, result in done.items() if has_status(result, arguments.retry)}
    again |= {submission for submission in handed_in if submission.id in arguments.regrade}
    todo = [submission for submission in handed_in if submission not in done or submission in again]
    if len(todo) < len(handed_in):
        print(f"{len(handed_in) - len(todo)} results kept, {len(todo)} to do")
    chosen = jail.choose(arguments.isolation)
    warning = jail.UNSAFE if chosen is jail.no_jail else ""
    if warning:
        print(warning, file=sys.stderr)
    about = assignment.versions() | {
        "isolation": jail.name_of(chosen),
        "warning": warning,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "options": options_to_keep(arguments),
    }
    batch.write_atomically(run.path / "run.json", json.dumps(about, indent=1))
    if not todo:
        return
    with tqdm(total=len(todo), unit="notebook", disable=None) as bar:  # None: no bar but in a terminal
        for submission, result in batch.grade_all(assignment, todo, run.results, arguments.jobs, chosen):
            graded = result["status"] == "graded"
            points = f"{result['total']} of {result['max']}" if graded else ""
            said = points or f"{result['status']}: {result['notes'][0]}"
            tqdm.write(report.safe_cell(f"{submission.id} {submission.name}".strip() + f": {said}"))
            bar.update()


def write_tables(
    assignment: Assignment, submissions: list[Submission], run: RunFolder, arguments
) -> tuple[str, bool]:
    """Every table, page and export, from the results and marks on disk.

    Returns one line on the class, and whether every file has its final row.
    """
    found = batch.load_results(
        assignment, [submission for submission in submissions if submission.file], run.results
    )
    overrides = run.path / OVERRIDES
    if not overrides.exists():
        batch.write_atomically(overrides, report.csv_table(list(marks.COLUMNS), []))
    given = marks.read(overrides, assignment, {submission.id for submission in submissions})
    finals = marks.final_grades(
        assignment, [(submission, found.get(submission)) for submission in submissions], given
    )
    batch.write_atomically(run.table, report.grades(assignment, finals, arguments.due))
    batch.write_atomically(run.path / "questions.csv", report.questions(finals))
    batch.write_atomically(run.path / "to_mark.csv", report.to_mark(finals))
    batch.write_atomically(run.path / "moodle.csv", report.moodle(finals))
    batch.write_atomically(run.path / "canvas.csv", report.canvas(assignment, finals))
    pages = report.render_pages(assignment, finals)
    for folder in ("feedback", "gradescope"):
        shutil.rmtree(run.path / folder, ignore_errors=True)
        (run.path / folder).mkdir()
    for name, text in pages.items():
        batch.write_atomically(run.path / "feedback" / name, text)
    for final in finals:
        if final.submission.file:
            home = run.path / "gradescope" / Path(report.page_name(final.submission.id)).stem
            home.mkdir()
            batch.write_atomically(home / "results.json", report.gradescope(final))
    batch.write_atomically(run.path / "feedback.zip", report.zip_pages(finals, pages, arguments.names))
    return report.summary(finals), all(final.status != "infra" for final in finals)


def grade_class(arguments, assignment: Assignment) -> int:
    """Everything that ``cnnlib grade`` does for one sheet; 0 only if every file has its final row."""
    run = RunFolder(arguments.out)
    run.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cnnlib-unpacked-") as scratch:
        submissions = roster.collect(arguments.submissions, arguments.names, arguments.roster, Path(scratch))
        if arguments.shard:
            submissions = [submission for submission in submissions if in_shard(submission, arguments.shard)]
        if not arguments.report_only:
            handed_in = [submission for submission in submissions if submission.file]
            check_variant(assignment, handed_in)
            grade_missing(arguments, assignment, handed_in, run)
        line, complete = write_tables(assignment, submissions, run, arguments)
    print(f"{arguments.out}: {line}")
    return int(not complete)
