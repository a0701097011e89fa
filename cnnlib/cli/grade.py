"""The commands ``cnnlib grade`` and ``cnnlib exercise build``."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from cnnlib import grading
from cnnlib.cli.options import whole
from cnnlib.grading import Infra, find_text, sheet_of

GRADE = """\
Grade a folder, or a zip archive, of notebooks: one row a student in a CSV file; results, feedback pages and tables
for Moodle, Canvas and Gradescope in OUT-run. Who is graded already, with the same file, sheet, seed and limits, is
not graded again. What is not said is done as in the last run of the same OUT."""
BUILD = """\
Write the notebook of a sheet that students get; prove that its solutions get all points, a blank one none."""
# Options that a run of the same table takes over from the last one, and what they are at first.
FIRST = dict.fromkeys(("submissions", "sheet", "roster", "names", "due", "variant")) | dict(
    seeds=1, time=10, memory=2.0
)
NEEDED = ("IPython", "jupytext", "jinja2", "safetensors", "tqdm")


def add_parsers(subparsers) -> None:
    """Add ``grade`` and ``exercise`` to an argparse parser; each sets ``main(arguments) -> exit code``."""
    parser = subparsers.add_parser("grade", description=GRADE, help="grade a folder of notebooks")
    parser.set_defaults(main=guarded(grade))
    add = parser.add_argument
    add("submissions", type=Path, nargs="?", help="folder or zip archive of notebooks")
    add("--sheet", help="name of the sheet, in a clone of the course, or path of its .md file")
    add("--out", type=Path, default=Path("grades.csv"), help="table to write (default grades.csv)")
    add(
        "--demo",
        action="store_true",
        help="grade a class of twelve notebooks that is made for you to look at",
    )
    who = parser.add_argument_group("who is who")
    who.add_argument("--roster", type=Path, help="CSV file with a column id, and perhaps name")
    who.add_argument(
        "--names",
        help=f"how file names tell the student: {', '.join(grading.NAME_PATTERNS)} or a regex (?P<id>...)",
    )
    who.add_argument(
        "--due", type=date, metavar="WHEN", help="such as 2026-11-30T23:59; later days are counted"
    )
    inputs = parser.add_argument_group("hidden inputs")
    inputs.add_argument("--variant", type=int, help="seed that the class's own sheet was built with")
    inputs.add_argument(
        "--seed", type=int, help="seed of the inputs (default: that of the last run, or a new one)"
    )
    inputs.add_argument(
        "--seeds", type=whole(1), metavar="N", help="draw inputs N times; all must come out right (default 1)"
    )
    shut_in = parser.add_argument_group("limits")
    shut_in.add_argument(
        "--isolation",
        choices=grading.ISOLATION,
        default="auto",
        help="how student code is shut in (default auto)",
    )
    shut_in.add_argument("--time", type=whole(1), metavar="S", help="CPU seconds for one probe (default 10)")
    shut_in.add_argument("--memory", type=float, metavar="GB", help="memory of one probe (default 2)")
    work = parser.add_argument_group("how much is done")
    work.add_argument("--jobs", type=whole(1), default=1, metavar="N", help="notebooks at a time (default 1)")
    work.add_argument("--shard", type=shard, metavar="I/N", help="only part I of N, for several machines")
    work.add_argument(
        "--merge", type=Path, nargs="+", default=[], metavar="RUN", help="take over the results of other runs"
    )
    work.add_argument("--regrade", nargs="+", default=[], metavar="ID", help="grade these students again")
    work.add_argument(
        "--retry", nargs="+", default=[], metavar="STATUS", help="grade again whoever has such a status"
    )
    work.add_argument(
        "--report-only", action="store_true", help="write all tables again from what is on disk, run nothing"
    )
    exercise = subparsers.add_parser("exercise", help="exercise sheets").add_subparsers(required=True)
    parser = exercise.add_parser("build", description=BUILD, help="write the notebook that students get")
    parser.add_argument("sheet", help="the sheet's text, such as chapters/exercises/cost.md")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the notebook into")
    parser.add_argument("--variant", type=int, metavar="SEED", help="draw other constants, for one class")
    parser.set_defaults(main=guarded(build))


def date(text: str) -> str:
    """A date, with a time or without, from the command line."""
    try:
        return datetime.fromisoformat(text).isoformat(timespec="minutes")
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-30T23:59") from None


def shard(text: str) -> tuple[int, int]:
    """Part and number of parts, written 2/8."""
    number, slash, count = text.partition("/")
    if not slash or not 1 <= whole(1)(number) <= whole(1)(count):
        raise argparse.ArgumentTypeError(f"{text!r} must be a part and the number of parts, such as 2/8")
    return int(number), int(count)


def guarded(command):
    """The command with what a user can mend said in one sentence: exit code 2."""

    def main(arguments: argparse.Namespace) -> int:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not stop a class
                stream.reconfigure(errors="backslashreplace")
        try:
            return command(arguments)
        except (ValueError, Infra, OSError) as error:  # a full disk among them
            print(f"cnnlib: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("\ncnnlib: stopped; what is graded is kept, and the same command does the rest",
                  file=sys.stderr, flush=True)  # fmt: skip
            os._exit(130)  # else Python waits for the notebooks that are running; their jails end with it

    return main


def grade(arguments: argparse.Namespace) -> int:
    """``cnnlib grade``; 0 only if every file has its final row."""
    if missing := [module for module in NEEDED if not find_spec(module)]:
        raise ValueError(f"grading needs {', '.join(missing)}: pip install {' '.join(missing).lower()}")
    if arguments.demo:
        arguments.submissions, arguments.sheet = grading.make_demo(arguments.out)
        arguments.names, arguments.time = "file", 1  # second, so that nobody waits long for the endless loop
    run = grading.RunFolder(arguments.out)
    run.take(arguments.merge)
    use_last_options(arguments, run)
    if not arguments.submissions or not arguments.sheet:
        raise ValueError("say what to grade: cnnlib grade FOLDER --sheet NAME, or cnnlib grade --demo")
    if not arguments.submissions.exists():
        raise ValueError(f"submissions={str(arguments.submissions)!r} is no folder and no zip archive")
    text = find_text(arguments.sheet).read_text(encoding="utf-8")
    assignment = grading.Assignment(
        sheet_of(text),
        text,
        arguments.variant,
        run.seed(arguments.seed, arguments.shard is not None),
        grading.Limits(arguments.time, arguments.memory),
        arguments.seeds,
    )
    return grading.grade_class(arguments, assignment)


def use_last_options(arguments: argparse.Namespace, run: grading.RunFolder) -> None:
    """Give every option that was not said the value of the last run, if that was of the same sheet."""
    last = run.options
    if arguments.sheet:
        arguments.sheet = str(find_text(arguments.sheet).resolve())
        last = last if last.get("sheet") == arguments.sheet else {}
    taken = []
    for name, first in FIRST.items():
        if getattr(arguments, name) is None:
            value = last.get(name, first)
            taken += [f"{name} {value}"] if value != first else []
            setattr(arguments, name, Path(value) if value and name in ("submissions", "roster") else value)
    if taken:
        print(f"as in the last run: {', '.join(taken)}")


def build(arguments: argparse.Namespace) -> int:
    """``cnnlib exercise build``."""
    import nbformat

    path = find_text(arguments.sheet)
    text = path.read_text(encoding="utf-8")
    assignment = grading.Assignment(
        sheet_of(text), text, arguments.variant, secrets.randbits(32), grading.Limits()
    )
    nb = grading.make_handout(text, path.with_suffix(".ipynb"), arguments.variant)
    print(grading.prove(assignment))
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / path.with_suffix(".ipynb").name
    grading.write_atomically(target, nbformat.writes(nb))
    print(f"wrote {target}")
    if arguments.variant is not None:
        print(f"grade it with --variant {arguments.variant}")
    return 0
