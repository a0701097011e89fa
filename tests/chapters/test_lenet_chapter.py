"""What the chapter on LeNet-5 says, asked again of the stored runs, the counts and PyTorch."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import cnnlib
from cnnlib import datasets, probe, runs
from cnnlib.models import lenet
from cnnlib.training import seeded

PAGE = (Path(__file__).resolve().parents[2] / "chapters/lenet.md").read_text(encoding="utf8")
NAME = "lenet-relu-max-vs-tanh-avg"


def points(found):
    """A difference and its interval as the page prints them."""
    return [f"{value:.1f}" for value in (found.difference, found.low, found.high)]


def test_either_change_alone_gained_and_both_no_more():
    """The answer to the title, said in the text and in the takeaways: a new file asks for a new reading."""
    both, relu, pool = runs.verdict(NAME)
    assert [(c.a, c.b) for c in (both, relu, pool)] == [
        (side, "tanh + avg") for side in ("ReLU + max", "ReLU + avg", "tanh + max")
    ]
    assert {c.word for c in (both, relu, pool)} == {"better"} and both.images == 0
    for what, found in ("ReLU", relu), ("max-pooling", pool), ("Both together gained", both):
        size, low, high = points(found)
        assert any(f"{what} {size} ({word}{low} to {high})" in PAGE for word in ("interval ", ""))
        assert f"({size} points, {low} to {high})" in PAGE or f"({size}, {low} to {high})" in PAGE
    sides = runs.sides(runs.load(NAME))
    alone = [runs.compare(sides["ReLU + max"], sides[one]).word for one in ("ReLU + avg", "tanh + max")]
    assert alone == ["no difference shown"] * 2


def test_what_the_page_says_is_weak_about_the_runs_is_so():
    """One making, one seed a rate, the largest rate that learned; the network with both changes falls back."""
    weak = [w.text for w in runs.check(NAME)]
    assert sum("searched by 1 seeds" in text for text in weak) == 4
    with pytest.raises(ValueError, match="--second"):
        runs.load(NAME, second=True)
    stored = runs.load(NAME)
    assert set(stored["rates"].values()) == {0.2}
    assert all((t["value"] or 0) < 15 for t in stored["search"] if t["peak"] == 0.6)
    both = runs.sides(stored)["ReLU + max"]
    means = [sum(run["rows"][i]["valid_acc"] for run in both) / len(both) for i in range(3)]
    assert min(means[1:]) < means[0]


def test_the_four_networks_have_no_part_of_1998():
    """Plain tanh and averages, full convolutions, linear outputs: the page says so in the open text."""
    for side in runs.EXPERIMENTS[NAME].sides.values():
        net = side.build()
        old = lenet.ScaledTanh | lenet.Subsample | lenet.PartialConv | lenet.DigitCodes
        assert not any(isinstance(m, old) for m in net.modules())
        assert net.fc1.out_features == 90
    assert "None of the four is LeNet-5" in PAGE and "form of 1998" not in PAGE


def test_shared_weights_move_with_the_image_and_others_do_not():
    with seeded(0):
        c1, own, x = torch.nn.Conv2d(1, 6, 5), torch.rand(6, 25, 784), torch.rand(3, 1, 32, 32)

    def unshared(x):
        return torch.einsum("nkp,ckp->ncp", F.unfold(x, 5), own).unflatten(2, (28, 28))

    moved = torch.roll(x, (2, 4), (2, 3))
    gaps = [(f(moved)[..., 2:, 4:] - f(x)[..., :-2, :-4]).abs().max() for f in (c1, unshared)]
    assert gaps[0] < 1e-5 < 0.1 < gaps[1]


def test_before_training_the_last_two_layers_do_not_lower_the_effect_of_a_shift():
    """The control of the page's last measurement, with starts that the page does not use."""
    x = F.pad(datasets.mnist()[1].x[:300], (2, 2, 2, 2)) * 1.275 - 0.1
    for seed in range(5, 9):
        with seeded(seed):
            net = cnnlib.build("lenet5")
        names = ["tanh3", "tanh4", "tanh6"]
        still, moved = (probe.activations(net, v, names) for v in (x, torch.roll(x, 1, 3)))
        c3, s4, f6 = (
            ((moved[k] - still[k]).flatten(1).norm(dim=1).mean())
            / (still[k] - still[k].roll(1, 0)).flatten(1).norm(dim=1).mean()
            for k in names
        )
        assert s4 < c3 and f6 > 0.3 and abs(f6 - s4) < 0.05
