"""What we say that papers and tools print, against what they printed when they were run."""

import pytest
import torch
import torchvision
from torch import nn

import cnnlib
from cnnlib import resources
from cnnlib.costs import conventions

COUNTERS = {(row["source"], row["name"]): row for row in resources.facts("counters")}
COLUMNS = {
    "most papers": "macs_hooks",
    "torchvision metadata": "tv_meta_gmacs",
    "fvcore": "fvcore_total",
    "torchinfo": "torchinfo_mult_adds",
    "ptflops, aten backend": "ptflops_aten",
    "calflops": "calflops_macs",
}
OURS = {  # a name of ours -> the row of the facts that was counted on another program of the same network
    "lenet5": "lenet5_1998", "lenet_lecture": "lenet_lecture", "alexnet_2012": "alexnet_paper_2gpu",
    "zfnet": "zfnet", "nin": "nin_imagenet", "googlenet_2014": "googlenet_paper", "resnet50_v1": "resnet50_v1",
    "plain34": "plain34", "resnet56_cifar": "resnet56_cifar_A", "preresnet164_cifar": "preact_resnet164_cifar",
    "wrn_16_4": "wrn_16_4_cifar", "resnext29_8x64d": "resnext29_8x64d_cifar",
    "densenet_bc_100_12": "densenet_bc_100_k12_cifar", "fractalnet20": "fractalnet_20_c3_cifar10",
}  # fmt: skip
# Where that program is built of other modules, so that a tool which looks at modules sees something else: the
# scales of LeNet-5's subsampling belong to no layer there; FractalNet ends in a pool that fvcore leaves out.
BUILT_OTHERWISE = {"lenet5": "torchinfo", "fractalnet20": "fvcore"}


def agrees(cost, told, leave_out=""):
    said = {c.who: c.count(cost) for c in conventions.CONVENTIONS if c.who in COLUMNS}
    found = {who: told[column] for who, column in COLUMNS.items()}
    for who in (who for who, number in found.items() if number is not None and who != leave_out):
        assert said[who] == found[who], who


THEIRS = [
    row
    for (source, name), row in COUNTERS.items()
    if source == "torchvision" and hasattr(torchvision.models, name) and row["macs_hooks"] < 1.3e10
]


@pytest.mark.parametrize("told", THEIRS, ids=lambda row: row["name"])
def test_torchvision_networks_print_what_the_tools_printed(told):
    quiet = {"init_weights": False, "aux_logits": False}
    # RegNet's constructor computes its widths with tensors, so it needs a device with numbers.
    with torch.device("cpu" if told["name"].startswith("regnet") else "meta"):
        options = quiet if told["name"] in ("googlenet", "inception_v3") else {}
        net = torchvision.models.get_model(told["name"], **options)
    agrees(cnnlib.trace(net, tuple(int(n) for n in told["input"].split("x"))), told)


@pytest.mark.parametrize("name", OURS)
def test_our_networks_print_what_the_tools_printed(name):
    with torch.device("meta"):
        net = cnnlib.build(name)
    cost = cnnlib.trace(net, cnnlib.models.image_shape(name))
    agrees(cost, COUNTERS["reference", OURS[name]], BUILT_OTHERWISE.get(name, ""))


PYCLS = [  # dev/model_complexity.json of facebookresearch/pycls, at commit 4449e4a: flops, acts
    ("resnet50", 4_089_185_256, 11_315_688),
    ("resnet101", 7_801_406_440, 16_433_640),
    ("resnet152", 11_513_627_624, 22_755_816),
    ("resnext50_32x4d", 4_230_480_872, 14_602_216),
    ("plain56_cifar", 125_485_706, 532_490),
    ("efficientnet_b0", 385_825_092, 6_748_036),
]


@pytest.mark.parametrize(("name", "flops", "activations"), PYCLS)
def test_pycls_prints_these(name, flops, activations):
    with torch.device("meta"):
        net = cnnlib.build(name)
    cost = cnnlib.trace(net, cnnlib.models.image_shape(name))
    said = [c.count(cost) for c in conventions.CONVENTIONS if c.who == "pycls"]
    assert said == [flops, activations]


def test_a_flop_counter_prints_two_a_mac():
    cost = cnnlib.trace(cnnlib.build("lenet_lecture"), (1, 28, 28))
    said = {c.who: c.count(cost) for c in conventions.CONVENTIONS}
    assert said["torch FlopCounterMode"] == 2 * 6_522_000


def test_a_linear_layer_on_a_map_shrinks_in_torchinfo():
    cost = cnnlib.trace(nn.Linear(3, 8), (10, 3))
    said = {c.who: c.count(cost) for c in conventions.CONVENTIONS}
    assert (said["most papers"], said["torchinfo"]) == (240, 32)


def test_the_table_says_why_and_takes_one_image():
    net = cnnlib.build("lenet_lecture")
    table = conventions.printed(cnnlib.trace(net, (1, 28, 28)))
    assert [row[0] for row in table.rows] == [c.who for c in conventions.CONVENTIONS]
    assert all(row[3].endswith(".") for row in table.rows)
    with pytest.raises(ValueError, match="batch=2"):
        conventions.printed(cnnlib.trace(net, (1, 28, 28), batch=2))
