"""The same weights in torchvision's and timm's networks give the same answers."""

import copy

import pytest
import torch
import torchvision
from twins import filled, noise, on_meta

import cnnlib
from cnnlib.models import densenet, resnet, resnext, wide_resnet

OURS = [n for family in (resnet, wide_resnet, resnext, densenet) for n in family.NETWORKS]
THEIRS = [n for n in OURS if hasattr(torchvision.models, n)]


def answers(net, x):
    """Logits in training and in evaluation, each from the same random state."""
    out = []
    for training in (True, False):
        torch.manual_seed(2)
        with torch.no_grad():
            out.append(net.train(training)(x))
    return out


def theirs_and_ours(reference, name, rename=lambda key: key):
    """Their network with random weights, and ours with the same ones."""
    reference, ours = filled(reference), copy.deepcopy(on_meta(name))
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    weights = {rename(key): tensor.clone() for key, tensor in reference.state_dict().items()}
    weights = {key: tensor.reshape(shapes.get(key, tensor.shape)) for key, tensor in weights.items()}
    ours.load_state_dict(weights, strict=True, assign=True)
    return reference, ours


@pytest.mark.parametrize("name", THEIRS)
def test_it_is_torchvisions_bit_for_bit_in_training_and_evaluation(name):
    with torch.device("meta"):
        reference = torchvision.models.get_model(name)
    assert [(k, v.shape) for k, v in on_meta(name).state_dict().items()] == [
        (k, v.shape) for k, v in reference.state_dict().items()
    ]
    reference, ours = theirs_and_ours(reference, name)
    x = noise(2, 3, 40, 33)
    for mine, told in zip(answers(ours, x), answers(reference, x), strict=True):
        assert torch.equal(mine, told) and told.isfinite().all() and told.std() > 0
    for mine, told in zip(ours.buffers(), reference.buffers(), strict=True):
        assert torch.equal(mine, told)  # running statistics moved alike


def test_every_reference_that_torchvision_has_is_compared():
    assert len(THEIRS) == 14


def legacy(key):
    return key.replace("se_module", "se").replace("last_linear", "fc")


def resnetv2(key):
    """timm's pre-activation ResNet: stem.conv, stages.0.blocks.0.norm1, head.fc (a 1 x 1 convolution)."""
    key = key.replace("stem.conv", "conv1").replace("head.fc", "fc")
    if not key.startswith("stages"):
        return key.replace("norm.", "bn.")
    _, stage, _, block, layer, *rest = key.split(".")
    layer = layer.replace("norm", "bn")
    place = {"bn1": "pre.bn1", "downsample": "downsample"}.get(layer, f"branch.{layer}")
    return f"layer{int(stage) + 1}.{block}.{place}.{rest[-1]}"


@pytest.mark.parametrize(
    ("name", "theirs", "rename"),
    [
        ("seresnet50", "seresnet50", str),
        ("seresnext50_32x4d", "seresnext50_32x4d", str),
        ("senet154", "legacy_senet154", legacy),
        ("preresnet50", "resnetv2_50", resnetv2),
    ],
)
def test_it_is_timms(name, theirs, rename):
    timm = pytest.importorskip("timm", reason="NOT CHECKED: timm, for a second form of these networks")
    with torch.device("meta"):
        reference = timm.create_model(theirs)
    reference, ours = theirs_and_ours(reference, name, rename)
    x = noise(1, 3, 64, 64)
    with torch.no_grad():
        told, mine = reference.eval()(x), ours.eval()(x)
    assert told.std() > 0.01 and torch.allclose(mine, told, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2"])
def test_networks_of_the_last_chapter_are_torchvisions_with_their_own_start(name):
    answers = []
    for make in (cnnlib.build, torchvision.models.get_model):
        torch.manual_seed(0)
        called = name if make is cnnlib.build else name.replace("shufflenet_v2", "shufflenet_v2_x1_0")
        answers.append(make(called, num_classes=5).eval()(noise(1, 3, 64, 64)))
    assert torch.equal(*answers)
