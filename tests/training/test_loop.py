"""Augmentation, schedules and the training loop."""

import copy
import io
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import RECIPE, row_values, small, toy

import cnnlib
from cnnlib import datasets
from cnnlib.images.datasets import Images
from cnnlib.training import checkpoint
from cnnlib.training import loop as training
from cnnlib.training.evaluation import evaluate, find_device, predict, seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import Cosine, Diverged, PiecewiseLinear, Recipe, StepDecay

# ---- schedules ----


def test_schedules_at_their_knots():
    ramp = PiecewiseLinear((0, 0.2, 1), (0, 0.4, 0))
    assert [ramp(t) for t in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.2, 0.4, 0.2, 0])
    assert [Cosine(0.4)(t) for t in (0, 0.5, 1)] == pytest.approx([0.4, 0.2, 0])
    assert [StepDecay(0.1, (0.5, 0.75))(t) for t in (0, 0.5, 0.9)] == pytest.approx([0.1, 0.01, 0.001])
    warm = Cosine(0.4, warmup=0.2)
    assert [warm(t) for t in (0, 0.1, 0.2, 0.6, 1)] == pytest.approx([0, 0.2, 0.4, 0.2, 0])
    with pytest.raises(ValueError, match="warmup=1"):
        Cosine(0.4, warmup=1)
    with pytest.raises(ValueError, match="rising numbers"):
        PiecewiseLinear((0, 0.5, 0.5, 1), (0, 1, 1, 0))


# ---- training ----


def test_it_learns():
    rows = list(train(small(), toy(), toy(60, seed=1), RECIPE))
    assert rows[-1].train_loss < rows[0].train_loss / 2 and rows[-1].valid_acc > 0.9
    assert [r.epoch for r in rows] == [1, 2, 3, 4]
    assert all(type(v) in (int, float) for r in rows for v in vars(r).values())


def test_the_same_seed_gives_the_same_rows_and_weights_whatever_the_caller_draws():
    nets = [small(), small(), small()]
    first = row_values(train(nets[0], toy(), toy(), RECIPE))
    second = []
    for row in train(nets[1], toy(), toy(), RECIPE):
        second += row_values([row])
        torch.rand(7)
        evaluate(nets[1], toy(30, seed=5))
    assert first == second
    for a, b in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
        assert torch.equal(a, b)
    other = row_values(train(nets[2], toy(), toy(), Recipe(4, RECIPE.lr, 16, seed=1)))
    assert other != first


def test_validation_in_the_middle_changes_nothing():
    """One run validates on 60 images, the other on one: equal weights in the end."""
    nets = [small(), small()]
    list(train(nets[0], toy(), toy(60), RECIPE))
    list(train(nets[1], toy(), toy(60)[:1], RECIPE))
    assert torch.equal(nets[0][0].weight, nets[1][0].weight)


def test_losses_are_means_over_images_not_over_batches():
    data, net = toy(37), small()
    loss, acc = evaluate(net, data, batch=16)
    net.eval()
    with torch.no_grad():
        logits = torch.cat([net(data.x[i : i + 1]) for i in range(37)])
    assert loss == pytest.approx(F.cross_entropy(logits, data.y).item(), abs=1e-6)
    assert acc == pytest.approx((logits.argmax(1) == data.y).float().mean().item())
    frozen = Recipe(epochs=1, lr=PiecewiseLinear((0, 1), (0, 0)), batch=16)
    still = small(norm=False)
    still[3].p = 0.0
    (row,) = train(
        still, data, data, frozen
    )  # nothing moves, so training figures must be those of validation
    assert row.train_loss == pytest.approx(row.valid_loss, abs=1e-6)
    assert row.train_acc == pytest.approx(row.valid_acc)


def test_a_last_batch_of_one_is_not_normed_alone():
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    assert len(list(train(net, toy(33), toy(33), Recipe(2, batch=16)))) == 2


def test_every_image_is_seen_once_an_epoch_and_validation_never_augmented():
    data, seen = toy(50), []

    def spy(x, draw):
        seen.append(x)
        return x + 0.5

    valid = toy(20, seed=3)
    net = small()
    (row,) = train(net, data, valid, Recipe(1, batch=16, augment=(spy,)))
    assert sorted(torch.cat(seen).flatten(1).sum(1).tolist()) == pytest.approx(
        sorted(data.x.flatten(1).sum(1).tolist())
    )
    assert row.valid_loss == evaluate(net, valid, 16)[0]


def test_modes_are_restored_and_an_early_end_leaves_a_usable_network():
    net = small().train()
    predict(net, toy())
    assert all(m.training for m in net.modules())
    for _ in train(net, toy(), toy(), RECIPE):
        break
    assert not net.training and torch.equal(predict(net, toy()), predict(net, toy()))


def test_another_optimiser_and_label_smoothing_are_used():
    plain, adam = small(), small()
    one = row_values(train(plain, toy(), toy(), RECIPE))
    two = row_values(
        train(
            adam,
            toy(),
            toy(),
            Recipe(4, PiecewiseLinear((0, 1), (0.01, 0.01)), 16, optimiser=torch.optim.Adam),
        )
    )
    assert one != two
    (row,) = train(small(), toy(), toy(), Recipe(1, PiecewiseLinear((0, 1), (0, 0)), 16, label_smoothing=0.5))
    (sharp,) = train(small(), toy(), toy(), Recipe(1, PiecewiseLinear((0, 1), (0, 0)), 16))
    assert row.train_loss != sharp.train_loss and row.valid_loss == sharp.valid_loss


def test_a_loss_that_explodes_stops_with_step_and_rate():
    with pytest.raises(Diverged, match=r"the loss is (nan|inf) at step \d+ \(epoch \d\), where lr=1e\+20"):
        list(train(small(norm=False), toy(), toy(), Recipe(3, PiecewiseLinear((0, 1), (1e20, 1e20)), 16)))


def test_a_long_pass_stops_soon_after_the_loss_is_lost(monkeypatch):
    """100 steps a pass; the loss is looked at every five."""
    monkeypatch.setattr(training, "LOSS_CHECK_INTERVAL", 5)
    steps = []

    def spy(x, draw):
        steps.append(len(x))
        return x

    explodes = Recipe(3, lambda t: 1e20 if t > 0.02 else 0.01, 2, augment=(spy,))
    with pytest.raises(Diverged, match=r"the loss is (nan|inf) at step [5-9] \(epoch 1\), where lr=1e\+20"):
        list(train(small(norm=False), toy(200), toy(), explodes))
    assert len(steps) == 10


def test_a_last_step_that_explodes_is_no_result(tmp_path):
    """24 steps, of which only validation sees the outcome of the last; no checkpoint of it is kept."""
    last = Recipe(4, lambda t: 1e30 if t > 23 / 24 else 0.01, 16)
    path = tmp_path / "run.pt"
    words = r"the loss on validation images is (nan|inf) after epoch 4, where lr=1e\+30"
    with pytest.raises(Diverged, match=words):
        list(train(small(norm=False), toy(), toy(), last, checkpoint=path))
    assert [row["epoch"] for row in checkpoint.load(path)["rows"]] == [1, 2, 3]
    assert all(
        value.isfinite().all() and value.abs().max() < 1e3 for value in checkpoint.weights(path).values()
    )


def test_validation_takes_the_batch_and_the_precision_of_the_recipe():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            if not self.training and len(x) > 1:
                seen.append((len(x), x.dtype))
            return x

    net = nn.Sequential(nn.Conv2d(1, 4, 3), Spy(), nn.Flatten(), nn.Linear(64, 3))
    list(train(net, toy(), toy(20), Recipe(1, batch=16, amp=True)))
    assert seen == [(16, torch.bfloat16), (4, torch.bfloat16)]


def test_one_image_can_be_learned_and_judged():
    (row,) = train(small(norm=False), toy(1), toy(1), Recipe(1, batch=1))
    assert row.train_acc in (0, 1) and row.valid_acc in (0, 1)
    with pytest.raises(ValueError, match="batch=1: batch normalisation needs two images"):
        train(small(), toy(1), toy(1), Recipe(1, batch=1))


def test_smoothed_labels_are_those_of_the_formula():
    """1 - s on the right class and s shared by all three: Szegedy et al. 2015, sec. 7."""
    data, net = toy(48), small(norm=False)
    net[3].p = 0.0
    logs = F.log_softmax(net(data.x), 1)
    expected = -(0.9 * logs[torch.arange(48), data.y] + 0.1 * logs.mean(1)).mean().item()
    (row,) = train(net, data, data, Recipe(1, lambda t: 0.0, 16, label_smoothing=0.1))
    assert row.train_loss == pytest.approx(expected, rel=1e-5)


def test_frozen_layers_stay():
    net = small()
    net[0].requires_grad_(False)
    before = copy.deepcopy(net[0].weight)
    list(train(net, toy(), toy(), Recipe(1, batch=16)))
    assert torch.equal(net[0].weight, before)


def test_the_last_pass_may_end_halfway():
    """90 images in batches of 16 are 6 steps; 1.5 passes are 9, and the rate is down at their end."""
    seen, rates = [], []

    def spy(x, draw):
        seen.append(len(x))
        return x

    rows = list(
        train(small(), toy(), toy(), Recipe(1.5, lambda t: rates.append(t) or 0.1, 16, augment=(spy,)))
    )
    assert len(rows) == 2 and seen == [16, 16, 16, 16, 16, 10, 16, 16, 16]
    assert rates[-9:] == pytest.approx([(i + 0.5) / 9 for i in range(9)])
    assert len(list(train(small(), toy(), toy(), Recipe(0.01, batch=16)))) == 1  # one step at least


def test_channels_last_changes_no_number_but_for_rounding():
    one, two = small(), small()
    one[3].p = two[3].p = 0.0  # dropout draws in the order of the memory
    list(train(one, toy(), toy(), RECIPE))
    list(train(two, toy(), toy(), replace(RECIPE, channels_last=True)))
    assert two[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(one[5].weight, two[5].weight, atol=1e-4)


def test_no_word_is_printed_unless_somebody_watches():
    out = io.StringIO()
    with redirect_stdout(out):
        list(train(small(), toy(), toy(), RECIPE))
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: Recipe(0), "epochs=0"),
        (lambda: Recipe(1, batch=0), "batch=0"),
        (lambda: Recipe(1, lr=0.1), "lr=0.1: need a function"),
        (lambda: Recipe(1, lr=lambda t: -0.1), "lr goes through -0.1, .*need finite numbers of at least 0"),
        (lambda: Recipe(1, lr=Cosine(float("nan"))), "lr goes through nan"),
        (lambda: Recipe(1, decay=float("inf")), "decay=inf"),
        (lambda: Recipe(1, seed=2**63), r"seed=9223372036854775808: need a whole number from 0"),
        (lambda: Recipe(1, seed=-1), "seed=-1"),
        (lambda: Recipe(1, momentum=1.0), "momentum=1.0"),
        (lambda: train(small(), toy(8), toy(), Recipe(1, batch=16)), "batch=16: the training set has 8"),
        (lambda: train(small(), toy(8)[:0], toy(), Recipe(1, batch=4)), "train_set is empty"),
        (lambda: train(small(), toy(8), toy(8)[:0], Recipe(1, batch=4)), "valid_set is empty"),
        (lambda: train(cnnlib.build("lenet_small"), toy(), toy(), Recipe(1, batch=4)), "train_set has images of 1×6×6"),
        (lambda: train(small(), toy(), Images(torch.rand(4, 1, 8, 8), toy(4).y, tuple("abc")), Recipe(1, batch=4)),
         "valid_set has images of 1×8×8: the network's layer 5 expects 64 features and gets 144"),
        (lambda: train(small(), Images(toy().x, toy().y + 5, tuple("abcdefgh")), toy(), Recipe(1)), "labels up to 7"),
        (lambda: train(small(), toy(), toy(), Recipe(1, batch=1)), "batch=1"),
        (lambda: find_device("abacus"), "this machine has"),
    ],
)  # fmt: skip
def test_what_cannot_train_is_refused_in_one_sentence(bad, words):
    with pytest.raises(ValueError, match=words):
        bad()


def test_lenet_learns_digits():
    with seeded(0):
        net = cnnlib.build("lenet_small")
    data, test = datasets.mnist()
    rows = list(train(net, data.head(1500), test, Recipe(2, batch=32)))
    assert rows[-1].valid_acc > 0.85 > 0.2 > evaluate(cnnlib.build("lenet_small"), test)[1] - 0.15
