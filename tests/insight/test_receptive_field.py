"""Looking inside leaves the network as it was, and agrees with what can be computed by hand."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models.googlenet import Inception

import cnnlib
from cnnlib import probe


def conv(kernel, stride=1, pad=0, dilation=1, groups=1):
    return nn.Conv2d(2, 2, kernel, stride, pad, dilation, groups)


class Gate(nn.Module):
    """Squeeze and excitation, in the form of its formula."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return x * torch.sigmoid(self.fc(x.mean((2, 3))))[:, :, None, None]


class Shortcut(nn.Module):
    """A sum of two paths that would cancel if only their weights were equal."""

    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, x):
        y = self.inside(x)
        y -= x
        return F.relu(y, inplace=True)


STACKS = {  # network, image, what the centre unit sees, computed by hand
    "three 3x3": (nn.Sequential(conv(3), conv(3), conv(3)), (2, 15, 15), 7),
    "dilation 1, 2, 3": (nn.Sequential(conv(3), conv(3, dilation=2), conv(3, dilation=3)), (2, 33, 33), 13),
    "stride": (nn.Sequential(conv(3, 2), conv(3, 2), conv(3)), (2, 65, 65), 3 + 2 * 2 + 2 * 4),
    "pool, tanh, norm": (
        nn.Sequential(conv(5), nn.BatchNorm2d(2), nn.Tanh(), nn.MaxPool2d(3, 2), conv(3), nn.Dropout()),
        (2, 40, 40),
        5 + 2 + 2 * 2,
    ),
    "a rounded-up, dilated pool": (
        nn.Sequential(conv(3), nn.MaxPool2d(2, 2, ceil_mode=True), nn.MaxPool2d(2, 1, dilation=3)),
        (2, 33, 33),
        3 + 1 + 3 * 2,
    ),
    "average pool": (nn.Sequential(conv(3, groups=2), nn.AvgPool2d(4, 4)), (2, 40, 40), 6),
    "ReLU with dead units": (
        nn.Sequential(conv(3), nn.ReLU(), conv(3), nn.ReLU(inplace=True)),
        (2, 15, 15),
        5,
    ),
    "not square": (nn.Sequential(conv((1, 7)), conv((3, 1))), (2, 20, 20), (3, 7)),
    "cut by the border": (nn.Sequential(*[conv(3, pad=1) for _ in range(6)]), (2, 8, 8), 13),
    "gate": (nn.Sequential(conv(3, pad=1), Gate(), conv(3, pad=1)), (2, 17, 17), 5),
    "shortcut": (nn.Sequential(conv(1), Shortcut(conv(3, pad=1)), Shortcut(conv(3, pad=1))), (2, 17, 17), 5),
    "head": (
        nn.Sequential(conv(3, pad=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)),
        (2, 9, 9),
        3,
    ),
    "global pool by its size": (nn.Sequential(conv(3, pad=1), nn.AvgPool2d(9), nn.Flatten()), (2, 9, 9), 3),
    "linear on the map": (nn.Sequential(conv(5), nn.Flatten(), nn.Linear(2 * 36, 3)), (2, 10, 10), 5),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_gradient_reaches_what_arithmetic_says(name):
    net, image, seen = STACKS[name]
    before = copy.deepcopy(net.state_dict())
    assert probe.reached(net, image) == seen == cnnlib.trace(net, image).receptive_field
    assert net.training and all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("name", ["lenet5", "lenet_small", "alexnet_2012", "alexnet_small"])
def test_networks_of_the_book_agree(name):
    net, image = cnnlib.build(name), cnnlib.models.image_shape(name)
    assert probe.reached(net, image) == cnnlib.trace(net, image).receptive_field


def test_published_fields_are_reached():
    """Araujo, Norris, Sim 2019: 195 for AlexNet; ResNet-18 by the facts table."""
    assert probe.reached(cnnlib.build("alexnet"), (3, 224, 224)) == 195
    assert probe.reached(torchvision.models.resnet18(), (3, 224, 224)) == 435


LAYERS = {  # network, layers of every kind: single, block, branch, shortcut, reused
    "resnet18": ["conv1", "maxpool", "layer1.0.relu1", "layer1", "layer2.0.downsample", "layer3.1.bn2"],
    "densenet121": ["features.denseblock1", "features.transition1.pool", "features.denseblock2.denselayer3"],
    "squeezenet1_1": ["features.3.squeeze", "features.3.expand3x3", "features.6"],
    "vgg16": ["features.0", "features.4", "features.16"],
}


@pytest.mark.parametrize("name", LAYERS)
def test_any_layer_of_any_network_is_seen_alike_in_two_ways(name):
    net = cnnlib.build(name)
    before, hung = copy.deepcopy(net.state_dict()), hooks(net)
    rows = probe.receptive_fields(net, (3, 120, 151), LAYERS[name])
    assert [r.layer for r in rows] == LAYERS[name]
    for row in rows:
        assert row.by_formula == row.by_gradient == probe.reached(net, (3, 224, 224), row.layer), row.layer
        lit = row.mask.nonzero()
        for axis, n in enumerate((120, 151)):
            s = row.window[axis]
            low, high = max(s.start, 0), min(s.start + s.size, n)
            assert (low, high - 1) == (lit[:, axis].min(), lit[:, axis].max()), row.layer
    assert (
        hooks(net) == hung
        and net.training
        and all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    )


def test_a_branch_sees_less_than_its_block():
    block = Inception(2, 2, 2, 2, 2, 2, 2)
    net = nn.Sequential(conv(3), block)
    rows = probe.receptive_fields(net, (2, 31, 31), ["1.branch1", "1.branch2", "1"])
    assert [(r.by_formula, r.by_gradient) for r in rows] == [(3, 3), (5, 5), (5, 5)]


def test_a_layer_that_runs_twice_is_taken_in_its_last_run():
    twice = conv(3, pad=1)
    (row,) = probe.receptive_fields(nn.Sequential(conv(1), nn.Sequential(twice, twice)), (2, 21, 21), ["1.0"])
    assert row.by_formula == row.by_gradient == 5
    (row,) = probe.receptive_fields(nn.Sequential(conv((1, 5)), conv((3, 1))), (2, 21, 21), ["1"])
    assert row.by_formula == row.by_gradient == (3, 5) and row.mask.sum() == 15


def test_a_layer_that_makes_no_map_is_refused():
    net = nn.Sequential(conv(3), nn.Flatten(), nn.Linear(2 * 49, 2))
    for layer in ("1", "2"):
        with pytest.raises(ValueError, match=f"layer '{layer}' makes no map"):
            probe.reached(net, (2, 9, 9), layer)
    with pytest.raises(ValueError, match="no layer is called '7'"):
        probe.receptive_fields(net, (2, 9, 9), ["0", "7"])
    assert hooks(net) == 0


def test_a_field_without_a_map_or_without_end_is_refused():
    with pytest.raises(ValueError, match="makes no map"):
        probe.reached(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), (1, 2, 2))
    far = nn.Sequential(*[conv(3, pad=2**k, dilation=2**k) for k in range(11)])
    with pytest.raises(ValueError, match="use cnnlib.trace"):
        probe.reached(far, (2, 16, 16))


def test_activations_are_those_of_the_run():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Conv2d(2, 1, 1))
    x, state = torch.randn(2, 1, 5, 5), torch.random.get_rng_state()
    out = probe.activations(net, x)
    assert list(out) == ["0", "1", "2", "3"]
    by_hand = F.conv2d(x, net[0].weight, net[0].bias)
    assert torch.equal(out["0"], by_hand) and out["0"].min() < 0, "the in-place ReLU must not overwrite it"
    assert torch.equal(out["2"], by_hand.relu()) and not out["3"].requires_grad
    assert list(probe.activations(net, x, ["3", "0"])) == ["0", "3"]
    assert net.training and torch.equal(torch.random.get_rng_state(), state)


def hooks(net):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


def test_hooks_and_modes_are_restored_after_an_error():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2).eval(), nn.Linear(99, 1))
    with pytest.raises(RuntimeError):
        probe.activations(net, torch.zeros(1, 1, 5, 5))
    with pytest.raises(ValueError, match="'conv9'"):
        probe.activations(net, torch.zeros(1, 1, 5, 5), ["0", "conv9"])
    assert hooks(net) == 0 and net.training and not net[1].training and net[2].training


def test_filters_are_a_copy_of_the_first_convolution():
    net = cnnlib.build("lenet_small")
    w = probe.filters(net)
    assert torch.equal(w, net.conv1.weight) and not w.requires_grad
    w.zero_()
    assert net.conv1.weight.abs().sum() > 0
    with pytest.raises(ValueError, match="holds no Conv2d"):
        probe.filters(nn.Linear(2, 2))


def test_misclassified_finds_the_wrong_ones():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 3, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.eye(3))
    images = SimpleNamespace(x=torch.eye(3).repeat(100, 1)[:, None, None], y=torch.arange(300) % 3)
    images.y[7], images.y[299] = 0, 0
    wrong, predicted = probe.misclassified(net, images)
    assert wrong.tolist() == [7, 299] and predicted.tolist() == [1, 2] and net.training


def test_gradient_norms_are_those_of_autograd():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    x, y = torch.randn(8, 1, 5, 5), torch.arange(8) % 3
    before, state = copy.deepcopy(net.state_dict()), torch.random.get_rng_state()
    rows = probe.gradient_norms(net.eval(), x, y)
    assert [(r.name, r.kind) for r in rows] == [("0", "Conv2d"), ("4", "Linear")]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items()) and not net.training
    assert net[0].weight.grad is None and torch.equal(torch.random.get_rng_state(), state)
    F.cross_entropy(net.train()(x), y).backward()
    assert [r.norm for r in rows] == pytest.approx(
        [net[0].weight.grad.norm().item(), net[4].weight.grad.norm().item()]
    )
