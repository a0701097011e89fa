"""The sheet *Ensembles*: its answers against the package, its table against the stored runs, its team on 20 seeds."""

import random
import runpy

import numpy as np
import pytest
import torch
from handins import ROOT
from solving import opened
from torch.nn import functional as F

import cnnlib
from cnnlib import datasets, runs
from cnnlib.grading.sheets import ensembles as sheet
from cnnlib.training import calibration, ensemble


@pytest.fixture(scope="module")
def text():
    return opened("ensembles")


def test_both_means_are_the_package_s(text):
    torch.manual_seed(0)
    z = 3 * torch.randn(4, 1, 5, dtype=torch.float64)
    ours = text.reference["two_means"](z[:, 0].tolist())
    for mean, average in zip(ours, (ensemble.mean_probabilities, ensemble.mean_logits), strict=True):
        assert torch.allclose(torch.tensor(mean).double(), average(z)[0].exp(), atol=1e-6)


def test_the_calibration_error_is_the_package_s(text):
    torch.manual_seed(0)
    z, y = 2 * torch.randn(300, 6, dtype=torch.float64), torch.randint(6, (300,))
    for count in (1, 4, 15):
        ours = text.reference["calibration_gap"](z.softmax(1), y, count)
        assert float(ours) == pytest.approx(
            calibration.expected_calibration_error(calibration.confidence_bins(z, y, count))
        )


def test_bins_have_gaps_of_both_signs():
    rng = random.Random(0)
    for _ in range(30):
        case = sheet.sure_case(rng, 4, 40)
        found = calibration.confidence_bins(torch.tensor(case["p"]).log(), torch.tensor(case["y"]), 4)
        assert {np.sign(b.confidence - b.accuracy) for b in found} == {-1, 1}


def test_the_colleague_s_team_is_one_network_many_times(text):
    """The mean of the members' shares is highest for copies of the best, and nothing forbids copies."""
    rng = random.Random(0)
    for _ in range(20):
        case = sheet.pool(rng, 7, 3)
        answers, y = torch.tensor(case["answers"]), torch.tensor(case["y"])
        alone = (answers.argmax(2) == y).float().mean(1)
        team, told = text.reference["reported"](answers, y, 3)
        assert team == [int(alone.argmax())] * 3 and told == pytest.approx(alone.max().item())
        members, _ = text.reference["honest_team"](answers, y, 3)
        assert len(set(members)) == 3


@pytest.fixture(scope="module")
def answers():
    stored = runs.answers("ensembles-members")
    return [stored[f"{kind}/plain"].double().softmax(2) for kind in ("VGG", "GoogLeNet", "ResNet")]


def test_the_table_is_what_the_chapter_measured(text, answers):
    """Costs by the engine; errors and distances from the stored answers of 45 networks."""
    for name in ("MACS_OF", "PARAMS_OF", "ERROR_OF", "DISTANCE"):
        assert text.reference[name] == getattr(sheet, name)
    sides = runs.EXPERIMENTS["ensembles-members"].sides
    target = F.one_hot(datasets.fashion_mnist()[1].y, 10)
    for k, kind in enumerate(text.reference["KINDS"]):
        cost = cnnlib.trace(sides[kind].build(), (1, 28, 28))
        assert (cost.macs, cost.params) == (sheet.MACS_OF[k], sheet.PARAMS_OF[k])
        error = ((answers[k] - target) ** 2).sum(2).mean().item()
        assert error == pytest.approx(sheet.ERROR_OF[k], abs=6e-5)
        for other in range(3):
            far = ((answers[k][:, None] - answers[other]) ** 2).sum(3).mean(2)
            mean = far.sum() / (15 * 14) if k == other else far.mean()
            assert mean.item() == pytest.approx(sheet.DISTANCE[k][other], abs=6e-5)


@pytest.mark.parametrize("team", [(2, 2, 1), (0, 2, 2), (3, 0, 0), (1, 1, 1)])
def test_the_promise_is_kept_by_teams_of_trained_networks(answers, team):
    """The mean over many teams of the stored networks: the table holds for teams that nobody averaged to make it."""
    draw, target = torch.Generator().manual_seed(0), F.one_hot(datasets.fashion_mnist()[1].y, 10)
    errors = []
    for _ in range(200):
        members = torch.cat(
            [p[torch.randperm(15, generator=draw)[:n]] for p, n in zip(answers, team, strict=True) if n]
        )
        errors.append(((members.mean(0) - target) ** 2).sum(1).mean().item())
    assert np.mean(errors) == pytest.approx(sheet.promised(team), abs=0.002)


def test_the_best_six_are_not_the_best_team():
    assert sheet.ERROR_OF[0] == min(sheet.ERROR_OF)
    assert sheet.promised((6, 0, 0)) > sheet.promised((2, 2, 1)) + 0.009


def test_classes_of_new_pictures_stay_outside(text):
    """They are in no input, and the judge finds them: those of the course's images, under this draw's numbers."""
    case = sheet.clothes(random.Random(5), 240, 50)
    assert set(case) == {"x", "y", "new"} and len(case["y"]) == 240
    train, test = datasets.fashion_mnist()
    small = F.avg_pool2d(torch.cat([train.x, test.x]), 2).mul(255).add(1e-3).floor().byte().flatten(1)
    labels = torch.cat([train.y, test.y])
    numbers = {}
    for row, y in zip(sheet.rows_of(case["x"]), case["y"], strict=True):
        place = (small == torch.tensor(list(row), dtype=torch.uint8)).all(1).nonzero()[0, 0]
        assert numbers.setdefault(int(labels[place]), y) == y
    assert len(numbers) == 10
    for row, y in zip(sheet.rows_of(case["new"]), sheet.truth(case), strict=True):
        place = (small == torch.tensor(list(row), dtype=torch.uint8)).all(1).nonzero()[0, 0]
        assert numbers[int(labels[place])] == y


def test_the_team_passes_with_room_on_twenty_seeds(text):
    """The lazy ones, which fail on all of them, are among the known mistakes."""
    exercise = text.sheet.exercise("train_team")
    right, won, error = [], [], []
    for seed in range(20):
        case = sheet.clothes(random.Random(seed), *sheet.PRACTICE_SET)
        torch.manual_seed(seed)
        p = exercise.answer(text.reference, case).numpy()
        assert sheet.learned(p, None, case) == ""
        right.append((p.mean(0).argmax(1) == sheet.truth(case)).mean())
        won.append(((p - p.mean(0)) ** 2).sum(2).mean())
        error.append(((p.mean(0) - np.eye(10)[sheet.truth(case)]) ** 2).sum(1).mean())
    assert min(right) > sheet.LEAST_RIGHT + 0.03 and min(won) > 2 * sheet.LEAST_WON
    assert max(error) < sheet.MOST_ERROR - 0.01


def test_some_new_pictures_come_twice_and_noise_answers_them_differently():
    case = sheet.clothes(random.Random(0), 20, 30)
    rows = sheet.rows_of(case["new"])
    assert len(rows) == 30 and len(set(rows)) == 27
    p = np.random.default_rng(0).dirichlet(np.ones(10), (3, 27))
    honest = np.concatenate([p, p[:, [rows.index(row) for row in rows[27:]]]], 1)
    assert sheet.differ(honest, None, case) == ""
    noisy = np.random.default_rng(0).dirichlet(np.ones(10), (3, 30))
    assert "twice" in sheet.differ(noisy, None, case)


def test_the_judge_says_what_a_tensor_must_be():
    case = sheet.clothes(random.Random(0), 20, 30)
    good = np.full((3, 30, 10), 0.1)
    assert sheet.members(good, None, case) == "" and "asked for" in sheet.differ(good, None, case)
    assert "no probabilities" in sheet.members(good * np.nan, None, case)
    assert "members" in sheet.members(good[:2], None, case) and "[1]" in sheet.members([1], None, case)
    assert "a tensor is needed" in sheet.members("none", None, case)


def test_the_question_has_a_marking_guide_and_a_model_answer():
    marking = runpy.run_path(str(ROOT / "chapters/exercises/answers/ensembles.py"))["MARKING"]
    assert {name: sum(points for points, _ in guide["points"]) for name, guide in marking.items()} == {
        "ten_at_once": sheet.SHEET.manual["ten_at_once"]
    }
    assert 100 < len(marking["ten_at_once"]["model"].split()) < 220
