"""Cases that counters have got wrong, and modules that do their work out of a module counter's sight."""

import cost_witness as witness
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cnnlib

# ---- reported against counters in use, with the right numbers ----


def test_groups_are_counted_once():
    depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=32, bias=False)
    cost = cnnlib.trace(depthwise, (64, 56, 56))
    assert (cost.params, cost.macs) == (1152, 3_612_672)


def test_a_strided_layer_counts_the_map_that_comes_out_height_before_width():
    conv = nn.Conv2d(3, 7, 3, stride=2, padding=1)
    row = cnnlib.trace(conv, (3, 32, 20)).rows[0]
    assert row.out == (7, 16, 10)
    assert row.macs == 7 * 16 * 10 * 3 * 3 * 3 == witness.macs(conv, torch.zeros(1, 3, 32, 20))


def test_parameters_that_a_container_holds():
    class Gated(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 2), nn.Linear(2, 2))
            self.gate = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x + self.gate * super().forward(x)

    assert cnnlib.trace(Gated(), (2,)).params == 14


def test_macs_are_macs_and_biases_stand_apart():
    cost = cnnlib.trace(nn.Conv2d(3, 5, 3), (3, 6, 6))
    assert (cost.macs, cost.work.bias) == (2160, 80)
    assert "MACs" in repr(cost) and "FLOPs" not in repr(cost)
    assert "one multiply and its add" in repr(cost)


def test_a_linear_layer_works_at_every_place_of_a_higher_rank():
    assert cnnlib.trace(nn.Linear(3, 8), (10, 3), batch=5).macs == 1200
    assert cnnlib.trace(nn.Linear(3, 8), (2, 5, 7, 3)).macs == 2 * 5 * 7 * 24


def test_two_calls_and_three_modes_give_one_number():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    first = cnnlib.trace(net, (3, 8, 8))
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            again = cnnlib.trace(net, (3, 8, 8))
        assert again.rows == first.rows


@pytest.mark.parametrize(
    ("layer", "sides", "out"),
    [
        (nn.ConvTranspose2d(1, 1, 3, dilation=2), (10, 10), (14, 14)),
        (nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1), (8, 8), (16, 16)),
        (nn.ConvTranspose2d(1, 1, 4, 4), (128, 128), (512, 512)),
        (nn.ConvTranspose2d(1, 1, (3, 5), (2, 1), (4, 2), dilation=(3, 1)), (50, 50), (97, 50)),
        (nn.MaxPool2d(2), (25, 25), (12, 12)),
        (nn.MaxPool2d(3, 2, 1, ceil_mode=True), (64, 64), (33, 33)),
    ],
)
def test_sizes_of_transposed_layers_and_pools(layer, sides, out):
    assert cnnlib.trace(layer, (1, *sides)).rows[0].out == (1, *out)


def test_dilated_layers_see_13_and_25_pixels():
    three = [nn.Conv2d(1, 1, 3, dilation=d) for d in (1, 2, 3)]
    assert cnnlib.trace(nn.Sequential(*three), (1, 40, 40)).receptive_field == 13
    assert cnnlib.trace(nn.Sequential(*three, *three), (1, 40, 40)).receptive_field == 25


def test_the_field_is_1_before_any_layer_and_never_shrinks():
    cost = cnnlib.trace(nn.Sequential(nn.Identity(), nn.ReLU()), (3, 9, 9))
    assert cost.receptive_field == 1
    sizes = [r.span.size for r in cnnlib.trace(cnnlib.build("vgg16"), (3, 224, 224)).rows if r.span]
    assert sizes[0] == 3 and sizes == sorted(sizes)


# ---- work that no convolution or linear layer does ----


class Do(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class First(nn.Module):
    """The first output of a layer that is called with one input as often as it wants."""

    def __init__(self, layer, times=1, **options):
        super().__init__()
        self.layer, self.times, self.options = layer, times, options

    def forward(self, x):
        return self.layer(*[x] * self.times, **self.options)[0]


SEQUENCE = [
    *(First(kind(3, 4, batch_first=True)) for kind in (nn.RNN, nn.LSTM, nn.GRU)),
    *(First(kind(3, 4, 2, batch_first=True, bidirectional=True)) for kind in (nn.RNN, nn.LSTM, nn.GRU)),
    First(nn.LSTM(3, 4, batch_first=True, proj_size=2, bias=False)),
]


@pytest.mark.parametrize("net", SEQUENCE, ids=lambda net: repr(net.layer))
def test_recurrent_layers(net):
    cost = cnnlib.trace(net, (5, 3), batch=2)
    assert cost.macs == witness.macs(net, torch.zeros(2, 5, 3)) > 0
    assert cost.params == witness.params(net) and cost.unsupported == {}


ATTENTION = [
    First(nn.MultiheadAttention(8, 2, batch_first=True), 3),
    First(nn.MultiheadAttention(8, 2, batch_first=True, bias=False), 3, need_weights=False),
    nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    nn.TransformerEncoderLayer(8, 4, 16, batch_first=True, norm_first=True, activation="gelu"),
    nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
    Do(lambda x: F.scaled_dot_product_attention(x, x, x)),
    Do(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("net", ATTENTION, ids=lambda net: type(getattr(net, "layer", net)).__name__)
def test_attention_in_every_form(net):
    cost = cnnlib.trace(net, (5, 8), batch=2)
    assert cost.macs == witness.macs(net, torch.zeros(2, 5, 8)) > 0
    assert cost.params == witness.params(net) and cost.unsupported == {}


def test_attention_by_the_textbook():
    n, length, width = 2, 5, 8
    cost = cnnlib.trace(First(nn.MultiheadAttention(width, 2, batch_first=True), 3), (length, width), batch=n)
    projections, products = 4 * n * length * width**2, 2 * n * length**2 * width
    assert cost.macs == projections + products


@pytest.mark.parametrize(
    ("formula", "shapes", "macs"),
    [
        ("bij,bjk->bik", [(3, 4), (4, 5)], 2 * 3 * 4 * 5),
        ("bij,bij->b", [(3, 4), (3, 4)], 2 * 3 * 4),
        ("bij,bjk,bkl->bil", [(3, 4), (4, 5), (5, 6)], 2 * (3 * 4 * 5 + 3 * 5 * 6)),
        ("bchw,bchv->bhwv", [(2, 3, 4), (2, 3, 5)], 2 * 3 * 2 * 4 * 5),
    ],
)
def test_einsum(formula, shapes, macs):
    net = Do(lambda *tensors: torch.einsum(formula, *tensors))
    assert cnnlib.trace(net, shapes, batch=2).macs == macs == witness.macs(net, *witness.images(shapes, 2))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_embeddings_only_add(mode):
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(10, 4, mode=mode)

        def forward(self, x):
            return self.bag(x.long())

    cost = cnnlib.trace(Bag(), (6,), batch=2)
    assert (cost.params, cost.macs, cost.work.elementwise, cost.unsupported) == (40, 0, 2 * 6 * 4, {})


# ---- several inputs and outputs ----


def test_several_inputs_of_different_shapes():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(6, 4)

        def forward(self, x, v):
            return self.conv(x) * self.fc(v)[:, :, None, None]

    net, shapes = Two(), [(3, 8, 8), (6,)]
    cost = cnnlib.trace(net, shapes, batch=3)
    assert cost.macs == witness.macs(net, *witness.images(shapes, 3)) == 3 * (36 * 4 * 27 + 24)
    assert cost.receptive_field == 3 and cost.image == ((3, 8, 8), (6,))


@pytest.mark.parametrize(
    "pack",
    [lambda y: {"out": y, "aux": [y * 2]}, lambda y: (y, y), lambda y: [y], lambda y: (None, {"a": (y,)})],
    ids=["dict", "tuple", "list", "nested"],
)
def test_outputs_of_any_form(pack):
    class Packs(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return pack(self.conv(x))

    cost = cnnlib.trace(Packs(), (3, 8, 8))
    assert cost.macs == 36 * 4 * 27 and cost.rows[0].out == (4, 6, 6)
    assert cost.training_memory > 0


# ---- wrappers ----


def test_wrapped_and_compiled_networks_are_what_they_wrap():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    rows = cnnlib.trace(plain, (3, 8, 8)).rows
    in_place = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    in_place.compile()  # nothing is compiled before the first call
    for net in (nn.DataParallel(plain), torch.compile(plain), in_place):
        assert cnnlib.trace(net, (3, 8, 8)).rows == rows
    inside = cnnlib.trace(nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3))), (3, 8, 8))
    assert inside.macs == 36 * 4 * 27 and inside.params == 112


def scripted():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; models that use it are not gone
        return torch.jit.script(nn.Conv2d(3, 4, 3))


def test_scripted_modules_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="scripted and hides its layers"):
        cnnlib.trace(scripted(), (3, 8, 8))
    with pytest.raises(ValueError, match="layer '1' is scripted and hides its layers"):
        cnnlib.trace(nn.Sequential(nn.Identity(), scripted()), (3, 8, 8))


def test_a_custom_autograd_function_is_counted():
    class Convolve(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(x, weight)
            return F.conv2d(x, weight)

        @staticmethod
        def backward(ctx, grad):
            return None, None

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, 3, 3, 3))

        def forward(self, x):
            return Convolve.apply(x, self.weight)

    cost = cnnlib.trace(Net(), (3, 8, 8))
    assert (cost.macs, cost.params, cost.receptive_field) == (36 * 4 * 27, 108, 3)
    assert cost.training_memory == 3 * 64 * 4  # the input that it saved


def test_reparametrised_weights():
    for wrap in (nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm):
        net = wrap(nn.Conv2d(3, 4, 3))
        cost = cnnlib.trace(net, (3, 8, 8))
        conv = sum(row.macs for row in cost.rows if row.out == (4, 6, 6))
        assert conv == 36 * 4 * 27 and cost.params == witness.params(net) and cost.unsupported == {}


# ---- receptive fields of what is no plain window ----


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_padding_of_every_kind_leaves_the_field_alone(mode):
    layers = [nn.Conv2d(1, 1, k, padding="same", padding_mode=mode) for k in (3, 5)]
    cost = cnnlib.trace(nn.Sequential(*layers), (1, 12, 12))
    assert cost.receptive_field == 7 and cost.rows[-1].span.start == -3


def test_padding_written_by_hand():
    def frame(x):
        whole = x.new_zeros(*x.shape[:2], x.shape[2] + 4, x.shape[3] + 3)
        whole[:, :, 1:-3, 2:-1] = x
        return whole

    net = nn.Sequential(Do(frame), nn.Conv2d(1, 1, 3))
    across, down = cnnlib.trace(net, (1, 20, 20)).rows[-1].span[::-1]
    assert (down.size, down.start, across.size, across.start) == (3, -1, 3, -2)


@pytest.mark.parametrize(
    ("net", "sees"),
    [
        (nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(1, 1, 3)), 2),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 1, 3)), 6),
        (nn.Upsample(scale_factor=2, mode="bicubic"), 4),
        (nn.Sequential(nn.Conv2d(4, 1, 3, 2), nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 2)), 5),
        (nn.Upsample(scale_factor=2, mode="nearest-exact"), 1),
    ],
    ids=["shuffle", "unshuffle", "bicubic", "even window", "nearest-exact"],
)
def test_enlargements_see_what_a_pulse_reaches(net, sees):
    c = 1 if isinstance(net, nn.Upsample) else 4
    cost = cnnlib.trace(net, (c, 20, 20))
    hits = witness.reached_by_pulse(witness.positive(net), (c, 20, 20))
    middle = hits[len(hits) // 4 : -len(hits) // 4]
    assert cost.rows[-1].span.size == sees == max(last - first + 1 for first, last in middle)
