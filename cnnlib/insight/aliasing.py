"""Aliasing: what a step of several pixels does to a pattern that is finer than the step can tell."""

from __future__ import annotations

import torch
from torch import Tensor


def folded(maps: Tensor, stride: int) -> Tensor:
    """How much of each channel's pattern a step of ``stride`` folds onto a wrong one: (N, C, H, W) -> (C,).

    The share, from 0 to 1, of the energy of ``maps`` (taken at every pixel, their mean left out) that has more than
    1 / (2 stride) periods a pixel along either axis. Of a grid that keeps every ``stride``-th pixel two samples a
    period are the least that tell a wave from a slower one (the sampling theorem). A Hann window keeps the edges of
    the maps from counting as patterns. Raises ``ValueError`` if ``maps`` has another shape.
    """
    if maps.ndim != 4 or min(maps.shape[2:]) < 8:
        raise ValueError(f"maps has shape {tuple(maps.shape)}: need (N, C, H, W) of at least 8 x 8 pixels")
    height, width = maps.shape[2:]
    options = {"periodic": True, "dtype": maps.dtype, "device": maps.device}
    window = torch.hann_window(height, **options)[:, None] * torch.hann_window(width, **options)
    level = (maps * window).sum((2, 3), keepdim=True) / window.sum()
    energy = torch.fft.fft2((maps - level) * window).abs().square()
    rows = torch.fft.fftfreq(height, device=maps.device).abs()[:, None]
    cols = torch.fft.fftfreq(width, device=maps.device).abs()
    too_fine = torch.maximum(rows, cols) > 1 / (2 * stride)
    return energy[..., too_fine].sum((0, 2)) / energy.sum((0, 2, 3)).clamp_min(1e-30)
