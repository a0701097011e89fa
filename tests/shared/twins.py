"""What the tests of several residual families need: the row of facts, a network without numbers or filled with some."""

import re
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cnnlib
from cnnlib import resources

_FACTS = {(row["source"], row["name"]): row for row in resources.facts("architectures")}
_CALLED = {
    "resnet110_sd_cifar": "stochastic_depth_110_cifar",
    "fractalnet20": "fractalnet_20_c3_cifar10",
    "fractalnet40": "fractalnet_40_c4_cifar100",
    "senet154": "legacy_senet154",
    "shufflenet_v2": "shufflenet_v2_x1_0",
}


def fact(name):
    """The row of the facts for our network `name`, or None."""
    forms = (
        _CALLED.get(name, name), f"{name}_A", f"{name}_cifar", name.replace("preresnet", "preact_resnet"),
        re.sub(r"^(densenet.*_\d+)_(\d+)$", r"\1_k\2_cifar", name),
    )  # fmt: skip
    for form in forms:
        for source in ("torchvision", "reference", "timm"):
            if (source, form) in _FACTS:
                return _FACTS[source, form]
    return None


@cache
def on_meta(name, **options):
    """The network without numbers, built once: do not change it."""
    with torch.device("meta"):
        return cnnlib.build(name, **options)


def bill(net, image):
    """Everything of a network that the facts know."""
    cost = cnnlib.trace(net, image)
    assert cost.unsupported == {}
    counted = sum(name.endswith("num_batches_tracked") for name, _ in net.named_buffers())
    return {
        "params": cost.params,
        "macs": cost.macs,
        "conv_linear_activations": cost.activations,
        "receptive_field": cost.receptive_field,
        "bn_buffers": cost.buffers - counted,
    }


def torch_macs(net, image):
    """Torch's own counter, on a network without numbers."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.empty(1, *image, device="meta"))
    return counter.get_total_flops() // 2


def filled(net, seed=0):
    """The network on the CPU with numbers that keep its maps of size one, running statistics included."""
    net = net.to_empty(device="cpu")
    torch.manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.1)
    return net


def noise(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def order(layers):
    """The kinds of layers in their order, as a paper's figure writes them."""
    short = {
        "Conv2d": "conv",
        "BatchNorm2d": "bn",
        "ReLU": "relu",
        "Dropout": "dropout",
        "SqueezeExcite": "se",
    }
    return " ".join(short.get(type(layer).__name__, type(layer).__name__) for layer in layers)
