"""Averages of logits against the definitions written out; views of an image against slices; what is kept."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnlib.experiments import record as kept
from cnnlib.images.datasets import Images
from cnnlib.training import calibration, ensemble


@pytest.fixture
def logits():
    return torch.randn(5, 40, 7, generator=torch.Generator().manual_seed(0)) * 3


def test_mean_probabilities_is_the_mean_of_softmax(logits):
    by_hand = torch.stack([a.exp() / a.exp().sum(1, keepdim=True) for a in logits.double()]).mean(0)
    assert torch.allclose(ensemble.mean_probabilities(logits).double().exp(), by_hand, atol=1e-6)


def test_mean_logits_is_the_geometric_mean_made_to_sum_to_one(logits):
    product = logits.double().softmax(2).prod(0) ** (1 / 5)
    by_hand = product / product.sum(1, keepdim=True)
    assert torch.allclose(ensemble.mean_logits(logits).double().exp(), by_hand, atol=1e-6)


def test_the_two_averages_can_choose_differently():
    """One network is certain, two lean the other way: certainty counts without bound among logits."""
    logits = torch.tensor([[[12.0, 0.0]], [[0.0, 2.0]], [[0.0, 2.0]]])
    assert ensemble.mean_logits(logits).argmax(1).item() == 0
    assert ensemble.mean_probabilities(logits).argmax(1).item() == 1


def test_one_answer_is_its_own_average(logits):
    for average in (ensemble.mean_probabilities, ensemble.mean_logits):
        assert torch.allclose(average(logits[:1]), logits[0].log_softmax(1), atol=1e-6)


def test_an_average_is_never_more_surprised_than_its_members_are_on_average(logits):
    """Jensen's inequality, for both means."""
    y = torch.arange(40) % 7
    members = sum(calibration.nll(a, y) for a in logits) / 5
    assert calibration.nll(ensemble.mean_probabilities(logits), y) < members
    assert calibration.nll(ensemble.mean_logits(logits), y) < members


def test_disagreement_counts_pairs():
    classes = torch.tensor(
        [[0, 1, 2, 0], [0, 1, 2, 1], [0, 2, 2, 1]]
    )  # pairs differ on 1, 2 and 1 images of 4
    logits = nn.functional.one_hot(classes, 3).float()
    assert ensemble.disagreement(logits) == pytest.approx((1 + 2 + 1) / 3 / 4)
    with pytest.raises(ValueError, match="two or more to disagree"):
        ensemble.disagreement(logits[:1])


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"need \(M, N, C\)"):
        ensemble.mean_logits(torch.zeros(4, 10))
    with pytest.raises(ValueError, match="at least 1"):
        ensemble.mean_probabilities(torch.zeros(0, 4, 10))


# ---- views ----


def test_shifts_are_windows_of_the_bordered_image():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    views = ensemble.shifts(1, 1)
    bordered = torch.zeros(1, 1, 6, 6)
    bordered[:, :, 1:5, 1:5] = x
    windows = [bordered[:, :, i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    seen = [view(x) for view in views]
    assert len(seen) == 18
    for window, plain, mirrored in zip(windows, seen[:9], seen[9:], strict=True):
        assert torch.equal(plain, window) and torch.equal(mirrored, window.flip(3))
    with pytest.raises(ValueError, match="multiple of step"):
        ensemble.shifts(2, 3)


def test_ten_crops_are_ten_and_hold_the_image():
    x = torch.rand(2, 1, 6, 6)
    seen = [view(x) for view in ensemble.ten_crops(2)]
    assert len(seen) == 10 and torch.equal(seen[0], x) and torch.equal(seen[1], x.flip(3))
    assert len({tuple(s.flatten().tolist()) for s in seen}) == 10


def test_a_network_that_ignores_place_gives_mirrored_views_one_answer():
    images = Images(torch.rand(6, 1, 8, 8), torch.zeros(6, dtype=torch.int64), ("a", "b"))
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    seen = ensemble.predict_views(net, images, ensemble.mirrored())
    assert seen.shape == (2, 6, 2) and torch.allclose(seen[0], seen[1], atol=1e-6)
    assert ensemble.predict_views(net, images, ensemble.sizes(4, 8, 12)).shape == (3, 6, 2)
    alone = ensemble.average_views(net, images, ensemble.sizes(8))
    assert torch.allclose(alone, seen[0].log_softmax(1), atol=1e-6)


# ---- calibration ----


def test_bins_against_a_loop(logits):
    y = torch.arange(40) % 7
    found = calibration.confidence_bins(logits[0], y, 5)
    p, said = logits[0].softmax(1).max(1)
    for one in found:
        held = [i for i in range(40) if one.low < p[i] <= one.high]
        assert one.share == pytest.approx(len(held) / 40)
        assert one.confidence == pytest.approx(sum(p[i].item() for i in held) / len(held), abs=1e-5)
        assert one.accuracy == pytest.approx(sum(said[i] == y[i] for i in held).item() / len(held))
    assert sum(one.share for one in found) == pytest.approx(1)


def test_an_honest_coin_is_calibrated_and_a_boaster_is_not():
    y = torch.tensor([0, 0, 0, 1])
    honest = torch.tensor([0.75, 0.25]).log().expand(4, 2)
    sure = torch.tensor([0.999, 0.001]).log().expand(4, 2)
    assert calibration.expected_calibration_error(calibration.confidence_bins(honest, y)) == pytest.approx(
        0, abs=1e-6
    )
    found = calibration.confidence_bins(sure, y)
    assert calibration.expected_calibration_error(found) == pytest.approx(0.249, abs=1e-4)
    assert calibration.overconfidence(found) == pytest.approx(0.249, abs=1e-4)
    with pytest.raises(ValueError, match=r"need \(N, C\) and \(N,\)"):
        calibration.confidence_bins(honest, y[:3])


def test_surprise_is_cross_entropy(logits):
    y = torch.arange(40) % 7
    assert calibration.nll(logits[0], y) == pytest.approx(
        nn.functional.cross_entropy(logits[0], y).item(), abs=1e-6
    )


# ---- kept ----


def test_what_is_kept_gives_nearly_the_same_probabilities():
    logits = torch.randn(2000, 10, generator=torch.Generator().manual_seed(1)) * 4
    back = kept.decoded(kept.coded(logits))
    assert back.max(1).values.eq(0).all()
    assert (back.softmax(1) - logits.softmax(1)).abs().max() < 0.02
    assert (back.argmax(1) == logits.argmax(1)).float().mean() > 0.99


def test_runs_are_stored_and_come_back(tmp_path):
    logits = [torch.randn(30, 4) for _ in range(3)]
    runs = [{"net": "a", "seed": i, "answers": {"plain": kept.packed(x)}} for i, x in enumerate(logits)]
    kept.store_answers(tmp_path / "x.npz", runs, 4)
    assert runs == [{"net": "a", "seed": i} for i in range(3)]
    back = kept.load_answers(tmp_path / "x.npz")
    assert list(back) == ["a/plain"] and back["a/plain"].shape == (3, 30, 4)
    again = torch.stack([kept.decoded(kept.coded(x)) for x in logits])
    assert torch.equal(back["a/plain"], again) and back["a/plain"].dtype == torch.float32
    assert np.load(tmp_path / "x.npz")["a/plain"].dtype == np.uint8
    assert not list(tmp_path.glob("*.part"))
