"""No points by luck: how often a known mistake would get through all the inputs that a grading draws."""

import random

import pytest
from solving import namespace, opened

from cnnlib.grading.sheet import names
from cnnlib.grading.values import plain

SHEETS = {name: opened(name) for name in names()}
TRAINED = {
    "fit",
    "linear_probe",
    "meeting_head",
    "train_team",
}  # one draw of many images, judged by a threshold
EXERCISES = [
    pytest.param(sheet, exercise, id=exercise.name)
    for sheet in SHEETS.values()
    for exercise in sheet.sheet.graded
    if not exercise.given and exercise.name not in TRAINED
]
DRAWS = 40  # from which the share of inputs that tell a mistake is found
MOST = 1e-3


def chance(exercise, ns, samples):
    """That every draw of every probe passes an answer, from the share of ``samples`` (one list a probe) that do."""
    product = 1.0
    for probe, pairs in zip(exercise.probes, samples, strict=True):
        passed = [not probe.judge(plain(exercise.answer(ns, draw)), right, draw) for draw, right in pairs]
        product *= (sum(passed) / len(passed)) ** probe.draws
    return product


@pytest.mark.parametrize(("sheet", "exercise"), EXERCISES)
def test_no_known_mistake_gets_all_points_by_luck(sheet, exercise):
    samples = []
    for number, probe in enumerate(exercise.probes):
        rng = random.Random(f"luck {number}")
        draws = [probe.inputs(rng) for _ in range(DRAWS)]
        samples.append([(draw, plain(exercise.answer(sheet.reference, draw))) for draw in draws])
    found = {
        mistake: chance(exercise, namespace(sheet.sheet, [(1, code)], sheet.constants), samples)
        for mistake, code in sheet.wrong[exercise.name].items()
    }
    assert {mistake: share for mistake, share in found.items() if share > MOST} == {}
