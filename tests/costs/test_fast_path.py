"""What is answered at once is what PyTorch would have answered, and anything unusual goes PyTorch's own way."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib import models
from cnnlib.costs import counter, fast_path

ONE_A_FAMILY = (
    "lenet5", "alexnet_2012", "zfnet", "vgg11_bn", "nin", "googlenet_2014", "inception_v3", "resnet50",
    "wrn_16_4", "resnext50_32x4d", "fractalnet20", "densenet121", "squeezenet1_1", "seresnet50",
    "mobilenet_v2", "shufflenet_v2", "convnext_tiny",
)  # fmt: skip


def build(name):
    library, _, known = name.rpartition(":")
    if not library:
        return models.build(name), models.image_shape(name)
    with torch.device("meta"):
        return torchvision.models.get_model(known, weights=None), (3, 224, 224)


@pytest.mark.parametrize(
    "name", [*ONE_A_FAMILY, "torchvision:vit_b_16", "torchvision:swin_t", "torchvision:efficientnet_b0"]
)
def test_costs_are_the_same_without_shortcuts(name, monkeypatch):
    net, image = build(name)
    short = cnnlib.trace(net, image)
    monkeypatch.setattr(fast_path, "FUNCTIONS", {})
    monkeypatch.setattr(counter, "LAYERS", {})
    general = cnnlib.trace(net, image)
    assert short.rows == general.rows and short.memory == general.memory and short.ops == general.ops
    assert short.receptive_field == general.receptive_field


X, W = torch.empty(2, 6, 9, 7, device="meta"), torch.empty(4, 3, 3, 2, device="meta")
C = torch.empty(6, device="meta")
TALL = X.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.conv2d(X, W, groups=2),
        lambda: F.conv2d(X, W, torch.empty(4, device="meta"), (2, 1), (0, 1), (1, 3), 2),
        lambda: F.conv2d(TALL, W, groups=2),
        lambda: F.conv2d(X, W[..., :1].contiguous(), padding="same", groups=2),
        lambda: F.conv2d(X, W[..., :1], groups=2),
        lambda: F.conv2d(X.half(), W.half(), groups=2),
        lambda: F.conv2d(X[0], W, groups=2),
        lambda: F.conv2d(X.half(), W, groups=2),
        lambda: F.batch_norm(X, C, C, C, C),
        lambda: F.batch_norm(TALL, C, C),
        lambda: F.relu(X),
        lambda: F.relu(TALL, inplace=True),
        lambda: F.relu(X[:, :, ::2]),
        lambda: F.batch_norm(X[..., 1:], C, C),
        lambda: F.gelu(X),
        lambda: F.gelu(X, approximate="tanh"),
        lambda: F.gelu(X.transpose(1, 2)),
        lambda: F.silu(X),
        lambda: F.silu(X.clone(), inplace=True),
        lambda: X.sigmoid(),
        lambda: torch.sigmoid(torch.ones(2, dtype=torch.int64, device="meta")),
        lambda: X * X,
        lambda: X * X[:, :, :1, :1].contiguous(),
        lambda: TALL * X[:, :, :1, :1].contiguous(),
        lambda: X * X[:, :, :1],
        lambda: X[:, :, :1, :1].contiguous() * X,
        lambda: X * 2,
        lambda: F.avg_pool2d(X, 3, 2, 1),
        lambda: F.avg_pool2d(X, 2, ceil_mode=True, count_include_pad=False),
        lambda: F.avg_pool2d(TALL, 2),
        lambda: F.avg_pool2d(X[0], 2),
        lambda: F.layer_norm(X, (9, 7)),
        lambda: F.layer_norm(TALL, (7,)),
        lambda: F.linear(X[0, 0], torch.empty(5, 7, device="meta"), torch.empty(5, device="meta")),
        lambda: F.linear(X[0, 0], torch.empty(5, 7, device="meta")),
        lambda: F.linear(X, torch.empty(5, 7, device="meta"), torch.empty(5, device="meta")),
        lambda: F.max_pool2d(X, 3, 2, 1),
        lambda: F.max_pool2d(X, (3, 2), ceil_mode=True, dilation=(1, 2)),
        lambda: F.max_pool2d(TALL, 2),
        lambda: F.max_pool2d(X, 2, return_indices=True)[0],
        lambda: F.adaptive_avg_pool2d(X, 1),
        lambda: F.adaptive_avg_pool2d(TALL, (1, 1)),
        lambda: F.adaptive_avg_pool2d(X, (3, None)),
        lambda: torch.add(X, X),
        lambda: X[:, :, ::2] + X[:, :, ::2],
        lambda: torch.add(X, X, alpha=2),
        lambda: X + TALL,
        lambda: X + X[:1],
        lambda: X + 1,
        lambda: torch.cat([X, X[:, :2]], 1),
        lambda: torch.cat([X, X], dim=-1),
        lambda: torch.cat([X, X.double()]),
        lambda: torch.cat([TALL, TALL], 1),
        lambda: torch.cat([torch.empty(0, device="meta"), X]),
    ],
)
def test_a_result_is_the_one_that_pytorch_gives(call):
    right = call()
    with torch.no_grad(), fast_path.FastPath(lambda *call: None):
        short = call()
    assert (short.shape, short.dtype, short.stride()) == (right.shape, right.dtype, right.stride())


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.conv2d(X, W),
        lambda: F.conv2d(X, W, groups=2, stride=0),
        lambda: F.conv2d(X[:, :, :2], W, groups=2),
        lambda: F.batch_norm(X, C[:5], C[:5]),
        lambda: F.layer_norm(X, (8, 7)),
        lambda: F.linear(X[0, 0], W[0, 0], C),
        lambda: F.max_pool2d(X, 3, padding=2),
        lambda: F.max_pool2d(X, 10),
        lambda: F.avg_pool2d(X, 10),
        lambda: X * X[:, :4],
        lambda: torch.cat([X, X[:, :, :1]], 1),
        lambda: torch.cat([X, X], 4),
        lambda: X + X[:, :4],
    ],
)
def test_what_does_not_fit_is_refused_as_pytorch_refuses_it(call):
    with pytest.raises(Exception) as right:
        call()
    with pytest.raises(type(right.value)) as short, torch.no_grad(), fast_path.FastPath(lambda *call: None):
        call()
    assert str(short.value) == str(right.value)


def test_the_calls_of_a_network_take_the_short_way():
    seen = []
    net = (
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        .to("meta")
        .eval()
    )
    with torch.no_grad(), fast_path.FastPath(lambda op, args, out: seen.append(op.__name__)):
        x = net(X)
        x += X
        torch.cat([x, X + X], 1)
    assert seen == ["convolution", "native_batch_norm", "relu_", "add_", "add", "cat"]


# ---- layers ----


class Own(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) + 1


def changed(change):
    conv = nn.Conv2d(3, 4, 3)
    return change(conv) or conv


def hooked(conv):
    conv.register_forward_hook(lambda module, args, out: out * 2)


def normed(conv):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old form, by a hook, is deprecated and in use
        return nn.utils.weight_norm(conv)


def patched(conv):
    conv.forward = lambda x: F.conv2d(x, conv.weight, conv.bias).relu()


@pytest.mark.parametrize(
    ("net", "ops"),
    [
        (changed(lambda conv: None), {"convolution"}),
        (Own(3, 4, 3), {"convolution", "add"}),
        (changed(hooked), {"convolution", "mul"}),
        (changed(normed), {"convolution", "_weight_norm_interface"}),
        (changed(patched), {"convolution", "relu"}),
        (nn.Conv2d(3, 4, 3, padding_mode="circular"), {"convolution"}),
        (nn.Conv2d(3, 4, 3, padding="same"), {"convolution"}),
        (nn.BatchNorm2d(3, track_running_stats=False), {"native_batch_norm"}),
        (nn.BatchNorm2d(3, affine=False), {"native_batch_norm"}),
    ],
    ids=(
        "plain", "subclass", "hook", "old weight norm", "own forward", "circular", "same", "no statistics", "no scale"
    ),
)  # fmt: skip
def test_a_layer_that_does_more_than_its_class_is_run(net, ops, monkeypatch):
    found = cnnlib.trace(net, (3, 9, 9))
    assert found.ops.keys() == ops and found.params == sum(p.numel() for p in net.parameters())
    monkeypatch.setattr(fast_path, "FUNCTIONS", {})
    monkeypatch.setattr(counter, "LAYERS", {})
    general = cnnlib.trace(net, (3, 9, 9))
    assert found.rows == general.rows and found.memory == general.memory


def test_a_layer_asked_by_keyword_or_twice():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = self.same = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(input=self.conv(x)) + self.conv.forward(x)

    cost = cnnlib.trace(Net(), (3, 9, 9))
    assert cost.macs == 3 * 81 * 81 and cost.params == 84
    assert [(row.name, row.call) for row in cost.rows if row.layer] == [("conv", 0), ("conv", 1), ("conv", 2)]


def test_a_parameter_that_a_layer_was_given_and_does_not_use_is_not_its_own():
    conv = nn.Conv2d(3, 4, 3)
    conv.scale = nn.Parameter(torch.ones(7))
    cost = cnnlib.trace(nn.Sequential(conv), (3, 9, 9))
    assert [(row.name, row.params) for row in cost.rows] == [("0", 112), ("0 (not used)", 7)]


def test_what_a_run_puts_in_place_of_layers_is_gone_afterwards():
    for net, image in ((nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 9, 9)), (Own(3, 4, 3), (3, 9, 9))):
        assert not any("forward" in vars(module) for module in cnnlib.trace(net, image).module.modules())


class Steep(nn.Module):
    """A forward pass that looks at its own gradient."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(F.relu(self.body(x)).sum(), x)[0]


class Mapped(nn.Module):
    """Five images at once, of which each call sees one."""

    def __init__(self, call):
        super().__init__()
        self.conv, self.call = nn.Conv2d(3, 4, 3), call

    def forward(self, x):
        return torch.vmap(lambda image: self.call(self, image))(x.expand(5, *x.shape))


@pytest.mark.parametrize(
    ("net", "macs"),
    [
        (Steep(), 36 * 4 * 27),
        (Mapped(lambda net, x: net.conv(x)), 5 * 36 * 4 * 27),
        (Mapped(lambda net, x: F.conv2d(x, net.conv.weight)), 5 * 36 * 4 * 27),
    ],
    ids=["gradient", "layer under vmap", "function under vmap"],
)
def test_gradients_and_transforms_are_left_to_pytorch(net, macs):
    cost = cnnlib.trace(net, (3, 8, 8))
    assert cost.macs == macs and cost.params == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("image", [(3,), (3, 8)])
def test_a_batch_norm_for_maps_refuses_what_is_none(image):
    with pytest.raises(ValueError, match="expected 4D input"):
        cnnlib.trace(nn.BatchNorm2d(3), image)
