"""The deconvnet against gradients, transposes and the largest maxima."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnlib import probe
from cnnlib.insight.attribution import filtered_back, unpool
from cnnlib.models.layers import LocalResponseNorm


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
