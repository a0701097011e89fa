"""LeNet and AlexNet: bit-equal to the public reference, and true to their papers' words."""

import copy
import io
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib.models import alexnet, lenet
from cnnlib.models.layers import LocalResponseNorm

NAMES = [name for name in cnnlib.list_models() if name.startswith(("lenet", "alexnet"))]
CLASSES = {"alexnet": 1000, "alexnet_2012": 1000, "alexnet_lecture": 1000}


@pytest.fixture(scope="module")
def nets():
    """One built network a name: the large ones take a second each."""
    torch.manual_seed(0)
    return {name: cnnlib.build(name) for name in NAMES}


def pictures(name, n=2):
    return torch.rand(n, *cnnlib.models.image_shape(name), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
def test_alexnet_is_torchvisions_bit_for_bit(nets, mode):
    theirs = torchvision.models.alexnet().train(mode)
    ours = copy.deepcopy(nets["alexnet"]).train(mode)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = pictures("alexnet")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        a = ours(x)
        torch.manual_seed(3)
        b = theirs(x)
    assert torch.equal(a, b)
    assert mode or torch.equal(ours(x), a)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_answers_and_every_parameter_learns(nets, name):
    net = nets[name].eval()
    logits = net(pictures(name))
    assert logits.shape == (2, CLASSES.get(name, 10)) and logits.isfinite().all()
    net.zero_grad()
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    net.zero_grad()
    assert idle == []


@pytest.mark.parametrize("name", ["lenet5", "lenet_lecture", "alexnet_small"])
def test_networks_pickle_and_take_other_layouts_and_precisions(nets, name):
    net, x = nets[name].eval(), pictures(name, 1)
    y = net(x)
    assert torch.equal(pickle.loads(pickle.dumps(net))(x), y)
    assert torch.allclose(net(x.to(memory_format=torch.channels_last)), y, atol=1e-4)
    double = copy.deepcopy(net).double()(x.double())
    assert torch.allclose(double.float(), y, atol=1e-3)
    assert copy.deepcopy(net).bfloat16()(x.bfloat16()).isfinite().all()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = cnnlib.build(name).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), y)


def test_classes_and_channels_are_arguments():
    net = cnnlib.build("alexnet_small", num_classes=7, in_channels=3)
    assert net(torch.rand(2, 3, 28, 28)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("alexnet_2021", {}, "did you mean alexnet_2012"),
        ("nothing like it", {}, "list_models"),
        ("lenet5", {"num_classes": 3}, "lenet5 does not take it"),
        ("alexnet_small", {"num_classes": 0}, "num_classes=0"),
        ("alexnet_small", {"in_channels": 2.5}, "in_channels=2.5"),
    ],
)
def test_bad_names_and_options_are_refused_in_one_sentence(name, options, words):
    with pytest.raises(ValueError, match=words):
        cnnlib.build(name, **options)


# ---- LeNet-5, 1998 ----


def test_lenet5_has_the_papers_parameters_layer_by_layer(nets):
    """Sec. II-B names the trainable parameters of each layer; they sum to 60,000."""
    held = {name: sum(p.numel() for p in part.parameters()) for name, part in nets["lenet5"].named_children()}
    told = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert {name: n for name, n in held.items() if n} == told and sum(told.values()) == 60_000


def test_the_connection_table_is_the_papers():
    sizes = [len(row) for row in lenet.C3_TABLE]
    assert sizes == [3] * 6 + [4] * 9 + [6] and len(set(lenet.C3_TABLE)) == 16
    used = [sum(i in row for row in lenet.C3_TABLE) for i in range(6)]
    assert used == [10] * 6  # each S2 map feeds ten C3 maps


def test_partial_convolution_is_a_full_one_with_absent_weights_at_zero(nets):
    c3, full = nets["lenet5"].c3, nn.Conv2d(6, 16, 5)
    nn.init.zeros_(full.weight)
    with torch.no_grad():
        for i, (seen, conv) in enumerate(zip(lenet.C3_TABLE, c3.maps, strict=True)):
            full.weight[i, list(seen)] = conv.weight[0]
            full.bias[i] = conv.bias[0]
    x = torch.randn(2, 6, 14, 14)
    assert torch.allclose(c3(x), full(x), atol=1e-5)


def test_subsampling_by_hand():
    layer = lenet.Subsample(1)
    nn.init.constant_(layer.weight, 0.5)
    nn.init.constant_(layer.bias, 3)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    by_hand = torch.tensor([[0 + 1 + 4 + 5, 2 + 3 + 6 + 7], [8 + 9 + 12 + 13, 10 + 11 + 14 + 15]])
    assert torch.equal(layer(x)[0, 0], by_hand * 0.5 + 3)


def test_the_squashing_maps_one_to_one():
    f = lenet.ScaledTanh()
    assert torch.allclose(f(torch.tensor([1.0, -1.0, 0.0])), torch.tensor([1.0, -1.0, 0.0]), atol=1e-4)


def test_a_digit_that_is_its_own_code_wins_with_distance_zero():
    codes = lenet.digit_codes()
    logits = lenet.DigitCodes()(codes)
    assert codes.shape == (10, 84) and codes.abs().eq(1).all()
    assert torch.equal(logits.diagonal(), torch.zeros(10)) and torch.equal(logits.argmax(1), torch.arange(10))
    different = 84 - codes @ codes.T  # twice the pixels in which two codes differ
    assert logits.allclose(-2 * different)


def test_lenet5_keeps_its_units_in_the_linear_range(nets):
    """The 1998 initialisation: nothing saturates at 1.7159 at the start."""
    x = pictures("lenet5", 8)
    for layer in nets["lenet5"]:
        x = layer(x)
        if isinstance(layer, lenet.ScaledTanh):
            assert x.abs().mean() < 1.2


# ---- AlexNet, 2012 ----


def test_two_groups_are_two_towers():
    conv = nn.Conv2d(96, 256, 5, padding=2, groups=2)
    x = torch.randn(1, 96, 9, 9)
    towers = zip(x.split(48, 1), conv.weight.split(128), conv.bias.split(128), strict=True)
    apart = [F.conv2d(half, weight, bias, padding=2) for half, weight, bias in towers]
    assert torch.allclose(conv(x), torch.cat(apart, 1), atol=1e-5)


def test_the_towers_meet_where_the_paper_says(nets):
    convs = [m for m in nets["alexnet_2012"].features if isinstance(m, nn.Conv2d)]
    assert [m.groups for m in convs] == [1, 2, 1, 2, 2]
    assert [m.out_channels for m in convs] == [96, 256, 384, 384, 256]


def test_the_order_is_conv_relu_norm_pool(nets):
    kinds = [type(m).__name__ for m in nets["alexnet_2012"].features]
    assert kinds[:8] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2


def test_the_paper_image_side_is_wrong_by_three_pixels(nets):
    shapes = [
        nets["alexnet_2012"].features[0](torch.zeros(1, 3, side, side)).shape[-1] for side in (224, 227)
    ]
    assert shapes == [54, 55]


def test_response_norm_is_the_papers_formula():
    """b_i = a_i / (k + alpha * sum of the n nearest channels' squares) ^ beta, written as loops."""
    a = torch.randn(2, 7, 3, 3)
    b = torch.empty_like(a)
    for i in range(7):
        energy = sum(a[:, j] ** 2 for j in range(max(0, i - 2), min(6, i + 2) + 1))
        b[:, i] = a[:, i] / (2 + 1e-4 * energy) ** 0.75
    assert torch.allclose(LocalResponseNorm()(a), b, atol=1e-6)
    strong = 100 * a  # where the convention matters
    assert not torch.allclose(LocalResponseNorm()(strong), nn.LocalResponseNorm(5, 1e-4, 0.75, 2)(strong))
    assert torch.allclose(LocalResponseNorm()(strong), nn.LocalResponseNorm(5, 5e-4, 0.75, 2)(strong))


def test_alexnet_starts_as_the_paper_says(nets):
    weighted = [m for m in nets["alexnet_2012"].modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [m.bias.unique().tolist() for m in weighted] == [[0], [1], [0], [1], [1], [1], [1], [0]]
    assert all(0.0095 < m.weight.std() < 0.0105 and abs(m.weight.mean()) < 5e-4 for m in weighted)


@pytest.mark.parametrize("kernel", [2, 3])
def test_both_pools_of_the_small_alexnet_put_out_the_same_shapes(kernel):
    cost = cnnlib.trace(alexnet.small(pool_kernel=kernel), (1, 28, 28))
    assert [r.out for r in cost.rows if r.kind == "MaxPool2d"] == [(24, 16, 16), (64, 8, 8), (48, 4, 4)]


def test_every_family_has_a_small_network():
    families = (
        "lenet alexnet zfnet vgg nin googlenet resnet senet preresnet wrn resnext stochastic fractalnet"
    )
    families += " densenet squeezenet inception"
    small = [n.removesuffix("_small") for n in cnnlib.list_models() if n.endswith("_small")]
    assert small == families.split()


@pytest.mark.parametrize("name", [n for n in cnnlib.list_models() if n.endswith("_small")])
def test_small_networks_have_a_quarter_of_a_million_parameters(name):
    assert 225_000 <= sum(p.numel() for p in cnnlib.build(name).parameters()) <= 275_000
