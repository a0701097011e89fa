"""Trained weights: those that torchvision publishes, and those that come with the course. Knows no network.

Public files are fetched once, over torchvision's own addresses into its own cache, so that a copy that is there
already serves both. Every file is verified before it is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from cnnlib import resources

# The original weights of SqueezeNet 1.1 (Iandola et al. 2016), trained in Caffe; torchvision's are others.
BUNDLED = {"squeezenet1_1": "squeezenet1_1_fp16.safetensors"}

# These two were trained by Google on pixels in [-1, 1]. torchvision's networks rescale their input in secret when
# they load such weights; ours never touch it, and their images are prepared that way.
_SYMMETRIC = {"googlenet", "inception_v3"}
# Classifiers that help in training alone; a network may be built without them.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
# The files of DenseNet are older than the ban on dots in the names of modules: "norm.1.weight" is "norm1.weight".
_DOTTED = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


@dataclass(frozen=True)
class Weights:
    """Weights of one network: what they know, and how an image is prepared for them.

    ``transform``: an image, PIL or uint8 (3, H, W), to what the network takes: (3, side, side), resized, cropped
    and normalised. ``tensors()``: the state dict in float32; raises ``ValueError`` if it is not to be had.
    """

    network: str
    label: str
    classes: tuple[str, ...]
    transform: Callable[[object], Tensor]
    tensors: Callable[[], dict[str, Tensor]]


def _public(network: str) -> dict[str, object]:
    """torchvision's weights of a network that classify, by label; empty for most."""
    # Here, so that fresh networks do not wait for it.
    from torchvision.models import get_model_weights, list_models

    if network not in list_models():
        return {}
    # One file of VGG-16 has features alone, and nothing for the classifier.
    return {k: w for k, w in get_model_weights(network).__members__.items() if w.meta["categories"]}


def labels(network: str) -> list[str]:
    """What weights there are for a network, by torchvision's name of it; none for most."""
    return [*(["bundled"] if network in BUNDLED else []), *(n for n in _public(network) if n != "DEFAULT")]


def find(network: str, label: str) -> Weights:
    """The weights ``label`` of a network: ``"bundled"``, torchvision's names, or its ``"DEFAULT"``.

    Raises ``ValueError`` where there are none of that name.
    """
    public = _public(network)
    if label in public:
        chosen = public[label]
        scale = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)} if network in _SYMMETRIC else {}
        read, prepare = partial(_published, chosen.url), chosen.transforms(**scale)
        return Weights(network, chosen.name, tuple(chosen.meta["categories"]), prepare, read)
    if label == "bundled" and network in BUNDLED:
        classes = tuple(resources.read("imagenet_classes.txt").decode().splitlines())
        return Weights(
            network, label, classes, public["DEFAULT"].transforms(), partial(_bundled, BUNDLED[network])
        )
    if not public:
        raise ValueError(f"weights={label!r}: none are public for {network}; leave weights out and train it")
    raise ValueError(f"weights={label!r}: {network} has {', '.join(labels(network))}")


def imagenet_ids() -> list[str]:
    """The WordNet id of each class of ImageNet, in their order: what its folders are called."""
    return resources.read("imagenet_ids.txt").decode().split()


def load(net: nn.Module, weights: Weights) -> nn.Module:
    """Puts the weights into the network, every tensor into its place, and returns it.

    Auxiliary classifiers are left out where the network has none. Raises ``ValueError`` if anything else is
    missing, too many or of another shape.
    """
    own = net.state_dict()
    state = {
        key: tensor
        for key, tensor in weights.tensors().items()
        if key in own or not key.startswith(_AUXILIARY)
    }
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        words = " ".join(str(error).split())
        raise ValueError(
            f"weights={weights.label!r} of {weights.network} do not fit this network: {words}"
        ) from None
    return net


def _bundled(name: str) -> dict[str, Tensor]:
    from safetensors.torch import load

    return {key: tensor.float() for key, tensor in load(resources.read(name)).items()}


def _published(url: str) -> dict[str, Tensor]:
    """The tensors in torchvision's file, fetched if it is not here."""
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    match = re.search(r"-([a-f0-9]{8,})\.", name)  # the file's name says how its SHA-256 begins
    digest = match[1] if match else ""

    def check(content: bytes) -> None:
        found = hashlib.sha256(content).hexdigest()
        if not found.startswith(digest):
            raise OSError(
                f"its SHA-256 begins with {found[: len(digest)]}, not {digest} (invalid hash value)"
            )

    if not path.is_file():
        resources.download(path, [url], check)
    try:
        check(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} is damaged: {error}; delete it and try again") from None
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {_DOTTED.sub(r"\1\2", key): tensor for key, tensor in state.items()}
