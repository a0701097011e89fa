"""What the chapter on ResNet says of its stored runs is what the runs say; and its networks by other means."""

from statistics import mean

import pytest
import torch
from torch import nn

from cnnlib import runs
from cnnlib.models import resnet

NAME = "resnet-degradation"
MAKINGS = [False]  # of the degradation; both shortcuts' makings are told below


def errors(which, second):
    """Errors in per cent after each pass: side -> one list a seed."""
    return {
        side: [[100 * (1 - row[which]) for row in run["rows"]] for run in kept]
        for side, kept in runs.sides(runs.load(NAME, second)).items()
    }


def last(which, second):
    """Mean error in the last pass by side."""
    return {side: mean(curve[-1] for curve in curves) for side, curves in errors(which, second).items()}


@pytest.mark.parametrize("second", MAKINGS)
@pytest.mark.parametrize("which", ["train_acc", "valid_acc"])
def test_deeper_is_worse_on_training_and_test_images_and_only_without_shortcuts(which, second):
    error = last(which, second)
    assert error["plain 56"] > error["plain 20"] + 25
    assert max(error["residual 20"], error["residual 56"]) < error["plain 20"]
    assert abs(error["residual 56"] - error["residual 20"]) < 5


@pytest.mark.parametrize("second", MAKINGS)
def test_the_deep_plain_network_is_behind_on_average_in_every_pass_but_the_first(second):
    curves = errors("train_acc", second)
    by_pass = {side: [mean(passes) for passes in zip(*many, strict=True)] for side, many in curves.items()}
    pairs = list(zip(by_pass["plain 20"], by_pass["plain 56"], strict=True))
    assert all(deep > shallow for shallow, deep in pairs[1:])


@pytest.mark.parametrize("second", MAKINGS)
def test_the_residual_networks_overfit_and_the_deep_plain_one_does_not(second):
    train, test = last("train_acc", second), last("valid_acc", second)
    assert abs(test["plain 56"] - train["plain 56"]) < 4
    for side in "residual 20", "residual 56":
        assert 3 < test[side] / train[side] < 4.5


def test_blocks_whose_last_scale_is_zero_change_nothing_and_the_others_do():
    torch.manual_seed(0)
    block = resnet.residual(resnet.basic)(8, 8, 1).eval()
    x = torch.rand(2, 8, 6, 6)
    assert not torch.allclose(block(x), x, atol=1e-2)
    nn.init.zeros_(block.bn2.weight)
    assert torch.equal(block(x), x)


def test_idle_blocks_change_a_plain_network_in_training_only():
    """Three of them, by the package's own blocks, behind maps that have passed a ReLU."""
    torch.manual_seed(0)
    x = torch.rand(16, 8, 6, 6)
    for kind, differs in ((resnet.plain, True), (resnet.residual, False)):
        blocks = nn.Sequential(*[kind(resnet.basic)(8, 8, 1) for _ in range(3)])
        for block in blocks:
            if differs:
                for conv, norm in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
                    nn.init.dirac_(conv.weight)
                    nn.init.constant_(norm.weight, (1 + norm.eps) ** 0.5)
            else:
                nn.init.zeros_(block.bn2.weight)
        assert torch.allclose(blocks.eval()(x), x, atol=1e-5)
        assert torch.allclose(blocks.train()(x), x, atol=1e-5) is not differs


SHORTCUTS = "resnet-shortcuts"
SAID = {
    False: ["worse", "better", "no difference shown"],
    True: ["no difference shown"] * 3,
}


@pytest.mark.parametrize("second", [False, True])
def test_the_three_shortcuts_compare_as_the_page_says(second):
    """Differences of accuracy by seed, by hand from the stored rows; and each side spent the same arithmetic."""
    stored = runs.load(SHORTCUTS, second)
    right = {
        side: {run["seed"]: 100 * run["rows"][-1]["valid_acc"] for run in kept}
        for side, kept in runs.sides(stored).items()
    }
    said = runs.verdict(SHORTCUTS, second)
    assert [(c.a, c.b) for c in said] == [("B", "A"), ("C", "B"), ("C", "A")]
    assert [c.word for c in said] == SAID[second]
    for c in said:
        gaps = [right[c.a][seed] - right[c.b][seed] for seed in right[c.a]]
        assert abs(mean(gaps) - c.difference) < 1e-9 and c.low < c.difference < c.high
    budgets = [side["budget_macs"] for side in stored["sides"].values()]
    assert max(budgets) < 1.05 * min(budgets)
