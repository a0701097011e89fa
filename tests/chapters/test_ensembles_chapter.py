"""What the chapter on ensembles says, asked again of the stored answers."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cnnlib import datasets, runs
from cnnlib.training import calibration, ensemble

Y = datasets.fashion_mnist()[1].y


@pytest.fixture(scope="module")
def answers():
    return runs.answers("ensembles-members")


def test_the_answers_are_those_of_the_stored_runs(answers):
    """Accuracies of the rows, within what keeping a logit on a grid may move."""
    for name in ("ensembles-members", "ensembles-views"):
        kept = runs.answers(name)
        for side, stored in runs.sides(runs.load(name)).items():
            view = "plain" if name == "ensembles-members" else "once"
            for run in stored:
                right = (kept[f"{side}/{view}"][run["seed"]].argmax(1) == Y).float().mean().item()
                assert right == pytest.approx(run["rows"][-1]["valid_acc"], abs=0.006)


def test_there_are_fifteen_of_each_kind(answers):
    assert {k: tuple(v.shape) for k, v in answers.items()} == {
        f"{kind}/plain": (15, 1000, 10) for kind in ("VGG", "GoogLeNet", "ResNet")
    }


def test_both_laws_hold_for_every_team(answers):
    """Jensen for the surprise of either mean; Krogh and Vedelsby's equation for squared error."""
    target = F.one_hot(Y, 10)
    for pool in answers.values():
        for g in range(5):
            team = pool[3 * g : 3 * g + 3].double()
            members = np.mean([calibration.nll(z, Y) for z in team])
            for mean in (ensemble.mean_probabilities, ensemble.mean_logits):
                assert calibration.nll(mean(team), Y) <= members
            p = team.softmax(2)
            ambiguity = ((p - p.mean(0)) ** 2).sum(2).mean()
            of_mean, of_members = ((p.mean(0) - target) ** 2).sum(1).mean(), ((p - target) ** 2).sum(2).mean()
            assert torch.isclose(of_mean, of_members - ambiguity)


def test_m_members_save_what_the_formula_says(answers):
    """Exact for the mean over all teams: here over all pairs, and over all triples of six."""
    target = F.one_hot(Y, 10)
    for pool in answers.values():
        p = pool[:6].double().softmax(2)
        error = [((q - target) ** 2).sum(1).mean().item() for q in p]
        pairs = list(itertools.combinations(range(6), 2))
        d = np.mean([((p[a] - p[b]) ** 2).sum(1).mean().item() for a, b in pairs])
        for m in (2, 3, 6):
            teams = [p[list(team)].mean(0) for team in itertools.combinations(range(6), m)]
            mean = np.mean([((q - target) ** 2).sum(1).mean().item() for q in teams])
            assert mean == pytest.approx(np.mean(error) - (1 - 1 / m) * d / 2)


def test_a_second_network_wins_accuracy_in_every_kind(answers):
    for pool in answers.values():
        won = [
            ((ensemble.mean_probabilities(team).argmax(1) == Y).double().mean() - (team.argmax(2) == Y).double().mean())
            for team in pool[:14].split(2)
        ]
        assert 0.005 < np.mean(won) < 0.02


def test_a_calibrated_network_s_error_by_chance_holds_the_averages_and_few_members(answers):
    """The range of the page, from draws of another generator."""
    draw = np.random.default_rng(0)

    def ece(sure, right, count=15):
        place = np.ceil(sure * count).astype(int) - 1
        return sum(abs((sure - right)[place == k].sum()) for k in range(count)) / len(sure)

    pool = answers["VGG/plain"]
    outside = []
    for log_p in (*pool, *(ensemble.mean_probabilities(pool[a : a + 5]) for a in (0, 5, 10))):
        sure, said = (x.numpy() for x in log_p.double().softmax(1).max(1))
        chance = [ece(sure, draw.random(len(sure)) < sure) for _ in range(300)]
        assert 0.012 < np.quantile(chance, 0.025) < 0.018 and 0.034 < np.quantile(chance, 0.975) < 0.043
        outside.append(ece(sure, said == Y.numpy()) > np.quantile(chance, 0.975))
    assert sum(outside[:15]) >= 10 and not any(outside[15:])


def test_fifteen_are_better_than_one_and_less_sure(answers):
    for pool in answers.values():
        alone = (pool.argmax(2) == Y).float().mean()
        average = ensemble.mean_probabilities(pool)
        assert (average.argmax(1) == Y).float().mean() > alone
        assert average.exp().max(1).values.mean() < pool.softmax(2).max(2).values.mean()


def test_views_that_training_never_showed_do_harm():
    kept = runs.answers("ensembles-views")
    right = {k: 100 * (v.argmax(2) == Y).float().mean(1) for k, v in kept.items()}
    lost = right["as they are/once"] - right["as they are/ten crops"]
    assert lost.min() > 5
    gained = right["flipped and shifted/ten crops"] - right["flipped and shifted/once"]
    assert abs(gained.mean()) < 1
    assert (right["flipped and shifted/once"] - right["flipped and shifted/three sizes"]).mean() > 2


def test_a_divided_vote_is_a_warning(answers):
    """For every kind, as the page says of one: the fewer agree, the fewer are right, and the more averaging wins."""
    for pool in answers.values():
        ballots = pool.argmax(2)
        most = F.one_hot(ballots, 10).sum(0).max(1).values
        average = (ensemble.mean_probabilities(pool).argmax(1) == Y).float()
        one = (ballots == Y).float().mean(0)
        parts = [most == 15, (most < 15) & (most > 9), most < 10]
        right = [average[part].mean().item() for part in parts]
        won = [(average - one)[part].mean().item() for part in parts]
        assert right[0] > 0.9 and right == sorted(right, reverse=True) and right[2] < 0.6
        assert won[0] == pytest.approx(0) and won[2] == max(won)


def test_errors_that_no_member_mends_and_errors_that_one_could(answers):
    pool = answers["VGG/plain"]
    lost = ensemble.mean_probabilities(pool).argmax(1) != Y
    nobody = (pool.argmax(2) != Y).all(0)
    assert (int(lost.sum()), int((lost & nobody).sum())) == (183, 78)


def test_the_first_exercise_is_worked_right():
    p = torch.tensor([0.9, 0.5, 0.01], dtype=torch.float64)
    z = torch.stack([p, 1 - p], 1).log()[:, None]
    first = torch.tensor([0])
    both = [calibration.nll(m(z), first) for m in (ensemble.mean_probabilities, ensemble.mean_logits)]
    members = np.mean([calibration.nll(one, first) for one in z])
    assert both == [pytest.approx(0.755, abs=1e-3), pytest.approx(1.17, abs=5e-3)]
    assert members == pytest.approx(1.80, abs=5e-3) and max(both) < members


def test_files_are_small():
    from importlib import resources
    from pathlib import Path

    for name in ("ensembles-members", "ensembles-views"):
        assert Path(str(resources.files("cnnlib_data")), "runs", f"{name}.npz").stat().st_size < 350_000
