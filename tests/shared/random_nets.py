"""Random networks, as hypothesis strategies: chains of layers and joins in one, two or three dimensions.

A drawn layer is run on a real tensor and dropped if PyTorch refuses it, so that no arithmetic of ours decides
which networks there are.
"""

import warnings

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE = {
    1: (nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
    2: (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    3: (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
SIDE = {1: 41, 2: 23, 3: 11}  # pixels of an image's longest side


class Add(nn.Module):
    """The sum of two paths."""

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(x)


class Cat(Add):
    """Two paths side by side in the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], 1)


class OnChannels(nn.Module):
    """A linear layer at every place of a map: (N, C, ...) -> (N, C', ...), so on a tensor of rank 3 to 5."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.fc = nn.Linear(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.movedim(1, -1)).movedim(-1, 1)


def axiswise(n, numbers):
    """One number for all axes, or one each."""
    return st.one_of(numbers, st.tuples(*[numbers] * n))


@st.composite
def convolutions(draw, n, c):
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if c % g == 0]))
    stride = draw(axiswise(n, st.integers(1, 3)))
    words = ["valid", "same"] if stride in (1, (1,) * n) else ["valid"]
    return CONV[n](
        c,
        groups * draw(st.integers(1, 3)),
        draw(axiswise(n, st.integers(1, 4))),
        stride,
        draw(st.one_of(axiswise(n, st.integers(0, 2)), st.sampled_from(words))),
        draw(axiswise(n, st.integers(1, 2))),
        groups,
        draw(st.booleans()),
        draw(st.sampled_from(["zeros", "zeros", "circular", "reflect", "replicate"])),
    )


@st.composite
def transposed(draw, n, c):
    groups = draw(st.sampled_from([g for g in (1, 2) if c % g == 0]))
    stride = draw(st.integers(1, 3))
    return TRANSPOSED[n](
        c,
        groups * draw(st.integers(1, 2)),
        draw(axiswise(n, st.integers(1, 4))),
        stride,
        draw(st.integers(0, 1)),
        draw(st.integers(0, stride - 1)),
        groups,
        draw(st.booleans()),
    )


@st.composite
def pools(draw, n, c):
    kernel = draw(axiswise(n, st.integers(2, 3)))
    stride = draw(axiswise(n, st.integers(1, 3)))
    pad, up = draw(st.integers(0, 1)), draw(st.booleans())
    if draw(st.booleans()):
        return MAX[n](kernel, stride, pad, draw(st.integers(1, 2)), ceil_mode=up)
    return AVG[n](kernel, stride, pad, up, draw(st.booleans()))


@st.composite
def adaptive_pools(draw, n, c):
    return draw(st.sampled_from(ADAPTIVE[n]))(draw(axiswise(n, st.integers(2, 6))))  # 1 takes the axis away


@st.composite
def joins(draw, n, c):
    """A shortcut beside a window that keeps the size, or two windows with the same stride."""
    stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))

    def path(c_out):
        k = draw(st.sampled_from([1, 3, 5]))
        return CONV[n](c, c_out, k, stride, dilation * (k // 2), dilation)

    if draw(st.booleans()):
        return Cat(path(draw(st.integers(1, 3))), path(draw(st.integers(1, 3))))
    shortcut = nn.Identity() if stride == 1 and draw(st.booleans()) else path(c)
    return Add(shortcut, nn.Sequential(path(c), NORM[n](c)))


@st.composite
def resized(draw, n, c):
    mode = draw(st.sampled_from(["nearest", LINEAR[n]]))
    return nn.Upsample(scale_factor=draw(st.integers(2, 3)), mode=mode)


def pointwise(n, c):
    return st.sampled_from([nn.ReLU(), nn.ReLU(inplace=True), NORM[n](c), OnChannels(c, 3)])


@st.composite
def networks(draw, kinds):
    """A network of up to six layers of ``kinds``, and the image (C, ...) that it was drawn for."""
    n = draw(st.integers(1, 3))
    sides = [draw(st.integers(SIDE[n] // 2, SIDE[n])) for _ in range(n)]
    image = (draw(st.sampled_from([1, 2, 4])), *sides)
    layers, x = [], torch.zeros(1, *image)
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=6)):
        layer = draw(kind(n, x.shape[1])).eval()
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # an even "same" kernel copies its input
            try:
                y = layer(x)
            except (RuntimeError, ValueError):
                continue
        if 0 < y.numel() < 200_000:
            layers.append(layer)
            x = y
    return nn.Sequential(*layers), image
