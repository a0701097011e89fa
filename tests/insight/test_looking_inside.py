"""Deconvnet, occlusion, class maps and aliasing, each against a second way to the same numbers."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib import plot, probe
from cnnlib.insight.deconvolution import filtered_back, unpool
from cnnlib.models.layers import LocalResponseNorm
from cnnlib.training.evaluation import seeded


@pytest.fixture
def net():
    with seeded(0):
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(2, 6, 5, 2, 1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, ceil_mode=True)),
            LocalResponseNorm(), nn.Conv2d(6, 8, 3, padding=1, groups=2), nn.ReLU(), nn.Dropout(),
            nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(32, 3),
        )  # fmt: skip


@pytest.fixture
def x():
    return torch.rand(3, 2, 18, 20, generator=torch.Generator().manual_seed(1)) - 0.3


# The deconvnet


class Rectified(torch.autograd.Function):
    """A ReLU whose gradient is rectified instead of switched."""

    @staticmethod
    def forward(ctx, a):
        return a.relu()

    @staticmethod
    def backward(ctx, g):
        return g.relu()


def by_gradient(net, x, layer, channel):
    """The same picture from autograd: its transposed convolutions and switches, and the ReLU of above."""
    x = x.clone().requires_grad_(True)
    y = x
    for name, module in net.named_modules():
        if isinstance(module, nn.ReLU):
            y = Rectified.apply(y)
        elif isinstance(module, nn.Conv2d | nn.MaxPool2d):
            y = module(y)
        elif isinstance(module, LocalResponseNorm):
            y = y + (module(y) - y).detach()  # passes the gradient on as it is
        if name == layer:
            break
    (g,) = torch.autograd.grad(0.5 * y[:, channel].flatten(1).amax(1).square().sum(), x)
    return g


@pytest.mark.parametrize("layer", ["0.0", "0.1", "0.2", "2", "3", "5"])
@pytest.mark.parametrize("channel", [0, 4])
def test_a_deconvnet_is_a_gradient_with_another_relu(net, x, layer, channel):
    drawn = probe.deconvnet(net, x, layer, channel)
    assert drawn.shape == x.shape and drawn.abs().max() > 0
    assert torch.allclose(drawn, by_gradient(net, x, layer, channel), atol=1e-6)


def test_the_first_layer_draws_its_own_filter(net, x):
    conv = net[0][0]
    drawn = probe.deconvnet(net, x[:1], "0.0", 2)[0]
    maps = conv(x[:1])[0, 2]
    row, col = divmod(int(maps.argmax()), maps.shape[1])
    whole = torch.zeros(2, 18 + 2, 20 + 2)
    whole[:, 2 * row : 2 * row + 5, 2 * col : 2 * col + 5] = maps.max() * conv.weight[2]
    assert torch.allclose(drawn, whole[:, 1:-1, 1:-1], atol=1e-6)


def test_unpooling_undoes_pooling_where_the_maxima_were():
    x = torch.rand(2, 3, 6, 8)
    y, switches = F.max_pool2d_with_indices(x, 2)
    back = unpool(y, switches, x.shape)
    assert torch.equal(F.max_pool2d(back, 2), y) and (back != 0).sum() == y.numel()
    assert torch.equal(back[back != 0], x[back != 0])
    twice, where = F.max_pool2d_with_indices(torch.eye(3)[None, None], 2, 1)
    assert unpool(twice, where, (1, 1, 3, 3)).sum() == twice.sum()  # shared places add up


@pytest.mark.parametrize(("kernel", "stride", "pad", "n"), [(11, 4, 2, 40), (7, 2, 1, 23), (3, 3, 0, 11)])
def test_transposed_filters_are_the_transpose(kernel, stride, pad, n):
    """<conv(a), b> = <a, back(b)> for all a and b."""
    conv = nn.Conv2d(2, 3, kernel, stride, pad, bias=False).double()
    a = torch.randn(1, 2, n, n, dtype=torch.float64)
    out = conv(a)
    b = torch.randn_like(out)
    assert torch.isclose((out * b).sum(), (a * filtered_back(b, conv, a.shape)).sum())


def test_the_top_images_are_those_of_the_largest_maxima(net, x):
    maxima = probe.activations(net, x, ["3"])["3"][:, 5].flatten(1).amax(1)
    assert probe.top_images(net, x, "3", 5, 2).tolist() == maxima.argsort(descending=True)[:2].tolist()
    assert len(probe.top_images(net, x, "3", 5)) == 3


def test_looking_leaves_the_network_and_the_images_as_they_were(net, x):
    before, image = copy.deepcopy(net.state_dict()), x.clone()
    probe.deconvnet(net.train(), x, "5", 1)
    probe.occlusion(net, x[0], 1, 6, 4)
    assert net.training and torch.equal(x, image)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("layer", "channel", "message"),
    [("9", 0, "layer='9': the network has 0.0, 0.1"), ("3", 8, "channel=8: the layer has channels 0 to 7"),
     ("7", 0, "6 is a Flatten: up to '7' there may stand convolutions")],
)  # fmt: skip
def test_a_deconvnet_refuses_what_it_cannot_run_back(net, x, layer, channel, message):
    with pytest.raises(ValueError, match=message):
        probe.deconvnet(net, x, layer, channel)


def test_a_deconvnet_wants_a_chain(x):
    with pytest.raises(ValueError, match="ReLU is no chain"):
        probe.deconvnet(nn.ReLU(), x, "0", 0)


# Occlusion


def test_covering_matters_where_the_network_looks():
    class Corner(nn.Module):
        """Class 1 if pixel (2, 5) is bright."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(10.0))

        def forward(self, x):
            return torch.stack([torch.zeros(len(x)), self.scale * x[:, 0, 2, 5]], 1)

    seen = probe.occlusion(Corner(), torch.ones(1, 8, 9), 1, side=3)
    assert seen.shape == (6, 7)
    bright, dark = 1 / (1 + math.exp(-10)), 0.5
    for row in range(6):
        for col in range(7):
            covers = row <= 2 < row + 3 and col <= 5 < col + 3
            assert float(seen[row, col]) == pytest.approx(dark if covers else bright)


def test_occlusion_by_hand(net, x):
    image = x[0].clone()
    image[:, 8:14, 4:10] = 0.7
    seen = probe.occlusion(net, x[0], 2, side=6, step=4, fill=0.7)
    assert seen.shape == (4, 4)
    assert torch.isclose(seen[2, 1], net.eval()(image[None]).softmax(1)[0, 2])


def test_a_square_must_fit(net, x):
    with pytest.raises(ValueError, match="side=19: need a square that fits into 18 x 20 pixels"):
        probe.occlusion(net, x[0], 0, 19)
    with pytest.raises(ValueError, match="need one image"):
        probe.occlusion(net, x, 0, 3)


# Class maps


@pytest.mark.parametrize("name", ["nin_small", "nin_cifar", "squeezenet1_1", "resnet20_cifar", "googlenet"])
def test_the_mean_of_a_class_map_is_the_logit(name):
    with seeded(0):
        net = cnnlib.build(name)
        c, h, w = cnnlib.models.image_shape(name)
        x = torch.rand(2, c, h, w)
    maps = probe.class_maps(net, x)
    assert maps.ndim == 4 and maps.shape[2] > 1 and net.training
    assert torch.allclose(maps.mean((2, 3)), net.eval()(x), rtol=1e-3, atol=1e-4)


def test_class_maps_need_a_global_mean():
    with pytest.raises(ValueError, match="no means of maps"):
        probe.class_maps(cnnlib.build("alexnet_small"), torch.rand(1, 1, 28, 28))


def test_a_map_is_high_where_the_thing_is():
    """A network that counts bright pixels in one class and dark ones in the other."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.zeros_(net[0].bias)
    net[0].weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    x = torch.zeros(1, 1, 8, 8)
    x[..., 2:4, 5:7] = 1
    maps = probe.class_maps(net, x)
    assert torch.equal(maps[0, 0] > 0, x[0, 0] > 0) and torch.equal(maps[0, 1] < 0, x[0, 0] > 0)


# Aliasing


def wave(period, n=96, axis=3):
    ramp = torch.arange(n) * 2 * torch.pi / period
    line = (ramp + 0.4).cos() + 3  # a level that is no pattern
    return (line if axis == 3 else line[:, None]).expand(1, 1, n, n)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_what_is_finer_than_two_samples_a_period_is_aliased(axis, stride):
    assert probe.aliased_share(wave(3.2 * stride, axis=axis), stride).item() < 0.02
    share = probe.aliased_share(wave(1.4 * stride, axis=axis), stride).item()
    assert share > 0.98 if stride > 1 else share < 0.02  # of single pixels nothing is too fine


def test_aliasing_is_what_sampling_does():
    """A wave of 16 / 5 pixels, seen at every fourth, is the wave of 16 pixels: no sample differs."""
    fine, slow = (torch.cos(2 * torch.pi * torch.arange(64) / period) for period in (16 / 5, 16))
    assert torch.allclose(fine[::4], slow[::4], atol=1e-4) and not torch.allclose(fine, slow, atol=0.5)


def test_channels_are_counted_apart_and_a_flat_map_has_no_pattern():
    maps = torch.cat([wave(3), wave(40), torch.ones(1, 1, 96, 96)], 1)
    first, second, flat = probe.aliased_share(maps, 4).tolist()
    assert first > 0.95 and second < 0.05 and 0 <= flat <= 1
    with pytest.raises(ValueError, match="need \\(N, C, H, W\\)"):
        probe.aliased_share(maps[0], 4)


# Drawing


def test_a_heat_map_covers_its_image_and_is_yellow_where_it_is_high():
    maps = torch.zeros(1, 2, 2)
    maps[0, 0, 1] = 1
    ax = plot.heatmaps(torch.full((1, 1, 20, 20), 0.5), maps, ["a title"])
    drawn = ax.images[0].get_array()
    red, blue = drawn[..., 0], drawn[..., 2]
    assert red[2, 17] > blue[2, 17] and red[17, 2] < blue[17, 2]
    assert [t.get_text() for t in ax.texts] == ["a title"]
    with pytest.raises(ValueError, match="need one map an image"):
        plot.heatmaps(torch.zeros(2, 1, 8, 8), maps)
