"""A receptive field is right or it is not known: operations that reorder, repeat and pick units; and attention."""

import positive_copy
import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import cnnlib


def conv(c_in, c_out, kernel=3):
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)


class Do(nn.Module):
    """A function of layers and an image (4, 32, 32)."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x):
        return self.function(x, *self.layers)


def field(function, *layers):
    cost = cnnlib.trace(Do(function, *layers), (4, 32, 32))
    return cost.receptive_field


def split_view(x, c):
    n, channels, h, w = x.shape
    parts = x.view(n, channels, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return c(parts.reshape(n, 4 * channels, h // 2, w // 2))


def slices(x, c):
    return c(torch.cat([x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)], 1))


def tokens(x, fc, c):
    return c(fc(x.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape))


def shifted(x, c):
    """Half of the channels one pixel to the right, the others to the left."""
    out = torch.zeros_like(x)
    out[:, :2, :, 1:] = x[:, :2, :, :-1]
    out[:, 2:, :, :-1] = x[:, 2:, :, 1:]
    return c(out)


def by_gate(x, c):
    return c(x * x.view(*x.shape[:2], -1).mean(-1)[:, :, None, None].expand_as(x))


def with_pooled_branch(x, a, c):
    whole = F.interpolate(x.mean((2, 3), keepdim=True), size=x.shape[2:], mode="bilinear")
    return c(torch.cat([a(x), whole], 1))


def enlarged_and_plain(x, down, up, c):
    return c(up(down(x)) + x)


RIGHT = {  # by hand, or by the gradient of a positive copy
    "space to depth by a view": (split_view, (conv(16, 8),), 6),
    "space to depth by slices": (slices, (conv(16, 8),), 6),
    "space to depth by pixel_unshuffle": (lambda x, c: c(F.pixel_unshuffle(x, 2)), (conv(16, 8),), 6),
    "space to depth by unfold": (
        lambda x, c: c(x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 1, 4, 5, 2, 3).reshape(-1, 16, 16, 16)),
        (conv(16, 8),), 6,
    ),
    "depth to space by a view": (
        lambda x, c: c(x.view(-1, 1, 2, 2, 32, 32).permute(0, 1, 4, 2, 5, 3).reshape(-1, 1, 64, 64)),
        (conv(1, 4),), 2,
    ),
    "branches stacked and summed": (
        lambda x, a, b, c: c(torch.stack([a(x), b(x)], 1).sum(1)), (conv(4, 4), conv(4, 4), conv(4, 4)), 5,
    ),
    "branches stacked and picked": (
        lambda x, a, c: c(torch.stack([a(x), x]).unbind()[0]), (conv(4, 4), conv(4, 4)), 5,
    ),
    "pixels doubled by repeat_interleave": (
        lambda x, c: c(x.repeat_interleave(2, 2).repeat_interleave(2, 3)), (conv(4, 4),), 2,
    ),
    "pixels doubled by expand and reshape": (
        lambda x, c: c(x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(-1, 4, 64, 64)),
        (conv(4, 4),), 2,
    ),
    "every second pixel by index": (
        lambda x, c: c(x[:, :, torch.arange(0, 32, 2)][..., torch.arange(0, 32, 2)]), (conv(4, 4),), 5,
    ),
    "every second pixel by index_select": (
        lambda x, c: c(x.index_select(2, torch.arange(0, 32, 2)).index_select(3, torch.arange(0, 32, 2))),
        (conv(4, 4),), 5,
    ),
    "channels repeated": (lambda x, c: c(x.repeat(1, 2, 1, 1)), (conv(8, 4),), 3),
    "channels sorted": (lambda x, c: c(x.sort(1).values), (conv(4, 4),), 3),
    "channels picked": (lambda x, c: c(x[:, [3, 0]]), (conv(2, 4),), 3),
    "channels shuffled": (
        lambda x, c: c(x.view(-1, 2, 2, 32, 32).transpose(1, 2).reshape(x.shape)), (conv(4, 4),), 3,
    ),
    "channels split and flattened": (lambda x, c: c(x.unflatten(1, (2, 2)).flatten(1, 2)), (conv(4, 4),), 3),
    "rolled by one": (lambda x: x + torch.roll(x, 1, 3), (), (1, 2)),
    "rolled back by one": (lambda x: x + torch.roll(x, -1, 2), (), (2, 1)),
    "rolled by two": (lambda x, c: c(x + torch.roll(x, 2, 2)), (conv(4, 4),), (5, 3)),
    "shifted by slices, and no more": (lambda x: shifted(x, nn.Identity()), (), (1, 3)),
    "shifted by slices": (shifted, (conv(4, 4),), (3, 5)),
    "halves put together again": (lambda x, c: c(torch.cat(x.chunk(2, 3), 3)), (conv(4, 4),), 3),
    "zeros put beside": (lambda x, c: c(torch.cat([x[..., :2] * 0, x], 3)), (conv(4, 4),), 3),
    "windows as channels": (
        lambda x, c: c(F.unfold(x, 3, padding=1).view(-1, 36, 32, 32)), (conv(36, 4),), 5,
    ),
    "tokens and back": (tokens, (nn.Linear(4, 4), conv(4, 4)), 3),
    "flattened maps side by side": (
        lambda x, c, fc: fc(torch.cat([c(x).flatten(1), x.flatten(1)], 1)), (conv(4, 4), nn.Linear(8192, 3)), 3,
    ),
    "a gate through views": (by_gate, (conv(4, 4),), 3),
    "a pooled branch enlarged": (with_pooled_branch, (conv(4, 4), conv(8, 4)), 5),
    "turned by 90 degrees": (lambda x, c: c(x.transpose(2, 3)), (nn.Conv2d(4, 4, (1, 3)),), (3, 1)),
    "masked": (lambda x, c: c(x.masked_fill(x > 0, 0.0)), (conv(4, 4),), 3),
    # Units 2j and 2j+1 see pixels 2j and 2j+1 from below and themselves from beside: a 3x3 sees 4.
    "enlarged and plain": (
        enlarged_and_plain, (nn.Conv2d(4, 4, 2, 2), nn.Upsample(scale_factor=2), conv(4, 4)), 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_the_field_is_right_behind(name):
    function, layers, sees = RIGHT[name]
    assert field(function, *layers) == sees


LOST = {
    "pixels sorted": (lambda x: x.sort(3).values, (), "sort"),
    "mirrored and added": (lambda x: x + x.flip(3), (), "flip"),
    "turned and added": (lambda x: x + x.transpose(2, 3), (), "add"),
    "pixels in an unknown order": (lambda x: x[:, :, torch.randperm(32)], (), "index"),
    "a picture beside itself": (lambda x: torch.cat([x, x], 3), (), "cat"),
    "tiled": (lambda x: x.repeat(1, 1, 2, 2), (), "repeat"),
    "frequencies": (lambda x: torch.fft.fft2(x).real, (), "fft"),
    "sums along a row": (lambda x: x.cumsum(3), (), "cumsum"),
    "all tokens mixed": (lambda x, fc: x + fc(x.flatten(2)).view(x.shape), (nn.Linear(1024, 1024),), "add"),
    "attention": (
        lambda x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3).transpose(1, 2).reshape(x.shape),
        (), "bmm",
    ),
    "attention among channels": (
        lambda x: (lambda q: (q @ q.transpose(1, 2)).softmax(-1) @ q)(x.flatten(2)).view(x.shape), (), "bmm",
    ),
    "sampled at computed places": (
        lambda x, c: F.grid_sample(x, c(x).movedim(1, 3), align_corners=False), (conv(4, 2),), "grid_sampler_2d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_the_field_is_not_known_behind(name):
    function, layers, operation = LOST[name]
    net = nn.Sequential(conv(4, 4), Do(function, *layers), conv(4, 4), nn.AdaptiveAvgPool2d(1))
    cost = cnnlib.trace(net, (4, 32, 32))
    assert cost.receptive_field is None and operation in cost.lost_at
    assert "RECEPTIVE FIELD NOT KNOWN behind" in cost.caption and cost.lost_at in cost.caption
    sees = {row.name: row.span for row in cost.rows}
    assert sees["0"].size == 3 and sees["2"] is None and sees["3"] is None


def test_a_lost_field_is_named_where_networks_are_compared():
    cost = cnnlib.trace(Do(lambda x, c: c(x.flip(3)), conv(4, 4)), (4, 8, 8))
    assert "RECEPTIVE FIELD NOT KNOWN behind flip" in repr(cnnlib.table.compare(cost, cost))


def made(library, name):
    """The network without numbers, and the shape of its images."""
    with torch.device("cpu" if name.startswith("regnet") and library == "torchvision" else "meta"):
        if library == "timm":
            net = timm.create_model(name)
            return net, tuple(net.default_cfg["input_size"])
        return torchvision.models.get_model(name, weights=None), (3, 224, 224)


def agrees(library, name):
    """The traced field is that of a gradient, or it is not known."""
    net, image = made(library, name)
    told = cnnlib.trace(net, image).receptive_field
    if told is None:
        return
    sides = (told, told) if isinstance(told, int) else told
    # VGG's head of timm is a window of 7 units, which needs a map that is as large.
    assert positive_copy.field(net, image[0], max(sides), 256 if name.startswith("vgg") else 128) == sides


def test_the_witness_finds_a_field_that_is_too_small(monkeypatch):
    net = nn.Sequential(conv(3, 4), nn.MaxPool2d(3, 2, 1), conv(4, 4, 5))
    assert positive_copy.field(net) == (13, 13) == (cnnlib.trace(net, (3, 64, 64)).receptive_field,) * 2


SAMPLE = {
    "torchvision": """
        alexnet squeezenet1_1 resnet18 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5
        googlenet inception_v3 regnet_y_400mf resnext50_32x4d efficientnet_b0
    """,
    "timm": """
        skresnet18 resnest14d dla34 tresnet_m darknet17 cs3darknet_focus_m convnext_atto cspresnet50
        cspresnext50 ecaresnet26t ese_vovnet19b_dw gcresnet33ts gcresnext26ts gernet_m lcnet_035 dpn48b
        hardcorenas_a hgnetv2_b0 darknetaa53 ghostnet_050 mobilenetv1_100 mnasnet_050 test_efficientnet
        test_resnet test_convnext botnet26t_256 bat_resnext26ts ghostnetv2_100
    """,
}  # of every kind, small ones


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("library", "name"), [(library, name) for library in SAMPLE for name in SAMPLE[library].split()]
)
def test_a_sample_of_classifiers_sees_what_gradients_reach(library, name):
    agrees(library, name)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("library", "name"),
    [
        *(("torchvision", name) for name in torchvision.models.list_models(module=torchvision.models)),
        *(("timm", name) for name in timm.list_models()),
    ],
)
def test_every_classifier_sees_what_gradients_reach(library, name):
    agrees(library, name)
