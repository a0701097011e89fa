"""What the chapters on VGG and GoogLeNet say of stored runs is what the runs say."""

import pytest
import torch

from cnnlib import datasets, runs
from cnnlib.training.evaluation import seeded


def last(name):
    """Test accuracies in per cent after the last epoch: side -> one a seed."""
    return {
        side: [100 * run["rows"][-1]["valid_acc"] for run in kept]
        for side, kept in runs.sides(runs.load(name)).items()
    }


def test_one_run_of_three_small_windows_stayed_at_chance():
    accuracy = last("vgg-one-7x7-vs-three-3x3")
    assert sorted(accuracy["three 3x3"])[0] == pytest.approx(10) and sorted(accuracy["three 3x3"])[1] > 60
    assert min(accuracy["one 7x7"] + accuracy["three 3x3, one ReLU"]) > 70


def test_plain_depth_breaks_training_at_19_layers_and_normalisation_does_not_let_it():
    rows = runs.sides(runs.load("vgg-depth"))
    taught = {side: [run["rows"][-1]["train_acc"] for run in kept] for side, kept in rows.items()}
    assert min(taught["vgg19"]) < 0.15 and max(taught["vgg19"]) < min(taught["vgg11"])
    assert min(min(taught[f"vgg{d} + BN"]) for d in (11, 13, 16, 19)) > 0.8


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
    ended = [end for _, end in sorted(zip(size["vgg19"][:5], last("vgg-depth")["vgg19"], strict=True))]
    assert max(ended[:3]) < min(ended[3:])


def test_no_side_of_the_probe_wanted_a_higher_rate():
    stored = runs.load("vgg-transfer")
    assert max(stored["rates"].values()) < max(stored["recipe"]["peaks"])


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
    assert narrowing.low > -1 and narrowing.high < 1
