"""What the chapters on VGG and GoogLeNet say of stored runs is what the runs say."""

from pathlib import Path
from statistics import median

import pytest
import torch

import cnnlib
from cnnlib import datasets, runs
from cnnlib.training.evaluation import seeded

ROOT = Path(__file__).resolve().parents[2]


def last(name):
    """Test accuracies in per cent after the last epoch: side -> one a seed."""
    return {
        side: [100 * run["rows"][-1]["valid_acc"] for run in kept]
        for side, kept in runs.sides(runs.load(name)).items()
    }


WINDOWS = "vgg-one-7x7-vs-three-3x3"
BOTH = pytest.mark.parametrize("second", [False, True], ids=["first seeds", "other seeds"])


@BOTH
def test_three_small_windows_learned_less_than_one_large_one(second):
    """The headline of the chapter holds in both makings, on the training images too."""
    found = next(c for c in runs.verdict(WINDOWS, second) if (c.a, c.b) == ("three 3x3", "one 7x7"))
    assert (found.word, found.failed, len(found.differences)) == ("worse", (0, 0), 10)
    assert found.difference == pytest.approx(-3.17 if second else -2.73, abs=0.005)
    assert (round(found.low, 1), round(found.high, 1)) == ((-4.6, -1.8) if second else (-5.4, -0.4))
    taught = {
        side: sum(run["rows"][-1]["train_acc"] for run in kept) / len(kept)
        for side, kept in runs.sides(runs.load(WINDOWS, second)).items()
    }
    assert taught["three 3x3"] < taught["one 7x7"] - 0.03


def test_about_one_relu_nothing_is_shown():
    """No word on the third side is the same in both makings; in the first, three of its ten runs failed."""
    words = [[c.word for c in runs.verdict(WINDOWS, second)[1:]] for second in (False, True)]
    assert all(one != other for one, other in zip(*words, strict=True))
    failed = [runs.load(WINDOWS, second)["failed"] for second in (False, True)]
    assert [run["net"] for run in failed[0]] == 3 * ["three 3x3, one ReLU"] and failed[1] == []


def test_the_page_says_what_is_weak_about_the_headline():
    """One seed of ten carries the first making and none the second; only the large window could use a rate of 0.1."""
    pair = "the verdict on three 3x3 and one 7x7 is another"
    alone = [[w.text for w in runs.check(WINDOWS, second) if pair in w.text] for second in (False, True)]
    assert [len(texts) for texts in alone] == [1, 0]
    for second in (False, True):
        stored = runs.load(WINDOWS, second)
        assert (
            stored["rates"]["one 7x7"]
            == 0.1
            > max(stored["rates"][side] for side in ("three 3x3", "three 3x3, one ReLU"))
        )
        for side in ("three 3x3", "three 3x3, one ReLU"):
            tried = [t["value"] for t in stored["search"] if (t["net"], t["peak"]) == (side, 0.1)]
            assert min(value or 0 for value in tried) < 15


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_depth_is_paid_for_in_training_memory_and_not_in_prediction(layers):
    """A stack holds three maps at once at any depth; training keeps one a layer."""
    convs = [torch.nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(layers)]
    cost, one_map = cnnlib.trace(torch.nn.Sequential(*convs), (8, 16, 16)), 4 * 8 * 16 * 16
    assert (cost.memory, cost.training_memory) == (3 * one_map, layers * one_map)


@BOTH
def test_plain_19_layers_do_worse_than_11_and_already_on_their_training_images(second):
    verdicts = {(c.a, c.b): c.word for c in runs.verdict("vgg-depth", second)}
    assert verdicts["vgg19", "vgg11"] == "worse"
    assert verdicts["vgg19 + BN", "vgg11 + BN"] == "no difference shown"
    assert verdicts["vgg11 + BN", "vgg11"] == verdicts["vgg19 + BN", "vgg19"] == "better"
    taught = {
        side: median(run["rows"][-1]["train_acc"] for run in kept)
        for side, kept in runs.sides(runs.load("vgg-depth", second)).items()
    }
    assert taught["vgg19"] < taught["vgg11"] - 0.04


@BOTH
def test_with_batch_normalisation_windows_show_no_difference_but_one_relu_does(second):
    found = {(c.a, c.b): c for c in runs.verdict("vgg-7x7-vs-3x3-normalised", second)}
    verdicts = {pair: c.word for pair, c in found.items()}
    assert verdicts["three 3x3", "one 7x7"] == "no difference shown"
    assert round(found["three 3x3", "one 7x7"].difference, 1) == (-1.2 if second else -0.7)
    assert verdicts["three 3x3, one ReLU", "one 7x7"] == "worse"
    assert runs.load("vgg-7x7-vs-3x3-normalised", second)["failed"] == []


@BOTH
def test_features_from_clothes_beat_pixels_but_not_random_features(second):
    verdicts = {(c.a, c.b): c.word for c in runs.verdict("vgg-transfer", second)}
    assert verdicts["clothes features", "pixels"] == "better"
    assert verdicts["clothes features", "random features"] == "no difference shown"


def test_no_layer_is_dead_at_19_layers_but_the_signal_is_small():
    """Fresh networks: units of the last map that answer no image, and how large the map is."""
    shirts, silent, size = datasets.fashion_mnist()[1].x[:64], {}, {}
    for side in ("vgg11", "vgg19", "vgg19 + BN"):
        for seed in range(10):
            with seeded(seed), torch.no_grad():
                net = runs.EXPERIMENTS["vgg-depth"].sides[side].build()
                last_map = net.features(net.frame(shirts))
            silent.setdefault(side, []).append(float((last_map.amax(0) == 0).float().mean()))
            size.setdefault(side, []).append(float(last_map.square().mean().sqrt()))
    middle = {side: sorted(found)[5] for side, found in size.items()}
    assert max(silent["vgg19"]) <= 0.15 and max(silent["vgg11"]) <= 0.15
    assert 5 * middle["vgg19"] < middle["vgg11"] < middle["vgg19 + BN"]


def test_the_naive_module_with_all_filters_is_behind_and_costs_more():
    accuracy, sides = last("googlenet-reduction"), runs.load("googlenet-reduction")["sides"]
    assert min(accuracy["reduced"]) > max(accuracy["naive, as wide"])
    ratio = sides["naive, as wide"]["budget_macs"] / sides["reduced"]["budget_macs"]
    assert round(ratio, 1) == 4.7
    assert round(sides["1x1, not reduced"]["budget_macs"] / sides["naive, as wide"]["budget_macs"], 2) == 1
    assert min(accuracy["1x1, not reduced"]) > max(accuracy["naive, as wide"])
    taught = runs.sides(runs.load("googlenet-reduction"))
    assert min(r["rows"][-1]["train_acc"] for r in taught["reduced"]) > max(
        r["rows"][-1]["train_acc"] for r in taught["naive, as wide"]
    )


def test_the_added_layer_helps_and_what_it_drops_is_not_missed():
    *_, layer, narrowing = runs.verdict("googlenet-reduction")
    assert (layer.a, layer.b, layer.word) == ("1x1, not reduced", "naive, as wide", "better")
    assert layer.difference > 3
    assert (narrowing.a, narrowing.b, narrowing.word) == (
        "reduced",
        "1x1, not reduced",
        "no difference shown",
    )
    assert narrowing.low > -1.5 and narrowing.high < 1.5
