"""The command line: ``cnnlib costs | classify | train | evaluate | run | doctor | grade | exercise``.

What a command needs is imported when it runs, so that ``cnnlib --help`` and ``cnnlib grade`` start without torch.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence

from cnnlib.cli import costs, train
from cnnlib.cli import grade as grading
from cnnlib.cli.options import Parser, whole
from cnnlib.resources import pinned


def classify(args: argparse.Namespace) -> int:
    """Print the classes that a trained network finds most likely in each photo."""
    from cnnlib.insight import classify as predictions
    from cnnlib.models import weights

    label = args.weights or ("bundled" if args.network in weights.BUNDLED else "DEFAULT")
    rows = predictions(args.photos, args.network, label, args.top)
    width = max(len(row.name) for row in rows)
    for i, row in enumerate(rows):
        if i % args.top == 0:
            print(row.photo)
        print(f"  {row.name:{width}} {row.probability:6.1%} {'#' * round(40 * row.probability)}".rstrip())
    return 0


def run(args: argparse.Namespace) -> int:
    """Run an experiment, or go on with an interrupted one."""
    if not args.second:  # a second making does without, to show that verdicts do not hang on it
        os.environ |= pinned()  # before torch is there, which reads it once
    from cnnlib import experiments

    name = args.name + "-full" * args.full
    path = experiments.run(name, args.seeds, args.device, jobs=args.jobs, second=args.second)
    print(f"stored in {path}")
    for comparison in experiments.judged(args.name, json.loads(path.read_text(encoding="utf-8"))):
        print(comparison)
    return 0


def _findings() -> Iterator[tuple[bool, str]]:
    """What is here, a line each, and whether the course can run with it."""
    yield sys.version_info >= (3, 10), f"Python {platform.python_version()} on {platform.platform()}"
    for name in ("torch", "torchvision", "numpy", "matplotlib"):
        try:
            module = __import__(name)
        except Exception as error:  # whatever a broken install raises: its own words say it best
            yield False, f"{name} cannot be imported: {error}; install it again"
        else:
            yield True, f"{name} {module.__version__}"
    from cnnlib import images, resources
    from cnnlib.grading import JAILS
    from cnnlib.training import find_device

    find_device()
    problems = resources.damaged()
    yield not problems, "; ".join(problems) or "the shipped files are whole"
    for name in train.SETS:
        try:
            images.cifar10() if name == "cifar10" else getattr(images, name)(full=True)
        except ValueError as error:
            yield (
                True,
                f"full {name} is not here ({error})".replace("pass download=True", "train with --download"),
            )
        else:
            yield True, f"full {name} is here"
    faults = {name: trouble() for name, (_, trouble) in JAILS.items()}
    for name, fault in faults.items():  # one that holds is enough for grading
        yield "" in faults.values(), f"jail {name}: {fault or 'works'}"


def doctor(args: argparse.Namespace) -> int:
    """Say what is here and what is missing."""
    well = True
    for fine, line in _findings():
        print(f"{'ok ' if fine else 'BAD'} {line}", flush=True)
        well &= fine
    return 0 if well else 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="cnnlib", description="CNN Architectures: from LeNet to SENet.")
    commands = parser.add_subparsers(required=True, metavar="command")

    costs.add_parser(commands)

    sub = commands.add_parser(
        "classify", help="what a trained network sees in photos", description=classify.__doc__
    )
    sub.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="a file, or a photo of the course, such as coffee"
    )
    sub.add_argument("--network", default="squeezenet1_1", metavar="NAME", help="default squeezenet1_1")
    sub.add_argument(
        "--weights",
        metavar="LABEL",
        help="such as IMAGENET1K_V1 (default: those with the course, else the newest)",
    )
    sub.add_argument("--top", type=whole(1), default=5, metavar="N", help="classes a photo (default 5)")
    sub.set_defaults(main=classify)

    train.add_parsers(commands)

    sub = commands.add_parser("run", help="run an experiment of the book", description=run.__doc__)
    sub.add_argument("name", help="an experiment, such as alexnet-relu-vs-tanh")
    sub.add_argument("--seeds", type=whole(1), default=5, metavar="N", help="runs a side (default 5)")
    sub.add_argument("--device", default="cpu", help="cpu (default), cuda, mps")
    sub.add_argument("--full", action="store_true", help="on all images of the set; stored as NAME-full")
    sub.add_argument(
        "--second", action="store_true", help="once more, with other seeds and a search of its own"
    )
    sub.add_argument(
        "--jobs", type=whole(1), default=1, metavar="N", help="runs at once, in processes of their own (1)"
    )
    sub.set_defaults(main=run)

    sub = commands.add_parser("doctor", help="what is here, and what is missing", description=doctor.__doc__)
    sub.set_defaults(main=doctor)

    grading.add_parsers(commands)
    return parser


def _fail(sentence: str, code: int = 2) -> int:
    print(f"cnnlib: {sentence}", file=sys.stderr)
    return code


def _flush() -> None:
    """Write what is left to be written, or, where nobody takes it, keep Python from trying again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error is one sentence on stderr and exit code 2."""
    try:
        args = _parser().parse_args(argv)
        code = args.main(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output, such as ``head``, has enough of it
        _flush()
        return 0
    except OSError as error:
        _flush()
        return _fail(f"{error.filename or 'the output'} cannot be read or written: {error.strerror or error}")
    except ValueError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("stopped", 130)
