"""Window arithmetic against PyTorch's own layers and against enumeration."""

import itertools
import subprocess
import sys

import pytest

from cnnlib.shapes import Span, out_size


@pytest.mark.parametrize(
    ("n", "settings", "out"),
    [
        (227, dict(kernel=11, stride=4, pad=2), 56),  # the lecture's AlexNet
        (227, dict(kernel=11, stride=4), 55),  # the paper's, with the image it needs
        (224, dict(kernel=11, stride=4, pad=2), 55),  # torchvision's
        (224, dict(kernel=11, stride=4), 54),  # 54.25 rounded down: the network nobody meant
        (25, dict(kernel=2, stride=2), 12),  # a partial window is dropped
        (64, dict(kernel=3, stride=2, pad=1, ceil_mode=True), 33),  # Caffe rounded pooling up
        (109, dict(kernel=3, stride=2, ceil_mode=True), 54),
    ],
)
def test_known_sizes(n, settings, out):
    assert out_size(n, **settings) == out


def test_out_size_counts_the_windows_that_fit():
    for n, k, s, p, d in itertools.product((5, 8, 13), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)):
        fits = [i for i in range(-p, n + p, s) if i + d * (k - 1) < n + p]
        assert out_size(n, k, s, p, d) == len(fits)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_out_size_is_what_max_pooling_puts_out(ceil_mode):
    import torch

    for n, k, s, p in itertools.product((5, 6, 7, 14), (2, 3, 4), (1, 2, 3), (0, 1)):
        y = torch.nn.functional.max_pool1d(torch.zeros(1, 1, n), k, s, p, ceil_mode=ceil_mode)
        assert out_size(n, k, s, p, ceil_mode=ceil_mode) == y.shape[-1], (n, k, s, p)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(n=4, kernel=5), "window of 5 pixels does not fit into n=4"),
        (dict(n=4, kernel=3, dilation=3, pad=1), "window of 7 pixels"),
        (dict(n=0, kernel=1), "n=0"),
        (dict(n=4, kernel=2, stride=0), "stride=0"),
        (dict(n=4, kernel=2, pad=-1), "pad=-1"),
        (dict(n=4.0, kernel=2), "n=4.0"),
        (dict(n=True, kernel=1), "n=True"),
    ],
)
def test_impossible_windows_are_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        out_size(**settings)


def seen(windows, unit):
    """Enumeration: the input pixels that one output unit can reach through a chain of windows."""
    pixels = {unit}
    for kernel, stride, pad, dilation in reversed(windows):
        pixels = {i * stride - pad + j * dilation for i in pixels for j in range(kernel)}
    return min(pixels), max(pixels)


CHAINS = [
    [(3, 1, 1, 1)] * 3,  # three 3x3 see what one 7x7 sees
    [(11, 4, 2, 1), (3, 2, 0, 1), (5, 1, 2, 1), (3, 2, 0, 1)],
    [(3, 1, 1, 1), (3, 1, 2, 2), (3, 1, 3, 3)],
    [(2, 2, 0, 1), (4, 1, 1, 1), (1, 3, 0, 1)],
]


@pytest.mark.parametrize("windows", CHAINS)
def test_a_span_is_what_enumeration_reaches(windows):
    span = Span()
    for window in windows:
        span = span.through(*window)
    for unit in (0, 1, 7):
        first, last = seen(windows, unit)
        assert (first, last) == (
            span.start + unit * span.stride,
            span.start + unit * span.stride + span.size - 1,
        )


def test_dilated_windows_see_13_and_25_pixels():
    span = Span()
    for dilation in (1, 2, 3):
        span = span.through(3, dilation=dilation)
    assert span.size == 13
    for dilation in (1, 2, 3):
        span = span.through(3, dilation=dilation)
    assert span.size == 25


def test_a_union_holds_both_paths():
    shortcut, branch = Span(3, 2, -1), Span(9, 2, -4)
    assert shortcut.union(branch) == branch.union(shortcut) == Span(9, 2, -4)
    assert Span(3, 1, -2).union(Span(3, 1, 0)) == Span(5, 1, -2)


def test_shapes_needs_no_torch():
    code = "import sys, cnnlib.shapes; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
