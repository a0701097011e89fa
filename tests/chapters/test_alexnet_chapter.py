"""What the chapter on AlexNet says, asked again of the stored runs, the modules and PyTorch."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import cnnlib
from cnnlib import runs
from cnnlib.models import LocalResponseNorm

PAGE = (Path(__file__).resolve().parents[2] / "chapters/alexnet.md").read_text(encoding="utf8")
IMAGE = (3, 227, 227)


def points(found):
    """A difference and its interval as the page prints them, without signs."""
    return [f"{abs(v):.1f}" for v in (found.difference, found.low, found.high)]


def test_hand_made_features_win_in_both_makings():
    """The answer to the title, and its numbers in the text."""
    for second, told in (False, ["2.9", "4.8", "0.8"]), (True, ["2.4", "4.3", "0.1"]):
        hog, pixels, descriptor = runs.verdict("alexnet-hand-made", second)
        assert [c.word for c in (hog, pixels, descriptor)] == ["worse", "no difference shown", "better"]
        assert [abs(float(a) - float(b)) < 0.11 for a, b in zip(points(hog), told, strict=True)] == [True] * 3
        assert f"{hog.failed}" == "(0, 0)" and points(descriptor)[0] in ("4.2", "3.5")


def test_the_readings_of_the_two_other_experiments_are_those_of_the_stored_runs():
    """Numbers of the two sentences on experiments made once: a new file asks for a new reading."""
    (time,) = runs.verdict("alexnet-relu-vs-tanh")
    told = f"ReLU needed {time.difference:.2f} epochs *more* than tanh ({time.low:.2f} to {time.high:.2f})"
    assert time.word == "worse" and told in PAGE
    assert PAGE.count("In this one run, not made a second time, ") == 2
    assert runs.load("alexnet-relu-vs-tanh")["data"]["train"] == 5000 and "four epochs on 5,000 images" in PAGE
    overlap, dropout, changed, norm = runs.verdict("alexnet-choices")
    assert [c.word for c in (overlap, norm)] == ["no difference shown"] * 2
    assert [c.word for c in (dropout, changed)] == ["worse"] * 2
    for found in dropout, changed:
        size, most, least = points(found)
        assert f"{size} points ({least} to {most})" in PAGE or f"{size} ({least} to {most})" in PAGE
    sides = runs.sides(runs.load("alexnet-choices"))
    seen = {
        side: sum(run["rows"][-1]["train_acc"] for run in made) / len(made) for side, made in sides.items()
    }
    assert seen["no dropout"] > seen["baseline"] + 0.1 and seen["baseline"] > seen["augmented"] + 0.05


def test_the_curve_of_alexnet_was_still_rising_and_that_of_hog_was_not():
    """Beside the verdict: the gain of the last epoch, mean of the seeds, in points."""
    for second in (False, True):
        sides = runs.sides(runs.load("alexnet-hand-made", second))
        gain = {
            side: 100 * sum(r["rows"][-1]["valid_acc"] - r["rows"][-2]["valid_acc"] for r in made) / len(made)
            for side, made in sides.items()
        }
        assert gain["AlexNet"] > 0.3 and abs(gain["HOG, linear"]) < 0.1


def test_the_answer_of_the_page_is_that_of_the_takeaways():
    answer = "and within ten epochs, the hand-made features still win"
    text, takeaways = PAGE.split("**Takeaways.**")
    assert answer in text and answer in takeaways


def test_two_hundred_thousand_times_the_arithmetic():
    lenet = cnnlib.trace(cnnlib.build("lenet5"), (1, 32, 32)).macs * 60_000 * 20
    with torch.device("meta"):
        net = cnnlib.build("alexnet_2012")
    assert 199_000 < cnnlib.trace(net, IMAGE).macs * 1_200_000 * 90 / lenet < 201_000


def test_momentum_runs_on_after_a_cut_of_the_rate():
    """Exercise 3: steps of 1, 1.9, at last 10; after the cut 9.1 by the paper's rule and 1 by PyTorch's."""
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    sgd = torch.optim.SGD([w], lr=1.0, momentum=0.9)
    paper, theirs, v, was = [], [], 0.0, 0.0
    for i in range(401):
        rate = 1.0 if i < 400 else 0.1
        v = 0.9 * v + rate
        paper.append(v)
        sgd.param_groups[0]["lr"] = rate
        w.grad = torch.ones_like(w)
        sgd.step()
        theirs.append(was - w.item())
        was = w.item()
    for i, ours, torchs in (0, 1, 1), (1, 1.9, 1.9), (399, 10, 10), (400, 9.1, 1):
        assert paper[i] == pytest.approx(ours) and theirs[i] == pytest.approx(torchs)


@pytest.fixture(scope="module")
def maps():
    """Rectified maps as large as those of pixels from 0 to 255."""
    return torch.randn(2, 12, 5, 5, generator=torch.Generator().manual_seed(0)).relu() * 100


def test_normalisation_sums_where_pytorch_averages(maps):
    """With constants for which the layer acts, so that a wrong one is seen."""
    b = LocalResponseNorm()(maps)
    assert (maps / b)[maps > 0].max() > 1.2 * 2**0.75
    assert torch.allclose(b, nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)(maps), rtol=1e-4)
    assert not torch.allclose(b, nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(maps), rtol=1e-2)


def test_normalisation_on_pixels_from_0_to_1(maps):
    """It divides by 2 to the power of 0.75 and by nothing else; exercise 4 says what would mend it."""
    small = maps / 255
    assert torch.allclose(LocalResponseNorm()(small) * 2**0.75, small, rtol=1e-3)
    wanted = LocalResponseNorm()(maps) / 255
    assert torch.allclose(LocalResponseNorm(alpha=6.5025)(small), wanted, rtol=1e-4)
    assert torch.allclose(nn.LocalResponseNorm(5, 32.5125, 0.75, 2.0)(small), wanted, rtol=1e-4)


def kept(function, x):
    """Bytes that autograd keeps for the backward pass of a function, each storage once."""
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(x)
    return sum(seen.values())


def test_the_bytes_of_normalisation_depend_on_how_it_is_written(maps):
    """More than half of all maps as it is; written so that it computes again, it keeps its input at most."""
    with torch.device("meta"):
        whole, without = cnnlib.build("alexnet_2012"), cnnlib.build("alexnet_2012")
    for i in (2, 6):
        without.features[i] = nn.Identity()
    bytes_of = [cnnlib.trace(net, IMAGE, 128).training_memory for net in (whole, without)]
    assert bytes_of[1] < bytes_of[0] / 2
    x, layer = maps.clone().requires_grad_(), LocalResponseNorm()
    one_map = x.numel() * x.element_size()
    assert kept(layer, x) >= 3 * one_map
    assert kept(lambda x: checkpoint(layer, x, use_reentrant=False), x) <= one_map


def test_with_three_cards_of_the_paper_in_mind():
    """Batches of 128 fit into 3 GiB by this count, batches of 256 do not."""
    with torch.device("meta"):
        net = cnnlib.build("alexnet_2012")
    costs = [cnnlib.trace(net, IMAGE, n) for n in (128, 256)]
    few, many = (c.training_memory + 3 * c.param_bytes for c in costs)
    assert few < 2.2 * 2**30 < 3 * 2**30 < many
