"""AlexNet: the two-tower network of 2012, the one-tower network of 2014, a small one to train.

Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks. NIPS 2012.
Krizhevsky: One weird trick for parallelizing convolutional neural networks. 2014. https://arxiv.org/abs/1404.5997
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from cnnlib.models.layers import LocalResponseNorm, chain
from cnnlib.models.network import DIGIT, IMAGENET, Entry


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def _classifier(features: int, width: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(), nn.Linear(features, width), _relu(),
        nn.Dropout(), nn.Linear(width, width), _relu(),
        nn.Linear(width, num_classes),
    )  # fmt: skip


def alexnet(num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """One tower, 61,100,840 parameters: (N, in_channels, H, W) -> (N, num_classes) logits; H, W >= 63.

    Widths 64-192-384-256-256 as in the released cuda-convnet2 layers (Krizhevsky 2014; its footnote words the
    fourth as 384), no response normalisation. Keys of the state dict are torchvision's. At 227 pixels the first
    map is 56 x 56, the form that lectures draw; at torchvision's 224 it is 55 x 55.
    """
    features = nn.Sequential(
        nn.Conv2d(in_channels, 64, 11, stride=4, padding=2), _relu(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), _relu(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), _relu(),
        nn.Conv2d(384, 256, 3, padding=1), _relu(),
        nn.Conv2d(256, 256, 3, padding=1), _relu(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    return chain(
        features=features,
        avgpool=nn.AdaptiveAvgPool2d(6),
        flatten=nn.Flatten(),
        classifier=_classifier(9216, 4096, num_classes),
    )


def _init_2012(net: nn.Module) -> nn.Module:
    """Sec. 5: weights N(0, 0.01^2); bias 1 in conv2, conv4, conv5 and the hidden linear layers, else 0.

    A bias of 1 puts most rectifiers on their linear side, which speeds up the first steps.
    """
    weighted = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for module, bias in zip(weighted, (0, 1, 0, 1, 1, 1, 1, 0), strict=True):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.constant_(module.bias, bias)
    return net


def alexnet_2012(num_classes: int = 1000, in_channels: int = 3) -> nn.Sequential:
    """The paper's two towers, 60,965,224 parameters: (N, in_channels, 227, 227) -> (N, num_classes) logits.

    ``groups=2`` keeps the towers apart in conv2, conv4 and conv5; conv3 and the linear layers see both
    (Fig. 2). The text says 224-pixel images, which give 54 x 54 maps without padding; it draws 55 x 55, as 227 do.
    """
    features = nn.Sequential(
        nn.Conv2d(in_channels, 96, 11, stride=4), _relu(), LocalResponseNorm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), _relu(), LocalResponseNorm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), _relu(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), _relu(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), _relu(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Linear(9216, 4096), _relu(), nn.Dropout(),
        nn.Linear(4096, 4096), _relu(), nn.Dropout(),
        nn.Linear(4096, num_classes),
    )  # fmt: skip
    return _init_2012(chain(features=features, flatten=nn.Flatten(), classifier=classifier))


def small(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    act: Callable[[], nn.Module] = nn.ReLU,
    pool_kernel: int = 3,
    dropout: float = 0.5,
    lrn: bool = True,
) -> nn.Sequential:
    """AlexNet's plan at 28 pixels, 0.26 M parameters: (N, in_channels, 28, 28) -> (N, num_classes) logits.

    Five convolutions, three pools, three linear layers. The arguments are the paper's choices, one at a time:
    ``pool_kernel=2`` makes the windows of the pools touch instead of overlap, with equal output sizes.
    """

    def pool() -> nn.Module:
        return nn.MaxPool2d(pool_kernel, stride=2, padding=pool_kernel // 2 if pool_kernel > 2 else 0)

    def norm() -> list[nn.Module]:
        return [LocalResponseNorm()] if lrn else []

    features = nn.Sequential(
        nn.Conv2d(in_channels, 24, 5, padding=4), act(), *norm(), pool(),  # 28 -> 32 -> 16
        nn.Conv2d(24, 64, 5, padding=2), act(), *norm(), pool(),  # 8
        nn.Conv2d(64, 96, 3, padding=1), act(),
        nn.Conv2d(96, 64, 3, padding=1), act(),
        nn.Conv2d(64, 48, 3, padding=1), act(), pool(),  # 4
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(dropout), nn.Linear(768, 96), act(),
        nn.Dropout(dropout), nn.Linear(96, 96), act(),
        nn.Linear(96, num_classes),
    )  # fmt: skip
    return chain(features=features, flatten=nn.Flatten(), classifier=classifier)


NETWORKS = {
    "alexnet": Entry(alexnet, IMAGENET, 63),
    "alexnet_2012": Entry(alexnet_2012, (3, 227, 227), 227, 258),
    "alexnet_lecture": Entry(alexnet, (3, 227, 227), 63),
    "alexnet_small": Entry(small, DIGIT, 21, 28),
}
