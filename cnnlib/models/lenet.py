"""LeNet-5 as published in 1998, and the plain form that lectures draw.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition.
Proceedings of the IEEE 86(11), 1998. https://doi.org/10.1109/5.726791
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnnlib.models.layers import chain
from cnnlib.models.network import DIGIT, Entry

# Table I: the S2 maps that each of the sixteen C3 maps looks at. Six maps see three neighbours, six see four,
# three see four with a gap, the last sees all. It breaks the symmetry and keeps the connections few.
C3_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# A 7 x 12 picture of each digit, one number a row, most significant bit on the left. The paper draws its
# target codes in this size (Fig. 3) without printing their pixels, so these are our drawing of the same idea.
DIGIT_ROWS = (
    (0, 0, 28, 34, 65, 65, 65, 65, 65, 34, 28, 0),
    (0, 0, 8, 24, 40, 8, 8, 8, 8, 8, 62, 0),
    (0, 0, 62, 65, 1, 2, 12, 16, 32, 64, 127, 0),
    (0, 0, 62, 65, 1, 1, 30, 1, 1, 65, 62, 0),
    (0, 0, 2, 6, 10, 18, 34, 66, 127, 2, 2, 0),
    (0, 0, 127, 64, 64, 124, 2, 1, 1, 65, 62, 0),
    (0, 0, 30, 32, 64, 94, 97, 65, 65, 33, 30, 0),
    (0, 0, 127, 1, 2, 4, 8, 8, 16, 16, 16, 0),
    (0, 0, 62, 65, 65, 62, 34, 65, 65, 65, 62, 0),
    (0, 0, 60, 66, 65, 67, 61, 1, 1, 2, 60, 0),
)


def digit_codes() -> Tensor:
    """The ten target codes of F6 as +1 and -1: (10, 84), a 12 x 7 picture each."""
    rows = torch.tensor(DIGIT_ROWS)
    bits = rows[..., None] >> torch.arange(6, -1, -1) & 1
    return bits.flatten(1).float() * 2 - 1


class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a/3), so that f(1) = 1 and f(-1) = -1 (appendix A). Any shape, kept."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash each element."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsample(nn.Module):
    """Sum of each 2 x 2 window, times one weight, plus one bias a channel (sec. II-B, layer S2).

    (N, C, H, W) -> (N, C, H/2, W/2).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Add up, scale, shift."""
        total = 4 * F.avg_pool2d(x, 2)
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv(nn.Module):
    """Sixteen 5 x 5 convolutions, each on its own few input maps (Table I, layer C3).

    (N, 6, H, W) -> (N, 16, H - 4, W - 4).
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Conv2d(len(seen), 1, 5) for seen in C3_TABLE)

    def forward(self, x: Tensor) -> Tensor:
        """Each map from the inputs it is connected to."""
        seen_by = zip(C3_TABLE, self.maps, strict=True)
        return torch.cat([conv(x[:, list(seen)]) for seen, conv in seen_by], 1)


class DigitCodes(nn.Module):
    """Minus the squared distance to each digit's code: (N, 84) -> (N, 10), the nearest code largest.

    The paper's output units give the distance itself as a penalty (eq. 7). With the sign turned, the largest
    output wins, and cross-entropy is the paper's criterion (eq. 9) without its constant ``j``, a rubbish class
    at that distance from everything; ``nn.ConstantPad1d((0, 1), -j)`` behind the network adds it for training.
    """

    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("codes", digit_codes())

    def forward(self, x: Tensor) -> Tensor:
        """Compare with all ten codes."""
        return -(x[:, None] - self.codes).square().sum(2)


def _init_1998(net: nn.Module) -> nn.Module:
    """Weights uniform within 2.4 / fan-in (appendix A), so that units start in the linear range."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 2.4 / module.weight[0].numel()
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.zeros_(module.bias)
        elif isinstance(module, Subsample):
            nn.init.uniform_(module.weight, -2.4 / 4, 2.4 / 4)
    return net


def lenet5() -> nn.Sequential:
    """LeNet-5 of 1998, 60,000 trainable parameters: (N, 1, 32, 32) -> (N, 10), minus squared distances."""
    return _init_1998(
        chain(
            c1=nn.Conv2d(1, 6, 5), tanh1=ScaledTanh(),
            s2=Subsample(6), tanh2=ScaledTanh(),
            c3=PartialConv(), tanh3=ScaledTanh(),
            s4=Subsample(16), tanh4=ScaledTanh(),
            c5=nn.Conv2d(16, 120, 5), tanh5=ScaledTanh(), flatten=nn.Flatten(),
            f6=nn.Linear(120, 84), tanh6=ScaledTanh(),
            output=DigitCodes(),
        )
    )  # fmt: skip


def _modern(hidden: int, num_classes: int, in_channels: int, act, pool) -> nn.Sequential:
    return chain(
        conv1=nn.Conv2d(in_channels, 20, 5, padding=2), act1=act(), pool1=pool(2),
        conv2=nn.Conv2d(20, 50, 5, padding=2), act2=act(), pool2=pool(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(2450, hidden), act3=act(),
        fc2=nn.Linear(hidden, num_classes),
    )  # fmt: skip


def lenet_lecture(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """LeNet as lectures draw it, ReLU and max-pooling: (N, in_channels, 28, 28) -> (N, num_classes) logits."""
    return _modern(500, num_classes, in_channels, nn.ReLU, nn.MaxPool2d)


def small(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    act: Callable[[], nn.Module] = nn.ReLU,
    pool: Callable[[int], nn.Module] = nn.MaxPool2d,
) -> nn.Sequential:
    """The lecture's LeNet with 90 hidden units, 0.25 M parameters: (N, in_channels, 28, 28) -> logits."""
    return _modern(90, num_classes, in_channels, act, pool)


NETWORKS = {
    "lenet5": Entry(lenet5, (1, 32, 32), 32, 35),
    "lenet_lecture": Entry(lenet_lecture, DIGIT, 28, 31),
    "lenet_small": Entry(small, DIGIT, 28, 31),
}
