"""What the chapters on ZFNet and Network in Network say, asked again of the stored run and the real weights."""

import pytest
import torch
from torch.nn import functional as F

import cnnlib
from cnnlib import datasets, probe, runs


def test_the_mean_has_the_smallest_gap_and_dropout_the_best_accuracy():
    sides = {
        name: [run["rows"][-1] for run in kept] for name, kept in runs.sides(runs.load("nin-heads")).items()
    }
    gaps = {k: sum(r["train_acc"] - r["valid_acc"] for r in rows) / len(rows) for k, rows in sides.items()}
    assert gaps["global mean"] + 0.1 < min(gaps["connected"], gaps["connected, dropout"])
    assert all(r["train_acc"] == 1 for r in sides["connected"])
    assert all(r["train_acc"] < 0.9 for r in sides["global mean"])
    words = [c.word for c in runs.verdict("nin-heads")]
    assert words == ["no difference shown", "worse", "better"]


@pytest.fixture(scope="module")
def trained():
    return cnnlib.build("squeezenet1_1", weights="bundled").eval()


def test_trained_filters_look_for_what_a_step_of_four_cannot_carry(trained):
    photos = torch.stack([datasets.photo(name)[:, 16:272, 16:272] / 255 for name in datasets.PHOTOS])
    photos = photos - photos.mean((0, 2, 3), keepdim=True)
    maps = F.conv2d(photos, trained.features[0].weight.detach())
    pixels, two, four = (probe.aliased_share(x, s).median().item() for x, s in ((photos, 4), (maps, 2), (maps, 4)))
    assert pixels < 0.15 < two and 3 * two < four + 0.05 and four > 0.5


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


def test_zfnets_start_loses_on_small_images():
    (comparison,) = runs.verdict("zfnet-start")
    assert comparison.word == "worse" and -4 < comparison.difference < -2
