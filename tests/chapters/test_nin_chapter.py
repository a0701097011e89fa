"""What the chapter on Network in Network says, asked again of the stored run and the real weights."""

import pytest
import torch

import cnnlib
from cnnlib import datasets, probe, runs


def test_with_time_every_head_learns_by_heart_and_the_mean_is_never_better():
    for second in (False, True):
        sides = runs.sides(runs.load("nin-heads", second))
        for side, made in sides.items():
            assert sum(run["rows"][-1]["train_acc"] > 0.98 for run in made) > len(made) / 2, side
    words = [[c.word for c in runs.verdict("nin-heads", second)] for second in (False, True)]
    assert words == [["no difference shown"] * 3, ["worse", "worse", "no difference shown"]]


def accuracies(second, epoch):
    """Side -> mean accuracy on training and on test images, in per cent."""
    rows = {
        side: [next(row for row in run["rows"] if row["epoch"] == epoch) for run in made]
        for side, made in runs.sides(runs.load("nin-heads", second)).items()
    }
    return {
        side: [100 * sum(row[what] for row in at) / len(at) for what in ("train_acc", "valid_acc")]
        for side, at in rows.items()
    }


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
def test_the_smallest_gap_is_the_means_at_epoch_60_and_not_at_the_end(second):
    early, late = accuracies(second, 60), accuracies(second, 300)
    said = {False: (50, 99), True: (62, 97)}[second]
    assert (round(early["global mean"][0]), round(early["connected"][0])) == said
    gaps = [{side: seen - new for side, (seen, new) in at.items()} for at in (early, late)]
    assert min(gaps[0], key=gaps[0].get) == "global mean" != min(gaps[1], key=gaps[1].get)


def test_no_word_on_perceptrons_holds_twice():
    words = [runs.verdict("nin-mlpconv", second)[0].word for second in (False, True)]
    assert words == ["worse", "no difference shown"]


@pytest.fixture(scope="module")
def trained():
    return cnnlib.build("squeezenet1_1", weights="bundled").eval()


def test_class_map_and_occlusion_find_the_coffee(trained):
    weights = cnnlib.models.find_weights("squeezenet1_1", "bundled")
    coffee = weights.transform(datasets.photo("coffee"))
    maps = probe.class_maps(trained, coffee[None])
    label = int(maps.mean((2, 3)).argmax())
    assert weights.classes[label] == "espresso"
    row, col = divmod(int(maps[0, label].argmax()), 13)
    assert 4 <= row <= 8 and 4 <= col <= 9  # inside the cup
    on_the_coffee, on_the_table = coffee.clone(), coffee.clone()
    on_the_coffee[:, 66:114, 88:136] = 0
    on_the_table[:, 176:, :48] = 0
    with torch.no_grad():
        chances = trained(torch.stack([on_the_coffee, on_the_table])).softmax(1)[:, label]
    assert chances[0] < chances[1] - 0.1
