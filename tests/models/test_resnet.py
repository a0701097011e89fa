"""Residual blocks: what the paper draws, where its stride sits, and how its networks start."""

import pytest
import torch
from torch import nn
from twins import noise, on_meta, order

import cnnlib
from cnnlib.models import init, resnet
from cnnlib.models.layers import Residual, ZeroPad

BRANCHES = {"basic": resnet.basic, "bottleneck": resnet.bottleneck}


def zero_last_norm(block):
    last = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d) and m is not block.downsample]
    path = [getattr(block, name) for name in block.path]
    norm = [m for m in path if m in last][-1]
    nn.init.zeros_(norm.weight)
    return block


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_each_convolution_is_normalised_then_rectified_but_the_last_waits_for_the_sum(branch):
    kinds = order(branch(16, 16, 1).values())
    assert kinds == "conv bn relu " * (kinds.count("conv") - 1) + "conv bn"
    block = resnet.residual(branch)(16, 16, 1).eval()
    x = noise(2, 16, 8, 8)
    inside = block.branch(x)
    assert (inside < 0).any()
    assert torch.equal(block(x), (inside + x).relu())


@pytest.mark.parametrize("option", [resnet.option_a, resnet.option_b, resnet.option_c])
@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(16, 16, 1), (16, 32, 2)])
@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_with_its_last_norm_at_zero_a_block_is_its_rectified_shortcut(branch, c_in, c_out, stride, option):
    block = zero_last_norm(resnet.residual(branch, option)(c_in, c_out, stride)).eval()
    x = noise(2, c_in, 8, 8)
    told = x if block.downsample is None else block.downsample(x)
    assert torch.equal(block(x), told.relu()) and block(x).shape == (2, c_out, 8 // stride, 8 // stride)


def test_an_identity_shortcut_holds_nothing_and_a_projection_what_the_paper_says():
    held = {
        option: [
            sum(p.numel() for p in (path.parameters() if path is not None else []))
            for path in (option(16, 16, 1), option(16, 32, 1), option(16, 32, 2))
        ]
        for option in (resnet.option_a, resnet.option_b, resnet.option_c)
    }
    changed = 16 * 32 + 2 * 32
    assert held[resnet.option_a] == [0, 0, 0]
    assert held[resnet.option_b] == [0, changed, changed]
    assert held[resnet.option_c] == [16 * 16 + 2 * 16, changed, changed]
    assert resnet.option_a(16, 16, 1) is None and resnet.option_b(16, 16, 1) is None


def test_option_a_keeps_every_second_pixel_and_adds_empty_channels():
    x = noise(1, 2, 5, 4)
    y = ZeroPad(2, 5, 2)(x)
    assert torch.equal(y[:, :2], x[..., ::2, ::2]) and y.shape == (1, 5, 3, 2) and not y[:, 2:].any()


def test_options_are_an_argument_of_the_small_image_networks():
    made = {
        option: on_meta("resnet20_cifar", shortcut=option).layer2[0].downsample
        for option in (resnet.option_a, resnet.option_b)
    }
    assert isinstance(made[resnet.option_a], ZeroPad) and isinstance(made[resnet.option_b], nn.Sequential)
    assert isinstance(on_meta("resnet20_cifar").layer2[0].downsample, ZeroPad)
    assert on_meta("resnet20_cifar", shortcut=resnet.option_c).layer1[1].downsample is not None


def test_where_the_stride_sits():
    """The paper's in the first 1x1 of a stage, the public weights' in its 3x3; the first stage has none."""
    for name, strides in (("resnet50_v1", (2, 1, 1)), ("resnet50", (1, 2, 1)), ("resnet34", (2, 1))):
        net = on_meta(name)
        for stage in (net.layer2, net.layer3, net.layer4):
            convs = [m for m in (getattr(stage[0], n) for n in stage[0].path) if isinstance(m, nn.Conv2d)]
            assert tuple(m.stride[0] for m in convs) == strides
            assert stage[0].downsample[0].stride == (2, 2)
        rest = [net.layer1, *(stage[1:] for stage in (net.layer2, net.layer3, net.layer4))]
        assert {m.stride for part in rest for m in part.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}


@pytest.mark.parametrize(
    ("name", "maps"),
    [("resnet18", [64, 56, 56, 28, 14, 7]), ("resnet20_cifar", [32, 32, 16, 8]), ("resnet_small", [28, 28, 14, 7, 4])],
)  # fmt: skip
def test_the_pyramid(name, maps):
    net = on_meta(name)
    x, sides = torch.empty(1, *cnnlib.models.image_shape(name), device="meta"), []
    for part_name, part in net.named_children():
        x = part(x)
        if part_name in ("relu", "maxpool") or part_name.startswith("layer"):
            sides.append(x.shape[-1])
    assert sides == ([112, *maps[1:]] if name == "resnet18" else maps)


@pytest.mark.parametrize("depth", [20, 56, 110])
def test_depth_is_6n_plus_2_and_the_plain_twin_lacks_the_shortcuts_alone(depth):
    residual, plain = on_meta(f"resnet{depth}_cifar"), on_meta(f"plain{depth}_cifar")
    layers = [m for m in residual.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth
    assert sum(isinstance(m, Residual) for m in residual.modules()) == (depth - 2) // 2
    assert not any(isinstance(m, Residual) for m in plain.modules())
    assert {k: v.shape for k, v in residual.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }


def test_the_twin_answers_otherwise_with_the_same_weights():
    torch.manual_seed(0)
    residual, plain = cnnlib.build("resnet20_w8").eval(), cnnlib.build("plain20_w8").eval()
    plain.load_state_dict(residual.state_dict())
    x = noise(2, 1, 28, 28)
    assert not torch.allclose(residual(x), plain(x))
    with torch.no_grad():  # by hand: the plain network is the branches and their ReLUs
        y = plain.relu(plain.bn1(plain.conv1(x)))
        for block in (b for stage in (residual.layer1, residual.layer2, residual.layer3) for b in stage):
            y = block.branch(y).relu()
    assert torch.equal(plain.fc(y.mean((2, 3))), plain(x))


# ---- how they start ----


def test_convolutions_start_with_variance_2_over_fan_out():
    torch.manual_seed(0)
    net = cnnlib.build("resnet20_cifar")
    for conv in (m for m in net.modules() if isinstance(m, nn.Conv2d)):
        fan_out = conv.out_channels * 9
        assert conv.weight.var().item() == pytest.approx(2 / fan_out, rel=0.25)
        assert abs(conv.weight.mean()) < 5 * conv.weight.std() / conv.weight.numel() ** 0.5


def energies(scale, depth=24):
    """Mean square behind each ReLU of a plain stack of convolutions without norms."""
    torch.manual_seed(0)
    x, out = noise(4, 96, 8, 8), []
    for _ in range(depth):
        conv = init.he_normal(nn.Conv2d(96, 96, 3, padding=1, padding_mode="circular", bias=False))
        with torch.no_grad():
            conv.weight *= scale
            x = conv(x).relu()
        out.append(x.square().mean().item())
    return out


def test_that_start_keeps_the_energy_at_every_depth_and_half_the_variance_loses_it():
    kept, lost = energies(1), energies(0.5**0.5)
    assert all(0.03 < e / kept[0] < 30 for e in kept)
    assert lost[-1] / lost[0] == pytest.approx(0.5**23 * kept[-1] / kept[0], rel=1e-3)


def test_glorots_start_keeps_the_variance_of_tanh_and_halves_that_of_relu():
    """Glorot counts on units that are linear near zero; behind a ReLU half of the energy is gone at each layer."""
    torch.manual_seed(0)
    net = init.glorot_uniform(nn.Sequential(*(nn.Linear(256, 256) for _ in range(12))))
    bound = (6 / 512) ** 0.5
    assert all(m.weight.abs().max() <= bound and not m.bias.any() for m in net)
    assert net[0].weight.var().item() == pytest.approx(2 / 512, rel=0.05)
    left = {}
    with torch.no_grad():
        for name, act in (("linear", nn.Identity()), ("relu", nn.ReLU())):
            x, energy = noise(512, 256), []
            for layer in net:
                x = act(layer(x))
                energy.append(x.square().mean().item())
            left[name] = energy
    assert all(0.7 < e < 1.4 for e in left["linear"])
    steps = [b / a for a, b in zip(left["relu"], left["relu"][1:], strict=False)]
    assert all(0.35 < step < 0.65 for step in steps) and left["relu"][-1] < 2**-10


def test_in_a_residual_network_the_energy_grows_by_a_share_a_block_and_in_a_plain_one_it_does_not():
    """At the start each branch ends in a norm, so it adds variance 1 to what the shortcut carries."""
    torch.manual_seed(0)
    grown = {}
    for kind, block in (("residual", resnet.residual(resnet.basic)), ("plain", resnet.plain(resnet.basic))):
        blocks = [block(16, 16, 1) for _ in range(12)]
        x = init.he_normal(nn.Sequential(*blocks)) and noise(8, 16, 12, 12).relu()
        with torch.no_grad():
            energy = [(x := b(x)).square().mean().item() for b in blocks]
        grown[kind] = energy
    assert all(0.4 < e < 0.6 for e in grown["plain"])  # half of variance 1 is rectified away
    steps = [b - a for a, b in zip(grown["residual"], grown["residual"][1:], strict=False)]
    assert all(step > 0.2 for step in steps) and grown["residual"][-1] > 5


# ---- bad input ----


@pytest.mark.parametrize("depth", [21, 2, 0, -4, 20.5])
@pytest.mark.parametrize("make", [resnet.resnet_cifar, resnet.plain_cifar])
def test_a_depth_that_is_not_6n_plus_2_is_refused_with_the_rule(make, depth):
    with pytest.raises(ValueError, match=r"depth=.*need 6n \+ 2, such as \d+ or \d+"):
        make(depth)


def test_the_refusal_names_the_neighbours():
    with pytest.raises(ValueError, match="such as 20 or 26"):
        resnet.resnet_cifar(23)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ratio": 3}, "ratio=3: 16 channels"),
        ({"groups": 3}, "groups=3: must divide the 4"),
        ({"groups": 0}, "groups=0"),
    ],
)
def test_widths_that_do_not_divide_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        resnet.bottleneck(16, 16, 1, **options)


def test_a_padded_shortcut_cannot_take_channels_away():
    with pytest.raises(ValueError, match="c_out=8"):
        ZeroPad(16, 8, 1)
