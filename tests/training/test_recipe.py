"""What a recipe may ask for beyond plain SGD: mixing, cutting, averaging, half precision; and memory that runs out."""

import copy
import gc
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import RECIPE, generator, row_values, small, toy

from cnnlib.images import augmentation
from cnnlib.training import step as stepping
from cnnlib.training.distributed import World
from cnnlib.training.evaluation import OutOfMemory, call_with_advice, evaluate, predict, seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import PiecewiseLinear, Recipe
from cnnlib.training.step import EMA, Step


def test_cutout_blackens_one_square_an_image_that_may_stick_out():
    x = torch.ones(300, 2, 7, 9)
    holes = 1 - augmentation.cutout(3)(x, generator())
    assert torch.equal(holes[:, 0], holes[:, 1])
    areas = set()
    for hole in holes[:, 0]:
        rows, columns = hole.any(1).nonzero(), hole.any(0).nonzero()
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert hole.sum() == height * width and 1 <= height <= 3 and 1 <= width <= 3
        areas.add(int(hole.sum()))
    assert areas == {4, 6, 9}  # whole, over an edge, in a corner
    assert holes.any(0).all()
    with pytest.raises(ValueError, match="size=0"):
        augmentation.cutout(0)


def test_mixup_is_a_convex_sum_of_two_images_of_the_batch():
    x = torch.rand(20, 1, 4, 4)
    shares = []
    for seed in range(300):
        mixed, partner, share = augmentation.mixup(x, generator(seed), 0.4)
        shares.append(share)
        assert sorted(partner.tolist()) == list(range(20))
        assert torch.allclose(mixed, share * x + (1 - share) * x[partner])
    mean, spread = torch.tensor(shares).mean().item(), torch.tensor(shares).var().item()
    assert mean == pytest.approx(0.5, abs=0.06)
    assert spread == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)  # of Beta(a, a)


def test_mixed_labels_count_by_their_share():
    """The loss of one step against the formula with one-hot labels mixed like the images."""
    data, net = toy(16), small(norm=False)
    net[3].p = 0.0
    x, partner, share = augmentation.mixup(data.x, generator(5), 0.7)
    soft = share * F.one_hot(data.y, 3) + (1 - share) * F.one_hot(data.y[partner], 3)
    expected = F.cross_entropy(net(x), soft).item()
    step = Step(net, Recipe(1, batch=16, mixup=0.7), World())
    loss, right = step(data.x, data.y, 0.0, 16, generator(5))
    assert loss.item() / 16 == pytest.approx(expected, rel=1e-5) and 0 <= right <= 16


def test_mixup_trains_and_leaves_validation_alone():
    rows = list(train(small(), toy(), toy(60, seed=1), replace(RECIPE, mixup=0.2)))
    assert rows[-1].valid_acc > 0.9 and rows[-1].train_loss > rows[-1].valid_loss


def test_the_running_mean_is_the_one_of_the_formula():
    net = nn.Linear(1, 1, bias=False)
    average, mean = EMA(net, 0.9), net.weight.item()
    for n in range(1, 200):
        with torch.no_grad():
            net.weight.fill_(float(n % 7))
        average.update(net)
        keep = min(0.9, (1 + n) / (10 + n))
        mean = keep * mean + (1 - keep) * (n % 7)
    assert average.values["weight"].item() == pytest.approx(mean, rel=1e-5)
    own = net.weight.item()
    average.exchange(net)
    assert net.weight.item() == pytest.approx(mean, rel=1e-5)
    average.exchange(net)
    assert net.weight.item() == own


class Tied(nn.Module):
    """A weight with two names, and one that shares its memory under a third."""

    def __init__(self):
        super().__init__()
        with seeded(0):
            self.a, self.b, self.out = nn.Linear(36, 36), nn.Linear(36, 36), nn.Linear(36, 3)
        self.b.weight = self.a.weight
        self.view = nn.Parameter(self.a.weight.T)

    def forward(self, x):
        return self.out(F.relu(self.b(F.relu(self.a(x.flatten(1))))) @ self.view)


def test_two_exchanges_change_nothing_where_names_share_a_tensor():
    net = Tied()
    average = EMA(net, 0.9)
    with torch.no_grad():
        net.a.weight.add_(1)
    average.update(net)
    own, mean = net.a.weight.clone(), average.values["a.weight"].clone()
    average.exchange(net)
    assert torch.equal(net.a.weight, mean) and not torch.equal(mean, own)
    average.exchange(net)
    assert torch.equal(net.a.weight, own) and torch.equal(average.values["b.weight"], mean)


def test_a_running_mean_does_not_change_how_tied_weights_train():
    plain, averaged = (
        [row.train_loss for row in train(Tied(), toy(), toy(60), replace(RECIPE, ema=keep))]
        for keep in (0.0, 0.99)
    )
    assert plain == averaged


def test_the_network_handed_out_is_the_mean_and_training_goes_on_from_its_own_weights():
    plain, mean, early = small(), small(), small()
    rows = list(train(plain, toy(), toy(60), RECIPE))
    averaged = list(train(mean, toy(), toy(60), replace(RECIPE, ema=0.9)))
    assert [r.train_loss for r in rows] == [r.train_loss for r in averaged]
    assert [r.valid_loss for r in rows] != [r.valid_loss for r in averaged]
    assert evaluate(mean, toy(60), 16) == (averaged[-1].valid_loss, averaged[-1].valid_acc)
    for row in train(early, toy(), toy(60), replace(RECIPE, ema=0.9)):
        assert evaluate(early, toy(60), 16)[0] == row.valid_loss == averaged[row.epoch - 1].valid_loss
        if row.epoch == 2:
            break
    assert evaluate(early, toy(60), 16)[0] == averaged[1].valid_loss


def test_a_batch_in_parts_gives_the_gradient_of_the_whole():
    nets = [small(norm=False), small(norm=False)]
    for net in nets:
        net[3].p = 0.0
    one, two = (
        list(train(net, toy(), toy(), replace(RECIPE, accumulate=n)))
        for net, n in zip(nets, (1, 3), strict=True)
    )
    assert [r.train_loss for r in one] == pytest.approx([r.train_loss for r in two], rel=1e-5)
    assert torch.allclose(nets[0][5].weight, nets[1][5].weight, atol=1e-5)


def test_no_part_of_a_batch_is_larger_than_asked_and_none_is_normed_alone():
    sizes = []

    class Spy(nn.Module):
        def forward(self, x):
            if self.training:
                sizes.append(len(x))
            return x

    list(train(nn.Sequential(Spy(), *small()), toy(89), toy(), Recipe(1, batch=16, accumulate=3)))
    assert sum(sizes) == 89 and max(sizes[:-3]) == 6 and min(sizes) >= 2
    with pytest.raises(
        ValueError, match="batch=5: batch normalisation needs two images .* in each of 3 parts"
    ):
        train(small(), toy(), toy(), Recipe(1, batch=5, accumulate=3))


def test_gradients_are_clipped_to_their_common_norm():
    data = toy(16)
    moved = []
    for clip in (0.0, 1e-3):
        net = small()
        before = [p.detach().clone() for p in net.parameters()]
        Step(net, Recipe(1, batch=16, momentum=0, decay=0, clip=clip), World())(
            data.x, data.y, 1.0, 16, generator()
        )
        moved.append(
            sum(((a - b) ** 2).sum() for a, b in zip(before, net.parameters(), strict=True)).sqrt().item()
        )
    assert moved[0] > 0.1 and moved[1] == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("optimiser", [None, partial(torch.optim.AdamW, weight_decay=0.1)])
def test_norms_and_biases_can_be_spared_the_decay(optimiser):
    net = small()
    for wanted in (True, False):
        made = Recipe(1, decay=0.1, decay_norms=wanted, optimiser=optimiser).make_optimiser(net)
        decay = {id(p): group["weight_decay"] for group in made.param_groups for p in group["params"]}
        assert len(decay) == len(list(net.parameters()))
        for parameter in net.parameters():
            assert decay[id(parameter)] == (0.1 if wanted or parameter.ndim > 1 else 0.0)


def test_half_precision_learns_and_keeps_weights_whole():
    net = small()
    rows = list(train(net, toy(), toy(60, seed=1), replace(RECIPE, amp=True)))
    assert rows[-1].valid_acc > 0.9 and {p.dtype for p in net.parameters()} == {torch.float32}
    assert row_values(rows) != row_values(train(small(), toy(), toy(60, seed=1), RECIPE))


class Card:
    """What torch.cuda tells of a GPU."""

    def __init__(self, monkeypatch, bf16):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)


def test_cards_without_bf16_get_fp16_with_a_scale(monkeypatch):
    gpu = torch.device("cuda")
    Card(monkeypatch, True)
    assert (
        stepping.half_precision(gpu) is torch.bfloat16
        and stepping.half_precision(torch.device("cpu")) is torch.bfloat16
    )
    Card(monkeypatch, False)
    assert stepping.half_precision(gpu) is torch.float16
    monkeypatch.setattr(stepping, "half_precision", lambda device: torch.float16)
    net = small()
    step = Step(net, replace(RECIPE, amp=True), World())
    assert step.scaler.is_enabled() and step.state()["scaler"]["scale"] == 2.0**16
    before = copy.deepcopy(net.state_dict())
    x = toy(16).x
    x[0, 0, 0, 0] = float("inf")  # gradients overflow: no step is taken, the scale is halved
    step(x, toy(16).y, 0.1, 16, generator())
    assert torch.equal(net[5].weight, before["5.weight"]) and step.state()["scaler"]["scale"] == 2.0**15
    step(toy(16).x, toy(16).y, 0.1, 16, generator())
    assert not torch.equal(net[5].weight, before["5.weight"])


def test_compile_compiles_what_trains_and_not_what_is_kept(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda net: asked.append(net) or net)
    net, plain = small(), small()
    rows = row_values(train(net, toy(), toy(), replace(RECIPE, compile=True)))
    assert asked == [net] and rows == row_values(train(plain, toy(), toy(), RECIPE))


class Hungry(nn.Module):
    """Takes more memory than there is, from the second batch on."""

    def __init__(self, error):
        super().__init__()
        self.linear, self.error, self.calls = nn.Linear(36, 3), error, 0

    def forward(self, x):
        self.calls += self.training
        if self.calls > 1:
            ballast = x.new_ones(1000, 1000)
            raise self.error(f"DefaultCPUAllocator: can't allocate memory for {len(ballast)}")
        return self.linear(x.flatten(1))


def big_tensors():
    gc.collect()
    return sum(issubclass(type(o), torch.Tensor) and o.numel() == 1_000_000 for o in gc.get_objects())


@pytest.mark.parametrize("error", [RuntimeError, torch.OutOfMemoryError])
def test_out_of_memory_says_what_to_lower_and_holds_nothing(error):
    net = Hungry(error)
    with pytest.raises(OutOfMemory, match="lower batch=16 of the recipe") as caught:
        list(train(net, toy(), toy(), RECIPE))
    assert (
        caught.value.__context__ is None
    )  # a notebook keeps the traceback, and with it every frame's tensors
    assert big_tensors() == 0
    assert all(p.grad is None for p in net.parameters())
    net.calls = 5
    net.train()
    net.eval = lambda: net  # so that prediction hits it too
    with pytest.raises(OutOfMemory, match="lower batch=7"):
        predict(net, toy(), batch=7)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="something else"):
        call_with_advice(lambda: (_ for _ in ()).throw(RuntimeError("something else")), "")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: Recipe(1, ema=1.0), "ema=1.0"),
        (lambda: Recipe(1, mixup=-1), "mixup=-1"),
        (lambda: Recipe(float("inf")), "epochs=inf"),
        (lambda: Recipe(True), "epochs=True"),
        (lambda: Recipe(1, accumulate=0), "accumulate=0"),
        (lambda: Recipe(1, clip=float("nan")), "clip=nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(bad, words):
    with pytest.raises(ValueError, match=words):
        bad()


def test_a_tensor_count_that_stays(monkeypatch):
    """Rows hold floats: nothing of a step is alive after it."""
    counts = []
    with seeded(0):
        net = small()
    for _ in train(net, toy(), toy(), Recipe(5, PiecewiseLinear((0, 1), (0.1, 0.1)), 16)):
        gc.collect()
        counts.append(sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()))
    assert counts[1] == counts[-1]
