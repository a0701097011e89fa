"""The aliased share of a map against waves of known periods."""

import pytest
import torch

from cnnlib import probe


def wave(period, n=96, axis=3):
    ramp = torch.arange(n) * 2 * torch.pi / period
    line = (ramp + 0.4).cos() + 3  # a level that is no pattern
    return (line if axis == 3 else line[:, None]).expand(1, 1, n, n)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_what_is_finer_than_two_samples_a_period_is_aliased(axis, stride):
    assert probe.aliased_share(wave(3.2 * stride, axis=axis), stride).item() < 0.02
    share = probe.aliased_share(wave(1.4 * stride, axis=axis), stride).item()
    assert share > 0.98 if stride > 1 else share < 0.02  # of single pixels nothing is too fine


def test_aliasing_is_what_sampling_does():
    """A wave of 16 / 5 pixels, seen at every fourth, is the wave of 16 pixels: no sample differs."""
    fine, slow = (torch.cos(2 * torch.pi * torch.arange(64) / period) for period in (16 / 5, 16))
    assert torch.allclose(fine[::4], slow[::4], atol=1e-4) and not torch.allclose(fine, slow, atol=0.5)


def test_channels_are_counted_apart_and_a_flat_map_has_no_pattern():
    maps = torch.cat([wave(3), wave(40), torch.ones(1, 1, 96, 96)], 1)
    first, second, flat = probe.aliased_share(maps, 4).tolist()
    assert first > 0.95 and second < 0.05 and 0 <= flat <= 1
    with pytest.raises(ValueError, match="need \\(N, C, H, W\\)"):
        probe.aliased_share(maps[0], 4)
