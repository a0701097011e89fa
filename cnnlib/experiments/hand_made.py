"""Features made by hand, from before networks learned theirs: histograms of oriented gradients.

Dalal, Triggs: Histograms of oriented gradients for human detection. CVPR 2005. https://doi.org/10.1109/CVPR.2005.177
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HOG(nn.Module):
    """(N, 1, H, W) -> (N, blocks x 4 cells x 9 directions): which way edges run in each small part of an image.

    The gradient at each pixel is a difference of its neighbours. Its length is shared between the two nearest of nine
    directions over half a turn, and added up in cells of ``cell`` x ``cell`` pixels. Each block of 2 x 2 cells is
    divided by its own length, which takes the contrast out. Nothing in here learns.
    """

    directions = 9

    def __init__(self, cell: int = 4) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """Describe each image."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        dx, dy = x[..., 1:-1, 2:] - x[..., 1:-1, :-2], x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
        place = (
            torch.atan2(dy, dx).remainder(pi) * self.directions / pi
        )  # 0 to 9; direction k stands at k + 1/2
        centres = torch.arange(self.directions, device=x.device)[:, None, None] + 0.5
        off = (place - centres).abs()
        share = (1 - torch.minimum(off, self.directions - off)).clamp(min=0)  # (N, 9, H, W)
        cells = F.avg_pool2d(share * (dx.square() + dy.square()).sqrt(), self.cell)
        blocks = F.unfold(cells, 2).unflatten(1, (self.directions, 4))  # (N, 9, 4, blocks)
        length = blocks.square().sum((1, 2), keepdim=True).add(1e-4).sqrt()
        return (blocks / length).flatten(1)
