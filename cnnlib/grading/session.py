"""One call of ``cnnlib grade``: a folder of notebooks, the run beside the table, and everything written from it."""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cnnlib.grading import batch, exports, feedback, jail, marks, report, roster
from cnnlib.grading.grader import Assignment
from cnnlib.grading.roster import Submission

OVERRIDES = "overrides.csv"


@dataclass(frozen=True)
class RunFolder:
    """The folder beside the table: results, marks by hand, feedback and exports."""

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
        path = self.path / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

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


def must_regrade(
    assignment: Assignment, submission: Submission, run: RunFolder, students: list[str], statuses: list[str]
) -> bool:
    """Whether a result that is on disk must be made anew."""
    if submission.id in students:
        return True
    result = batch.load_result(run.results, batch.result_key(assignment, submission)) or {}
    return bool(
        set(statuses) & {found["status"] for found in [result, *result.get("exercises", ())] if found}
    )


def options_to_keep(arguments) -> dict:
    """What the next run takes over where nothing else is said; paths are whole, for another folder."""
    paths = {name: getattr(arguments, name) for name in ("submissions", "roster")}
    plain = {
        name: getattr(arguments, name) for name in ("sheet", "names", "variant", "seeds", "time", "memory")
    }
    return plain | {name: str(path.resolve()) if path else None for name, path in paths.items()}


def grade_missing(arguments, assignment: Assignment, handed_in: list[Submission], run: RunFolder) -> None:
    """Grade whoever has no result yet or must be graded again, and say who."""
    from tqdm import tqdm

    done = batch.load_results(assignment, handed_in, run.results)
    todo = [
        submission
        for submission in handed_in
        if submission not in done
        or must_regrade(assignment, submission, run, arguments.regrade, arguments.retry)
    ]
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
            tqdm.write(f"{report.safe_cell(' '.join((submission.id, submission.name)).strip())}: {said}")
            bar.update()


def write_tables(
    assignment: Assignment, submissions: list[Submission], run: RunFolder, names: str
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
    batch.write_atomically(run.table, report.grades(assignment, finals))
    batch.write_atomically(run.path / "questions.csv", report.questions(finals))
    batch.write_atomically(run.path / "to_mark.csv", report.to_mark(finals))
    batch.write_atomically(run.path / "moodle.csv", exports.moodle(finals))
    batch.write_atomically(run.path / "canvas.csv", exports.canvas(assignment, finals))
    pages = feedback.render_pages(assignment, finals)
    for folder in ("feedback", "gradescope"):
        shutil.rmtree(run.path / folder, ignore_errors=True)
        (run.path / folder).mkdir()
    for name, text in pages.items():
        batch.write_atomically(run.path / "feedback" / name, text)
    for final in finals:
        if final.submission.file:
            home = run.path / "gradescope" / Path(feedback.page_name(final.submission.id)).stem
            home.mkdir()
            batch.write_atomically(home / "results.json", exports.gradescope(final))
    batch.write_atomically(run.path / "feedback.zip", feedback.zip_pages(finals, pages, names))
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
            grade_missing(arguments, assignment, handed_in, run)
        line, complete = write_tables(assignment, submissions, run, arguments.names)
    print(f"{arguments.out}: {line}")
    return int(not complete)
