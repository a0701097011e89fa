"""Intervals drawn where their numbers say."""

import matplotlib.pyplot as plt
import pytest

from cnnlib.figures.plots import Interval, intervals

ROWS = [
    Interval("a minus b", 2.0, 1.0, 3.0, [1.5, 2.5]),
    Interval("a minus c", -0.5, -1.0, 0.2, [-0.8, -0.2]),
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def drawn(ax):
    """The ends of each bar, and each seed."""
    found = [list(line.get_xdata()) for line in ax.lines if len(line.get_xdata())]
    return found[1:]  # the first is the zero line


def test_bars_estimates_and_seeds_stand_at_their_numbers():
    ax = intervals(ROWS, [], "difference (points)")
    assert drawn(ax) == [[1.0, 3.0], [2.0], [1.5, 2.5], [-1.0, 0.2], [-0.5], [-0.8, -0.2]]
    assert [text.get_text() for text in ax.texts] == ["a minus b", "a minus c"]
    assert ax.get_xlabel() == "difference (points)" and ax.get_legend() is None


def test_a_second_making_stands_below_the_first():
    ax = intervals(ROWS, ROWS[::-1], "x")
    heights = [
        line.get_ydata()[0] for line in ax.lines[1:] if len(line.get_xdata()) == 2 and line.get_lw() == 3
    ]
    assert heights == sorted(heights, reverse=True) and len(heights) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "first seeds",
        "other seeds, searched anew",
    ]
    with pytest.raises(ValueError, match="again has 1 intervals: need one for each of the 2 rows"):
        intervals(ROWS, ROWS[:1], "x")


def test_an_interval_without_end_reaches_the_edge():
    ax = intervals([Interval("a minus b", 2.0, float("-inf"), float("inf"), [1.0, 3.0])], [], "x")
    (low, high), *_ = drawn(ax)
    assert (low, high) == (-3.3000000000000003, 3.3000000000000003)
