"""What the chapter on ResNet says of its stored run is what the run says."""

from statistics import mean

import torch
from torch import nn

import cnnlib
from cnnlib import datasets, runs
from cnnlib.insight import gradients
from cnnlib.models import ablation, layers, resnet
from cnnlib.training.evaluation import seeded

NAME = "resnet-degradation"


def last(which):
    """Errors in per cent in the last epoch: side -> one a seed."""
    return {
        side: [100 * (1 - run["rows"][-1][which]) for run in kept]
        for side, kept in runs.sides(runs.load(NAME)).items()
    }


def test_deeper_is_worse_on_training_and_test_images_and_only_without_shortcuts():
    for which in ("train_acc", "valid_acc"):
        error = last(which)
        assert min(error["plain 56"]) > max(error["plain 20"])
        assert max(error["residual 56"]) < min(error["plain 20"])
        assert abs(mean(error["residual 56"]) - mean(error["residual 20"])) < 5


def test_the_deep_plain_network_is_behind_in_every_pass_but_the_first():
    curves = {
        side: [[1 - row["train_acc"] for row in run["rows"]] for run in kept]
        for side, kept in runs.sides(runs.load(NAME)).items()
    }
    for shallow, deep in zip(curves["plain 20"], curves["plain 56"], strict=True):
        assert all(d > s for s, d in zip(shallow[1:], deep[1:], strict=True))


def test_the_residual_networks_overfit_and_the_deep_plain_one_does_not():
    train, test = last("train_acc"), last("valid_acc")
    gap = {side: mean(test[side]) - mean(train[side]) for side in train}
    assert gap["plain 56"] < 2 and gap["residual 20"] > 10 and gap["residual 56"] > 10


def test_without_normalisation_most_of_56_layers_stay_at_chance_and_20_are_behind():
    error = last("train_acc")
    assert sum(e > 88 for e in error["plain 56, no BN"]) == 4
    assert min(error["plain 20, no BN"]) > max(error["plain 20"])


def test_an_exit_half_way_brings_gradient_only_where_nothing_is_normalised():
    """By the package's own loss of heads, on images that the page does not take."""
    images, _ = datasets.fashion_14()
    x, y = images.x[1000:1128], images.y[1000:1128]

    def first_pull(net, weight):
        half = []
        net.layer2.register_forward_hook(lambda module, args, out: half.append(out))
        with seeded(7):
            read = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
        told = gradients.weight_gradients(
            net, x, y, lambda logits, y: layers.auxiliary_loss((logits, read(half[-1])), y, weight)
        )
        return told["conv1"].norm().item()

    for seed in range(3, 6):
        with seeded(seed):
            net = cnnlib.build("plain56_w8")
        bare = ablation.without_norm(net)
        assert first_pull(net, 0.3) < 1.1 * first_pull(net, 0.0)
        assert first_pull(bare, 0.3) > 2 * first_pull(bare, 0.0)


def test_blocks_whose_last_scale_is_zero_change_nothing_and_the_others_do():
    torch.manual_seed(0)
    block = resnet.residual(resnet.basic)(8, 8, 1).eval()
    x = torch.rand(2, 8, 6, 6)
    assert not torch.allclose(block(x), x, atol=1e-2)
    nn.init.zeros_(block.bn2.weight)
    assert torch.equal(block(x), x)


SHORTCUTS = "resnet-shortcuts"


def test_the_three_shortcuts_compare_as_the_page_says():
    """Differences of accuracy by seed, by hand from the stored rows; and each side spent the same arithmetic."""
    stored = runs.load(SHORTCUTS)
    right = {
        side: {run["seed"]: 100 * run["rows"][-1]["valid_acc"] for run in kept}
        for side, kept in runs.sides(stored).items()
    }
    said = runs.verdict(SHORTCUTS)
    assert [(c.a, c.b) for c in said] == [("B", "A"), ("C", "B"), ("C", "A")]
    assert [c.word for c in said] == ["no difference shown", "better", "better"]
    for c in said:
        gaps = [right[c.a][seed] - right[c.b][seed] for seed in range(5)]
        assert abs(mean(gaps) - c.difference) < 1e-9 and min(gaps) <= c.low <= c.high <= max(gaps)
    budgets = [side["budget_macs"] for side in stored["sides"].values()]
    assert max(budgets) < 1.05 * min(budgets)
