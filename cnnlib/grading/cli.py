"""The commands ``cnnlib grade`` and ``cnnlib exercise build``."""

from __future__ import annotations

import argparse
import json
import platform
import secrets
import sys
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

from cnnlib.grading import batch, jail, report, roll, source
from cnnlib.grading.grader import Task
from cnnlib.grading.jail import Limits
from cnnlib.grading.supervise import Infra

GRADE = """\
Grade a folder of notebooks: one row a student in a CSV file, one JSON file a student in OUT-run/results.
Who is graded already, with the same file, sheet, seed and limits, is not graded again."""
BUILD = """\
Write the notebook of a sheet that students get; prove that its solutions get all points, a blank one none."""


def add_parsers(subparsers) -> None:
    """Add ``grade`` and ``exercise`` to an argparse parser; each sets ``main(arguments) -> exit code``."""
    parser = subparsers.add_parser("grade", description=GRADE, help="grade a folder of notebooks")
    parser.add_argument("submissions", type=Path, help="folder of notebooks")
    parser.add_argument(
        "--sheet", required=True, help="name of the sheet, in a clone of the course, or path of its .md file"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("grades.csv"), help="table to write (default grades.csv)"
    )
    parser.add_argument("--variant", type=int, help="seed that the class's own sheet was built with")
    parser.add_argument(
        "--seed", type=int, help="seed of the hidden inputs (default: that of the last run, or a new one)"
    )
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="notebooks at a time")
    parser.add_argument(
        "--time", type=positive, default=10, metavar="S", help="CPU seconds for one probe (default 10)"
    )
    parser.add_argument(
        "--memory", type=float, default=2.0, metavar="GB", help="memory of one probe (default 2)"
    )
    parser.add_argument("--roster", type=Path, help="CSV file with a column id, and perhaps name")
    parser.add_argument(
        "--names",
        default="file",
        help=f"how file names tell the student: {', '.join(roll.NAMES)}, or a regex (?P<id>...)",
    )
    parser.add_argument("--isolation", choices=jail.NAMES, default="auto", help="how student code is shut in")
    parser.add_argument(
        "--report-only", action="store_true", help="write the table from the results on disk, run nothing"
    )
    parser.set_defaults(main=guarded(grade))
    exercise = subparsers.add_parser("exercise", help="exercise sheets").add_subparsers(required=True)
    parser = exercise.add_parser("build", description=BUILD, help="write the notebook that students get")
    parser.add_argument("sheet", help="the sheet's text, such as chapters/exercises/cost.md")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the notebook into")
    parser.add_argument("--variant", type=int, metavar="SEED", help="draw other constants, for one class")
    parser.set_defaults(main=guarded(build))


def positive(text: str) -> int:
    """A whole number of at least 1 from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def guarded(command):
    """The command with what a user can mend said in one sentence: exit code 2."""

    def main(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except (ValueError, Infra) as error:
            print(f"cnnlib: {error}", file=sys.stderr)
            return 2

    return main


def grade(arguments: argparse.Namespace) -> int:
    """``cnnlib grade``; 0 only if every file has its final row."""
    for module in ("IPython", "jupytext"):
        if not find_spec(module):
            raise ValueError(f"grading needs {module}: pip install 'cnnlib[grade]'")
    if not arguments.submissions.is_dir():
        raise ValueError(f"submissions={str(arguments.submissions)!r} is no folder; unpack an archive first")
    text = source.find_text(arguments.sheet).read_text(encoding="utf-8")
    run = arguments.out.with_name(f"{arguments.out.stem}-run")
    task = Task(
        source.sheet_of(text),
        text,
        arguments.variant,
        seed_of(run, arguments.seed),
        Limits(arguments.time, arguments.memory),
        arguments.isolation,
    )
    entries = roll.entries(arguments.submissions, arguments.names, arguments.roster)
    handed_in = [entry for entry in entries if entry.file]
    (run / "results").mkdir(parents=True, exist_ok=True)
    if not arguments.report_only:
        execute(task, handed_in, run, arguments.jobs)
    found = batch.kept(task, handed_in, run / "results")
    results = [(entry, found.get(entry)) for entry in entries]
    batch.write(arguments.out, report.grades(task, results))
    batch.write(run / "answers.csv", report.answers(results))
    print(f"{arguments.out}: {report.summary(results)}")
    return int(len(found) < len(handed_in))


def seed_of(run: Path, asked: int | None) -> int:
    """The seed that was asked for, else that of the run on disk, else a new one."""
    if asked is not None:
        return asked
    if (run / "run.json").exists():
        return json.loads((run / "run.json").read_text(encoding="utf-8"))["seed"]
    return secrets.randbits(32)


def execute(task: Task, handed_in: list[roll.Entry], run: Path, jobs: int) -> None:
    """Grade whoever has no result yet, and say who."""
    door = jail.choose(task.isolation)
    warning = jail.UNSAFE if door is jail.open_door else ""
    if warning:
        print(warning, file=sys.stderr)
    about = task.versions() | {
        "warning": warning,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.platform(),
    }
    batch.write(run / "run.json", json.dumps(about, indent=1))
    done = batch.kept(task, handed_in, run / "results")
    todo = [entry for entry in handed_in if entry not in done]
    if done:
        print(f"{len(done)} results kept, {len(todo)} to do")
    if todo:
        for entry, result in batch.run(task, todo, run / "results", jobs, door):
            said = (
                result["total"]
                if result["status"] == "graded"
                else f"{result['status']}: {result['notes'][0]}"
            )
            print(f"{report.safe(entry.id)}: {said}", flush=True)


def build(arguments: argparse.Namespace) -> int:
    """``cnnlib exercise build``."""
    import nbformat

    from cnnlib.grading.build import handout, proof

    path = source.find_text(arguments.sheet)
    text = path.read_text(encoding="utf-8")
    task = Task(source.sheet_of(text), text, arguments.variant, secrets.randbits(32), Limits(), "none")
    nb = handout(text, path.with_suffix(".ipynb"), arguments.variant)
    print(proof(task))
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / path.with_suffix(".ipynb").name
    batch.write(target, nbformat.writes(nb))
    print(f"wrote {target}")
    if arguments.variant is not None:
        print(f"grade it with --variant {arguments.variant}")
    return 0
