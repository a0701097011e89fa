"""One right answer in every form that a student may return: what `check` calls right is right when it is graded."""

import copy
import functools
import pickle
import random

import numpy as np
import pytest
import torch
from solving import opened

from cnnlib.grading.practice import verdict
from cnnlib.grading.sheet import names
from cnnlib.grading.values import NotPlain, plain

SHEETS = {name: opened(name) for name in names()}
EXERCISES = [
    pytest.param(sheet, exercise, id=exercise.name)
    for sheet in SHEETS.values()
    for exercise in sheet.sheet.exercises
]


def numeric(value):
    return all(map(numeric, value)) if isinstance(value, list | tuple) else isinstance(value, int | float)


def tensor_of(value, dtype=None):
    """A tensor of a tensor, or of (nested lists of) numbers; anything else as it is, item by item."""
    if isinstance(value, torch.Tensor):
        return value.to(dtype) if dtype and value.dtype != torch.bool else value
    if isinstance(value, list | tuple) and not numeric(value):
        return type(value)(tensor_of(item, dtype) for item in value)
    try:
        return torch.tensor(value, dtype=dtype)
    except (TypeError, ValueError, RuntimeError):
        return type(value)(tensor_of(v, dtype) for v in value) if isinstance(value, list | tuple) else value


def list_of(value):
    value = value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value
    return [list_of(item) for item in value] if isinstance(value, list | tuple) else value


def array_of(value):
    if isinstance(value, list | tuple):
        return [array_of(item) for item in value]
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


FORMS = {
    "list": list_of,
    "numpy": lambda value: array_of(tensor_of(value)),
    "float32": lambda value: tensor_of(value, torch.float32),
    "float64": lambda value: tensor_of(value, torch.float64),
    "tensor": tensor_of,
}
# What the sheet itself goes on with must be what the text asks for: a tensor that carries a gradient.
NEEDS_ITS_OWN_FORM = {"partial": ("list", "numpy")}


@functools.cache
def remembering(name, exercise):
    """The solution of an exercise; asked the same once more, it returns the same, and trains no network again."""
    solution, known = SHEETS[name].reference[exercise], {}

    def answer(*args, **kwargs):
        try:
            asked = pickle.dumps((args, kwargs))
            value = known[asked] if asked in known else known.setdefault(asked, solution(*args, **kwargs))
            return copy.deepcopy(value)
        except (pickle.PicklingError, AttributeError, TypeError, RuntimeError):  # of what can be no copy
            return solution(*args, **kwargs)

    return answer


def in_form(sheet, exercise, form):
    """The solutions, one of which returns its value in another form."""
    solution = remembering(sheet.sheet.name, exercise.name)
    return sheet.reference | {exercise.name: lambda *args, **kwargs: FORMS[form](solution(*args, **kwargs))}


def wrong_when_graded(sheet, exercise, ns, seeds=3):
    """What the probes say against an answer, in this process."""
    given = {name: sheet.constants[name] for name in exercise.given}
    for seed in range(seeds):
        for number, probe in enumerate(exercise.probes):
            rng = random.Random(f"{seed} {exercise.name} {number}")
            for _ in range(probe.draws):
                draw = given | probe.inputs(rng)
                solved = sheet.reference | {exercise.name: remembering(sheet.sheet.name, exercise.name)}
                right = plain(exercise.answer(solved, draw))
                try:
                    value = plain(exercise.answer(ns, draw))
                except NotPlain as error:
                    return str(error)
                if wrong := probe.judge(value, right, draw):
                    return f"{probe.claim}: {wrong}"
    return ""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("sheet", "exercise"), EXERCISES)
def test_a_right_answer_passes_check_and_grade_in_every_form(sheet, exercise, form):
    ns = in_form(sheet, exercise, form)
    said = verdict(exercise, ns)
    if said.startswith("ok"):
        assert wrong_when_graded(sheet, exercise, ns) == ""
    elif form not in NEEDS_ITS_OWN_FORM.get(exercise.name, ()):
        pytest.fail(said)
