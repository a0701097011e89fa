"""VGG, ResNet and its rows, DenseNet, SqueezeNet: the facts, and torchvision bit for bit."""

import pytest
import torch
import torchvision
from torch import nn

import cnnlib
from cnnlib import datasets
from cnnlib.arch import resnet
from cnnlib.layers import Residual, ZeroPad

FACTS = {(row["source"], row["name"]): row for row in datasets.facts("architectures")}
FAMILIES = ("vgg", "resn", "plain", "wide", "dense", "squeeze")
NAMES = [n for n in cnnlib.list_models() if n.startswith(FAMILIES)]
THEIRS = [n for n in NAMES if hasattr(torchvision.models, n)]


def fact(name):
    for key in (("torchvision", name), ("reference", name), ("reference", f"{name}_A")):
        if key in FACTS:
            return FACTS[key]
    return None


def on_meta(name):
    with torch.device("meta"):
        return cnnlib.build(name)


@pytest.mark.parametrize("name", [n for n in NAMES if fact(n)])
def test_it_costs_what_the_facts_say(name):
    row, cost = fact(name), cnnlib.trace(on_meta(name), cnnlib.arch.image_shape(name))
    assert cost.params == row["params"]
    assert cost.macs == row["macs"]
    assert cost.activations == row["conv_linear_activations"]
    assert cost.receptive_field == row["receptive_field"]
    assert (
        cost.buffers - sum(n.endswith("num_batches_tracked") for n, _ in on_meta(name).named_buffers())
        == row["bn_buffers"]
    )


def test_almost_every_name_is_in_the_facts():
    assert [n for n in NAMES if not fact(n)] == [
        "vgg_small", "resnext101_32x4d", "resnet20_w8", "resnet56_w8", "plain20_w8", "plain56_w8",
        "squeezenet1_0_simple_bypass", "squeezenet1_0_complex_bypass", "squeezenet_small",
    ]  # fmt: skip


# Large twins of what is tested anyway are left out for the time they take.
@pytest.mark.parametrize(
    "name",
    [n for n in THEIRS if FACTS["torchvision", n]["params"] < 30e6]
    + ["vgg11", "vgg11_bn", "wide_resnet50_2"],
)
def test_it_is_torchvisions_bit_for_bit_in_training_and_evaluation(name):
    kwargs = {"init_weights": False} if name.startswith("vgg") else {}
    theirs, ours = torchvision.models.get_model(name, **kwargs), on_meta(name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    weights = {k: v.clone() for k, v in theirs.state_dict().items()}
    ours.load_state_dict(weights, assign=True)
    x = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    for training in (True, False):
        answers = []
        for net in (ours.train(training), theirs.train(training)):
            torch.manual_seed(1)
            with torch.no_grad():
                answers.append(net(x))
        assert torch.equal(*answers) and answers[0].isfinite().all()


@pytest.mark.parametrize("name", [n for n in THEIRS if n not in ("vgg11", "vgg11_bn", "wide_resnet50_2")])
def test_its_weights_have_torchvisions_names_and_shapes(name):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name)
    shapes = {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in on_meta(name).state_dict().items()} == shapes


@pytest.mark.parametrize(
    "name", ["vgg_small", "resnet20_w8", "plain56_w8", "resnet18", "squeezenet1_1", "densenet121"]
)
def test_every_parameter_learns_and_two_answers_agree(name):
    torch.manual_seed(0)
    net = cnnlib.build(name)
    shape = cnnlib.arch.image_shape(name)
    x = torch.randn(4, shape[0], *(min(n, 64) for n in shape[1:]))
    net(x).square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        assert torch.allclose(net(x.to(memory_format=torch.channels_last)), net(x), atol=1e-3, rtol=1e-3)


# ---- residual blocks ----


def test_with_its_last_norm_at_zero_a_block_is_its_rectified_shortcut():
    block = resnet.residual(resnet.basic)(8, 8, 1)
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(block(x), x.relu())


def test_nothing_is_rectified_between_the_last_norm_and_the_sum():
    block = resnet.residual(resnet.bottleneck)(16, 16, 1).eval()
    x = torch.randn(4, 16, 6, 6)
    assert (block.branch(x.clone()) < 0).any() and (block(x) >= 0).all()
    assert isinstance(list(block.children())[-2], nn.BatchNorm2d)


def test_an_identity_shortcut_holds_nothing_and_a_projection_what_the_paper_says():
    assert resnet.residual(resnet.basic)(16, 16, 1).downsample is None
    assert sum(p.numel() for p in ZeroPad(16, 32, 2).parameters()) == 0
    changed = resnet.residual(resnet.basic)(16, 32, 2).downsample
    assert sum(p.numel() for p in changed.parameters()) == 16 * 32 + 2 * 32


def test_option_a_keeps_every_second_pixel_and_adds_empty_channels():
    x = torch.randn(1, 2, 4, 4)
    y = ZeroPad(2, 5, 2)(x)
    assert torch.equal(y[:, :2], x[..., ::2, ::2]) and y.shape == (1, 5, 2, 2) and not y[:, 2:].any()


def test_where_the_stride_sits():
    v1, v15 = on_meta("resnet50_v1").layer2[0], on_meta("resnet50").layer2[0]
    assert (v1.conv1.stride, v1.conv2.stride) == ((2, 2), (1, 1))
    assert (v15.conv1.stride, v15.conv2.stride) == ((1, 1), (2, 2))


@pytest.mark.parametrize("n", [3, 9])
def test_depth_is_6n_plus_2_and_the_twins_have_equal_bills(n):
    costs = [cnnlib.trace(on_meta(f"{kind}{6 * n + 2}_cifar"), (3, 32, 32)) for kind in ("resnet", "plain")]
    assert [sum(r.layer for r in c.rows) for c in costs] == [6 * n + 2] * 2
    assert costs[0].params == costs[1].params and costs[0].macs == costs[1].macs
    blocks = [m for m in on_meta(f"resnet{6 * n + 2}_cifar").modules() if isinstance(m, Residual)]
    assert len(blocks) == 3 * n and not any(
        isinstance(m, Residual) for m in on_meta("plain20_cifar").modules()
    )


def test_three_small_windows_see_what_a_large_one_sees():
    cost = cnnlib.trace(on_meta("vgg16"), (3, 224, 224))
    assert [r.out[0] for r in cost.rows if r.kind == "MaxPool2d"] == [64, 128, 256, 512, 512]
    told = [r for r in datasets.facts("lecture_vgg16") if r["kind"] == "conv"]
    convs = [r for r in cost.rows if r.kind == "Conv2d"]
    for row, printed in zip(convs, told, strict=True):
        assert (row.params, row.macs, row.span.size) == (printed["params"], printed["macs"], printed["rf"])


def test_squeezenet_rounds_its_pools_up():
    cost = cnnlib.trace(on_meta("squeezenet1_0"), (3, 224, 224))
    assert [r.out[1] for r in cost.rows if r.kind in ("Conv2d", "MaxPool2d") and "features" in r.name and (
        r.name == "features.0" or r.kind == "MaxPool2d")] == [109, 54, 27, 13]  # fmt: skip


def test_a_dense_layer_keeps_what_it_reads():
    net = on_meta("densenet121")
    layer = net.features.denseblock1.denselayer1.to_empty(device="cpu").eval()
    for m in layer.modules():
        if hasattr(m, "reset_parameters"):
            m.reset_parameters()
    x = torch.randn(1, 64, 4, 4)
    assert torch.equal(layer(x)[:, :64], x) and layer(x).shape[1] == 64 + 32
