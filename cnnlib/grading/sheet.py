"""What an exercise sheet is: exercises, their public practice cases, and the probes that grade them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules

from cnnlib.grading import sheets
from cnnlib.grading.values import same

Inputs = dict[str, object]
Judge = Callable[[object, object, Inputs], str]  # (value, reference's value, inputs) -> "" or what is wrong


@dataclass(frozen=True)
class Case:
    """A public input with the value that belongs to it; ``hint`` is shown where an answer differs."""

    inputs: Inputs
    value: object
    hint: str
    judge: Judge = same


@dataclass(frozen=True)
class Probe:
    """A claim about an answer, tried on ``draws`` hidden inputs; the points are for all of them being right.

    ``hint`` is shown where it fails. ``inputs(rng)`` gives one input, of JSON values; what is right is what the
    reference solution returns for it, or what ``judge`` makes of both.
    """

    claim: str
    points: int
    inputs: Callable[[random.Random], Inputs]
    draws: int = 6
    judge: Judge = same
    hint: str = ""


def nothing(rng: random.Random) -> Inputs:
    """Inputs of a design: none but its constants."""
    return {}


def numbers(rng: random.Random, *shape: int, zero: bool = True) -> list:
    """Nested lists of quarters between -2 and 2, which every float type holds exactly."""
    if not shape:
        return (rng.randrange(-8, 9) if zero else rng.choice((-1, 1)) * rng.randrange(1, 9)) / 4
    return [numbers(rng, *shape[1:], zero=zero) for _ in range(shape[0])]


@dataclass(frozen=True)
class Exercise:
    """A function that a student writes. Without probes it is practice: a public solution, no points.

    ``given`` names constants of the sheet's text that the answer reads. ``run(ns, **inputs)`` calls the answer in
    the student's process. By default the constants are set as they were handed out, and the function ``name`` gets
    the other inputs in their order, so that renamed parameters do no harm.
    """

    name: str
    practice: tuple[Case, ...]
    probes: tuple[Probe, ...] = ()
    given: tuple[str, ...] = ()
    run: Callable[..., object] | None = None

    @property
    def points(self) -> int:
        """The most that it can bring."""
        return sum(probe.points for probe in self.probes)

    def answer(self, ns: MutableMapping[str, object], inputs: Inputs) -> object:
        """The value of the student's function, which ``ns`` holds, for one input, its constants among it."""
        if self.run:
            return self.run(ns, **inputs)
        ns.update((constant, inputs[constant]) for constant in self.given)
        return ns[self.name](*(value for name, value in inputs.items() if name not in self.given))


@dataclass(frozen=True)
class Sheet:
    """All exercises of a chapter.

    ``manual``: questions that a person reads, with the points each may bring; ``imports``: names of modules that
    every answer may use without importing them; ``absent``: packages that are not there when student code runs;
    ``shortcuts``: whoever uses such a name is pointed out to the instructor.
    """

    name: str
    revision: int
    exercises: tuple[Exercise, ...]
    manual: Mapping[str, int] = field(default_factory=dict)
    imports: Mapping[str, str] = field(default_factory=lambda: {"math": "math"})
    shortcuts: tuple[str, ...] = ()
    absent: tuple[str, ...] = ("torchvision", "timm")

    @property
    def id(self) -> str:
        """Chapter and revision, such as "cost/1"."""
        return f"{self.name}/{self.revision}"

    @property
    def graded(self) -> tuple[Exercise, ...]:
        """The exercises that bring points."""
        return tuple(exercise for exercise in self.exercises if exercise.probes)

    @property
    def points(self) -> int:
        """The most that the sheet can bring."""
        return sum(exercise.points for exercise in self.exercises)

    def exercise(self, name: str) -> Exercise:
        """The exercise of this name."""
        return next(exercise for exercise in self.exercises if exercise.name == name)


def names() -> list[str]:
    """The sheets that this package knows."""
    return [module.name for module in iter_modules(sheets.__path__)]


def load(name: str) -> Sheet:
    """The sheet of a chapter; raises ``ValueError`` if there is none."""
    if name not in names():
        raise ValueError(f"sheet={name!r}: there is no such sheet; choose one of {', '.join(names())}")
    return import_module(f"{sheets.__name__}.{name}").SHEET
