"""ResNeXt: three ways to write one function, and the width that keeps the bill."""

import pytest
import torch
from torch import nn
from twins import filled, noise, on_meta

from cnnlib.models import resnet, resnext

GROUPS, D = 4, 3


@pytest.fixture
def grouped():
    """The branch of form (c): 10 channels in, 24 out, four paths of three channels."""
    layers = resnet.bottleneck(10, 24, 2, ratio=2, groups=GROUPS)
    return filled(nn.Sequential(*layers.values())).eval(), layers


def parts(layer):
    """The share of each path in a layer of form (c), cut along its outputs."""
    if isinstance(layer, nn.Conv2d):
        return [{"weight": w} for w in layer.weight.chunk(GROUPS)]
    state = {k: v for k, v in layer.state_dict().items() if v.ndim}
    cut = {k: v.chunk(GROUPS) for k, v in state.items()}
    count = {"num_batches_tracked": layer.num_batches_tracked}
    return [{k: v[i] for k, v in cut.items()} | count for i in range(GROUPS)]


def fill(form, layers):
    """The weights of form (c) into form (a) or (b), path by path."""
    for name in ("conv1", "bn1", "conv2", "bn2"):
        for path, part in zip(form.paths, parts(layers[name]), strict=True):
            getattr(path, name).load_state_dict(part)
    form.bn3.load_state_dict(layers["bn3"].state_dict())
    return form


@pytest.mark.parametrize("training", [False, True])
def test_three_forms_are_one_function(grouped, training):
    c, layers = grouped
    a = fill(resnext.Summed(10, 24, 2, GROUPS, D), layers)
    b = fill(resnext.Concatenated(10, 24, 2, GROUPS, D), layers)
    b.conv3.load_state_dict(layers["conv3"].state_dict())
    for path, columns in zip(a.paths, layers["conv3"].weight.chunk(GROUPS, 1), strict=True):
        path.conv3.load_state_dict({"weight": columns})
    x = noise(3, 10, 9, 9)
    told = c.train(training)(x)
    for form in (a, b):
        assert torch.allclose(form.train(training)(x), told, atol=1e-5)
    held = [sum(p.numel() for p in form.parameters()) for form in (a, b, c)]
    assert len(set(held)) == 1


def test_a_path_that_is_cut_off_leaves_the_others_as_they_were(grouped):
    c, layers = grouped
    b = fill(resnext.Concatenated(10, 24, 2, GROUPS, D), layers)
    b.conv3.load_state_dict(layers["conv3"].state_dict())
    with torch.no_grad():
        layers["conv2"].weight[:D] = 0
        x = noise(1, 10, 9, 9)
        assert not torch.allclose(b.eval()(x), c(x), atol=1e-3)


def weights(groups, d, width=64):
    """Weights of a block between 4 `width` channels, counted on the real one of d channels a path."""
    branch = resnet.bottleneck(4 * width, 4 * width, 1, ratio=4 * width / (groups * d), groups=groups)
    return sum(m.weight.numel() for m in branch.values() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize(("groups", "d"), [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)])
def test_the_width_solves_the_equation_and_gives_the_papers_table_2(groups, d):
    root = resnext.path_width(groups)
    left = 9 * groups * root**2 + 8 * groups * 64 * root - 17 * 64**2
    assert abs(left) < 1e-6
    assert abs(root - d) < 0.8  # the paper prints whole numbers near the root
    assert weights(groups, d) == groups * (9 * d**2 + 8 * 64 * d)
    assert weights(groups, d) == pytest.approx(weights(1, 64), rel=0.05)


def test_one_path_of_all_channels_is_the_bottleneck():
    assert resnext.path_width(1, 48) == pytest.approx(48)
    assert weights(1, 64) == 17 * 64**2


def test_the_names_say_paths_and_width():
    for name, groups, width in (("resnext50_32x4d", 32, 128), ("resnext101_64x4d", 64, 256)):
        conv = on_meta(name).layer1[0].conv2
        assert (conv.groups, conv.out_channels) == (groups, width)
    conv = on_meta("resnext29_8x64d").layer1[0].conv2
    assert conv.groups == 8 and conv.out_channels // conv.groups == 64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resnext.resnext_cifar(28, 8, 64), r"9n \+ 2, such as 20 or 29"),
        (lambda: resnext.small(groups=3), "groups=3: must divide the 16 channels"),
        (lambda: resnext.path_width(0), "groups=0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
