"""Ask five counters in use, and ours, about the same networks, and store what they say.

    pip install -r requirements-bench.txt
    python tools/compare_counters.py

writes data/facts/counters_compared.csv: the small cases first, each of one difficulty, then whole networks. The
column ``macs`` is the right number: torch's own FLOP counter halved, with attention and recurrent layers run as
matrix products, since that counter knows no fused kernel on a CPU. Ours must agree, or nothing is written.
"""

import csv
import logging
import sys
import warnings
from pathlib import Path

import torch
import torchvision
from rivals import COUNTERS, asked
from torch import nn
from torch.nn import functional as F

import cnnlib

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from cost_witness import macs  # noqa: E402

TABLE = ROOT / "data" / "facts" / "counters_compared.csv"


class Functional(nn.Module):
    """A convolution that is a call and not a module."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x):
        return F.conv2d(x, self.weight)


class Twice(nn.Module):
    """One layer, called twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(self.conv(x))


class InAList(nn.Module):
    """A layer that a plain list hides from PyTorch."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1, bias=False)
        self.rest = [nn.Conv2d(4, 4, 3, bias=False)]

    def forward(self, x):
        return self.rest[0](self.first(x))


class Attention(nn.Module):
    """softmax(x x^T) x, by matrix products."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (self.scale * x @ x.transpose(1, 2)).softmax(-1) @ x


class Heads(nn.Module):
    """PyTorch's attention layer."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


CASES = {
    "3x3 convolution with bias": (nn.Conv2d(3, 5, 3), (3, 6, 6)),
    "the same, padding='same'": (nn.Conv2d(3, 5, 3, padding="same"), (3, 6, 6)),
    "depthwise convolution": (nn.Conv2d(64, 64, 3, padding=1, groups=64, bias=False), (64, 56, 56)),
    "transposed convolution, stride 2": (nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False), (4, 8, 8)),
    "linear layer on 10 rows": (nn.Linear(3, 8, bias=False), (10, 3)),
    "F.conv2d": (Functional(), (3, 8, 8)),
    "one layer called twice": (Twice(), (4, 8, 8)),
    "a layer in a Python list": (InAList(), (3, 8, 8)),
    "weight-normed convolution": (nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (3, 8, 8)),
    "attention by matrix products": (Attention(), (10, 16)),
    "nn.MultiheadAttention": (Heads(), (10, 16)),
    "nn.LSTM": (Recurrent(), (10, 8)),
}
NETWORKS = ("alexnet", "resnet50", "densenet121", "mobilenet_v2", "convnext_tiny", "vit_b_16", "swin_t")


def whole(name):
    return torchvision.models.get_model(name), (3, 224, 224)


def line(name, net, image):
    right = macs(net, torch.zeros(1, *image))
    if cnnlib.trace(net, image).macs != right:
        sys.exit(f"{name}: we count {cnnlib.trace(net, image).macs}, torch {right}: one of us is wrong")
    print(f"{name}: {right:,}", flush=True)
    size = "x".join(map(str, image))
    return [name, size, right, *(asked(counter, net, image) for counter in COUNTERS)]


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    rows = [line(name, net, image) for name, (net, image) in CASES.items()]
    rows += [line(name, *whole(name)) for name in NETWORKS]
    with TABLE.open("w", encoding="utf8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "input", "macs", *COUNTERS])
        writer.writerows(rows)
    print(f"stored in {TABLE}")


if __name__ == "__main__":
    main()
