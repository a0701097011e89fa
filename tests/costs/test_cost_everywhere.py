"""Every image classifier of timm and torchvision, some 1,400 networks, against torch's own counter."""

import pytest
import timm
import torch
import torchvision
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import cnnlib

pytestmark = [pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]
LARGEST = 448  # pixels a side; above it a trace takes long and shows nothing new


def made(place, name):
    """The network without numbers, and the shape of its images."""
    if place == "torchvision":
        with torch.device("cpu" if name.startswith("regnet") else "meta"):  # RegNet's constructor computes
            return torchvision.models.get_model(name, weights=None).to("meta").eval(), (3, 224, 224)
    with torch.device("meta"):
        net = timm.create_model(name).eval()
    return net, tuple(net.default_cfg["input_size"])


CLASSIFIERS = [("torchvision", name) for name in torchvision.models.list_models(module=torchvision.models)]


@pytest.mark.parametrize(("place", "name"), [*CLASSIFIERS, *(("timm", name) for name in timm.list_models())])
def test_macs_and_params_are_those_that_torch_counts(place, name):
    net, image = made(place, name)
    if max(image) > LARGEST:
        pytest.skip(f"{image[-1]} pixels")
    cost = cnnlib.trace(net, image)
    assert cost.unsupported == {}
    assert cost.params == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        try:
            net(torch.empty(1, *image, device="meta"))
        except AssertionError as error:  # from its own bookkeeping, for CaiT
            pytest.skip(f"torch's counter stops: {error}")
    assert cost.macs == counter.get_total_flops() // 2
