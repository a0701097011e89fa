"""``check("conv_out")``: tries an answer in the student's notebook on public inputs and says how it did."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, MutableMapping
from difflib import get_close_matches

from cnnlib.grading.sheet import Exercise, load, names
from cnnlib.grading.values import NotPlain, plain, to_lists

PRACTICE = "This is practice: the grade comes from a rerun with other inputs."
UNGRADED = "This exercise is for practice only."
MAX_SHOWN = 1000  # characters of a value that is shown: nobody reads the scores of a hundred pictures
MAX_NUMBERS = 24  # of a tensor whose numbers are shown; of a larger one, the shape


def check(name: str) -> None:
    """Print how the answer ``name`` does on the public inputs of its exercise.

    The answer is looked up where the call stands, else in the notebook. The first word after the name is
    ``ok``, ``failed``, ``error`` or ``not attempted``. A wrong value brings a hint, not the right value.
    """
    exercises = {exercise.name: exercise for sheet in map(load, names()) for exercise in sheet.exercises}
    if name not in exercises:
        near = get_close_matches(str(name), exercises) or sorted(exercises)
        print(f"There is no check {name!r}. Did you mean {', '.join(map(repr, near))}?")
        return
    ns = sys._getframe(1).f_globals
    if name not in ns:
        ns = vars(sys.modules["__main__"])
    print(f"{name}: {verdict(exercises[name], ns)}")


def verdict(exercise: Exercise, ns: MutableMapping[str, object]) -> str:
    """Status and explanation of one answer."""
    name = exercise.name
    if name not in ns:
        return f"not attempted. There is no {name} here yet: write it, run its cell, then check again."
    if not callable(ns[name]):
        return f"error. {name} is not a function any more; was it assigned to?"
    if missing := [constant for constant in exercise.given if constant not in ns]:
        return f"error. First run the cell that sets {', '.join(missing)}."
    given = {constant: ns[constant] for constant in exercise.given}
    for number, case in enumerate(exercise.practice):
        call = Call(ns[name], name)
        try:
            value = plain(exercise.answer({**ns, name: call}, given | case.inputs))
        except NotImplementedError:
            return "not attempted yet."
        except NotPlain as error:
            return f"failed on {call.text}: {error}."
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # whatever a student's code may raise, SystemExit too
            return f"error on {call.text}: {type(error).__name__}: {error}"
        if wrong := case.judge(value, case.value, given | case.inputs):
            shown = repr(to_lists(value))
            got = (
                f" returns {shown}"
                if case.inputs and len(shown) <= MAX_SHOWN and call.returned(value)
                else ""
            )
            right = f"\n  The {number} before it came out right." if number else ""
            return f"failed. {call.text}{got}: {wrong}.\n  Hint: {case.hint}{right}"
    closing = PRACTICE if exercise.probes else UNGRADED
    count = len(exercise.practice)
    return f"ok, {count} of {count} tries are right. {closing}"


class Call:
    """A student's function that keeps its last call as text: its own arguments, and what it returned."""

    def __init__(self, function: Callable, name: str):
        self.function, self.name, self.text, self.value = function, name, f"{name}()", None

    def __call__(self, *args: object) -> object:
        """Call the student's function."""
        self.text = f"{self.name}({', '.join(self.arguments(args))})"  # before the function may change them
        self.value = self.function(*args)
        return self.value

    def arguments(self, args: tuple) -> list[str]:
        """Each with its name; without names, where the function takes any number."""
        try:
            parameters = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        texts = [argument_text(value) for value in args]
        if len(parameters) < len(args) or any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return texts
        return [f"{p.name}={text}" for p, text in zip(parameters, texts, strict=False)]

    def returned(self, value: object) -> bool:
        """Whether the function returned ``value``, not something that it was made from."""
        try:
            return repr(to_lists(plain(self.value))) == repr(to_lists(value))
        except NotPlain:
            return False


def argument_text(value: object) -> str:
    """As a student would type it; of large tensors the shape, and of objects the kind."""
    if isinstance(value, list | tuple):
        inner = ", ".join(map(argument_text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if hasattr(value, "numel"):
        few = value.numel() <= MAX_NUMBERS
        return f"torch.tensor({value.tolist()})" if few else f"<tensor {'×'.join(map(str, value.shape))}>"
    plain_text = isinstance(value, bool | int | float | str | dict | None)
    return repr(value) if plain_text else f"<{type(value).__name__}>"
