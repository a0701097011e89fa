"""VGG and SqueezeNet: the facts, and torchvision bit for bit."""

import pytest
import torch
import torchvision

import cnnlib
from cnnlib import resources

FACTS = {(row["source"], row["name"]): row for row in resources.facts("architectures")}
FAMILIES = ("vgg", "squeeze")
NAMES = [n for n in cnnlib.list_models() if n.startswith(FAMILIES)]
THEIRS = [n for n in NAMES if hasattr(torchvision.models, n)]


def fact(name):
    return FACTS.get(("torchvision", name))


def on_meta(name):
    with torch.device("meta"):
        return cnnlib.build(name)


@pytest.mark.parametrize("name", [n for n in NAMES if fact(n)])
def test_it_costs_what_the_facts_say(name):
    row, cost = fact(name), cnnlib.trace(on_meta(name), cnnlib.models.image_shape(name))
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
        "vgg_small", "squeezenet1_0_simple_bypass", "squeezenet1_0_complex_bypass", "squeezenet_small",
    ]  # fmt: skip


# Large twins of what is tested anyway are left out for the time they take.
@pytest.mark.parametrize(
    "name",
    [n for n in THEIRS if FACTS["torchvision", n]["params"] < 30e6] + ["vgg11", "vgg11_bn"],
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


@pytest.mark.parametrize("name", [n for n in THEIRS if n not in ("vgg11", "vgg11_bn")])
def test_its_weights_have_torchvisions_names_and_shapes(name):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name)
    shapes = {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert {k: tuple(v.shape) for k, v in on_meta(name).state_dict().items()} == shapes


@pytest.mark.parametrize("name", ["vgg_small", "squeezenet1_1"])
def test_every_parameter_learns_and_two_answers_agree(name):
    torch.manual_seed(0)
    net = cnnlib.build(name)
    shape = cnnlib.models.image_shape(name)
    x = torch.randn(4, shape[0], *(min(n, 64) for n in shape[1:]))
    net(x).square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    net.eval()
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        assert torch.allclose(net(x.to(memory_format=torch.channels_last)), net(x), atol=1e-3, rtol=1e-3)


def test_three_small_windows_see_what_a_large_one_sees():
    cost = cnnlib.trace(on_meta("vgg16"), (3, 224, 224))
    assert [r.out[0] for r in cost.rows if r.kind == "MaxPool2d"] == [64, 128, 256, 512, 512]
    told = [r for r in resources.facts("lecture_vgg16") if r["kind"] == "conv"]
    convs = [r for r in cost.rows if r.kind == "Conv2d"]
    for row, printed in zip(convs, told, strict=True):
        assert (row.params, row.macs, row.span.size) == (printed["params"], printed["macs"], printed["rf"])


def test_squeezenet_rounds_its_pools_up():
    cost = cnnlib.trace(on_meta("squeezenet1_0"), (3, 224, 224))
    assert [r.out[1] for r in cost.rows if r.kind in ("Conv2d", "MaxPool2d") and "features" in r.name and (
        r.name == "features.0" or r.kind == "MaxPool2d")] == [109, 54, 27, 13]  # fmt: skip
