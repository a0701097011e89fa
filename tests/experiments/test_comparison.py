"""Verdicts: paired by seed, with an interval that allows for other seeds and other test images, in plain words."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnnlib.experiments import comparison, experiment
from cnnlib.experiments.record import bits, booleans


def side(differences, start=50.0):
    """Runs whose last accuracies are ``start`` plus the differences, in per cent."""
    return [
        {"net": "x", "seed": i, "rows": [{"valid_acc": (start + d) / 100}]} for i, d in enumerate(differences)
    ]


def test_verdicts_are_in_words():
    flat, up = side([0] * 5), side([2.0, 2.5, 1.8, 2.2, 2.1])
    assert comparison.compare(up, flat).word == "better" and comparison.compare(flat, up).word == "worse"
    unsure = comparison.compare(side([2, -2, 1, -1, 0.5]), flat)
    assert unsure.word == "no difference shown" and "could not have been shown" in str(unsure)
    assert comparison.compare(up, flat).difference == pytest.approx(2.12)
    with pytest.raises(ValueError, match="share 4 seeds"):
        comparison.compare(up[:4], flat)


@given(st.lists(st.floats(-5, 5), min_size=5, max_size=7, unique=True), st.floats(-4, 4))
@settings(max_examples=40, deadline=None)
def test_a_difference_is_shown_if_it_is_larger_than_the_smallest_that_could_be(differences, shift):
    found = comparison.compare(side([d + shift for d in differences]), side([0] * len(differences)))
    assume(min(abs(found.low), abs(found.high)) > 1e-9)  # an end on zero itself is a matter of rounding
    assert (found.word != "no difference shown") == (abs(found.difference) > found.resolution)


def test_a_lopsided_interval_says_what_it_could_have_shown():
    """Four seeds level and one broken: the interval reaches far to one side, away from zero."""
    broken = comparison.compare(side([-1.0, -1.2, -0.9, -1.1, -70.0]), side([0] * 5))
    assert broken.word == "worse" and broken.resolution < -broken.difference < (broken.high - broken.low) / 2


def test_pairing_is_by_seed_not_by_place():
    flat = side([0, 10, 20, 30, 40])
    better = list(reversed(side([1, 11, 21, 31, 41])))
    assert (
        comparison.compare(better, flat).difference == pytest.approx(1)
        and comparison.compare(better, flat).word == "better"
    )


def test_the_interval_covers_as_often_as_it_says():
    """A thousand times five draws around a known mean: the 95 % interval holds it 90 to 97 times in 100."""
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        low, high = comparison.interval(draw.normal(1, 2, 5))
        held += low <= 1 <= high
    assert 0.89 < held / 300 < 0.98


def test_epochs_to_25_reads_between_the_epochs():
    rows = [{"train_acc": a} for a in (0.5, 0.7, 0.8)]
    assert experiment.EPOCHS_TO_25.value(rows) == pytest.approx(2.5)
    assert (
        experiment.EPOCHS_TO_25.value(rows[:2]) == 2
        and experiment.EPOCHS_TO_25.value([{"train_acc": 0.9}]) == 1
    )


def test_answers_by_image_survive_being_written():
    right = torch.rand(1000, generator=torch.Generator().manual_seed(0)) < 0.8
    assert (booleans(bits(right)) == right.numpy()).all() and len(bits(right)) < 170


def answering(share, seeds=6, images=400, start=0):
    """Runs that get this share of the images right, others for each seed."""
    draw = torch.Generator().manual_seed(start)
    answers = [torch.rand(images, generator=draw) < share for _ in range(seeds)]
    return [
        {"net": "x", "seed": i, "rows": [{"valid_acc": a.float().mean().item()}], "right": bits(a)}
        for i, a in enumerate(answers)
    ]


def test_few_test_images_widen_the_interval():
    """The same accuracies: known to come from 400 images they say less than if they came from all there are."""
    a, b = answering(0.8), answering(0.75, start=1)
    bare = [[{k: v for k, v in run.items() if k != "right"} for run in side] for side in (a, b)]
    wide, narrow = comparison.compare(a, b), comparison.compare(*bare)
    assert wide.difference == pytest.approx(narrow.difference) and (wide.images, narrow.images) == (400, 0)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert "6 seeds, 400 images" in str(wide) and "(6 seeds)" in str(narrow)


def test_with_image_errors_the_interval_still_covers():
    """Two networks that are equally good on all images there could be, judged on 200 of them drawn at random."""
    draw, held = np.random.default_rng(5), 0
    for _ in range(60):
        easy = draw.random(200)  # how likely a run is to get each image right, the same for both sides

        def made(easy=easy):
            found = [torch.from_numpy(draw.random(200) < easy) for _ in range(6)]
            return [
                {"net": "x", "seed": i, "rows": [{"valid_acc": a.double().mean().item()}], "right": bits(a)}
                for i, a in enumerate(found)
            ]

        found = comparison.compare(made(), made())
        held += found.low <= 0 <= found.high
    assert held >= 54


def failing(differences, failed):
    runs = side(differences)
    for seed in failed:
        runs[seed]["failed"] = "at chance"
        runs[seed]["rows"] = [{"valid_acc": 0.1}]
    return runs


def test_one_collapsed_seed_does_not_decide():
    """Nine seeds two points up and one collapsed: the mean says worse, the median and its interval say better."""
    up = [2.0, 2.2, 1.9, 2.1, 2.4, 1.8, 2.3, 2.05, 1.95, 2.0]
    found = comparison.compare(failing(up, [3]), side([0.1 * (i % 3) for i in range(10)]))
    assert found.word == "better" and found.failed == (1, 0) and 1.5 < found.difference < 2.5
    assert np.mean(found.differences) < 0
    assert "trained at all: 9 of 10 against 10 of 10" in str(found) and "median" in str(found)


def test_a_run_that_diverged_counts_as_the_worst():
    runs = side([0] * 10)
    runs[4] |= {"rows": [], "failed": "diverged"}
    assert comparison.compare(runs, side([0] * 10)).differences[4] == -50


def test_the_interval_of_a_median_stands_between_sorted_values():
    assert comparison.median_interval(range(10)) == (1, 8)  # 97.9 % of the time, by the binomial distribution
    assert comparison.median_interval(range(5)) == (float("-inf"), float("inf"))
    assert comparison.median_interval(range(6)) == (0, 5)


def test_a_verdict_names_its_budget_and_what_else_differs():
    found = comparison.compare(
        side([2.0, 2.5, 1.8, 2.2, 2.1]), side([0] * 5), epochs=8, differ=("kernel", "width")
    )
    assert str(found).startswith("the side with x is better than the side with x within 8 epochs; ")
    unsure = comparison.compare(side([2, -2, 1, -1, 0.5]), side([0] * 5))
    assert f"less than {unsure.resolution:.2f} could not have been shown" in str(unsure)
