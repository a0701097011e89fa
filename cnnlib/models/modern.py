"""What came after SENet, as torchvision builds it: the last chapter compares them, and derives none."""

from __future__ import annotations

from functools import partial

from torch import nn

from cnnlib.models.network import IMAGENET, Entry


def _torchvision(name: str, num_classes: int = 1000) -> nn.Module:
    """torchvision's network with fresh weights: (N, 3, H, W) -> (N, num_classes) logits."""
    from torchvision.models import get_model  # here, so that the other networks do not wait for it

    return get_model(name, num_classes=num_classes)


NAMES = {
    "mobilenet_v2": "mobilenet_v2",
    "shufflenet_v2": "shufflenet_v2_x1_0",
    "efficientnet_b0": "efficientnet_b0",
    "regnet_y_400mf": "regnet_y_400mf",
    "convnext_tiny": "convnext_tiny",
}
NETWORKS = {ours: Entry(partial(_torchvision, theirs), IMAGENET) for ours, theirs in NAMES.items()}
NETWORKS["convnext_tiny"] = NETWORKS["convnext_tiny"]._replace(smallest=32)  # four steps of 4, 2, 2 and 2
