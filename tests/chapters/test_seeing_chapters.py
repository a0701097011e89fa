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


def test_after_sixty_epochs_the_mean_is_the_slowest():
    sides = runs.sides(runs.load("nin-heads"))
    early = {
        side: [next(row["train_acc"] for row in run["rows"] if row["epoch"] == 60) for run in made]
        for side, made in sides.items()
    }
    mean = {side: sum(values) / len(values) for side, values in early.items()}
    assert mean["global mean"] < min(mean["connected"], mean["connected, dropout"]) - 0.05


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
