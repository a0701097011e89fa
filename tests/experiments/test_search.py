"""The search for a rate: the middle of what is as good as the best, on a grid that grows until the best lies inside."""

import pytest

from cnnlib.experiments import search

GRID = (0.01, 0.03, 0.1)


def tried(*means, spread=0.0):
    return {rate: [m - spread, m, m + spread] for rate, m in zip(GRID, means, strict=True)}


def test_the_best_mean_wins_where_it_stands_out():
    choice = search.choose(tried(70, 80, 75, spread=0.1))
    assert (choice.rate, choice.best, choice.tied) == (0.03, 0.03, (0.03,))
    assert search.choose(tried(20, 9, 15), more_is_better=False).rate == 0.03


def test_ties_go_to_the_middle():
    assert search.choose(tried(80, 80, 80)).rate == 0.03
    assert search.choose(tried(80, 79.9, 79.8, spread=1.0)).rate == 0.03
    choice = search.choose(tried(70, 80, 79.9, spread=1.0))  # of two, the one nearer to the best
    assert (choice.rate, choice.tied) == (0.03, (0.03, 0.1))
    assert search.choose(tried(80, 80, 70)).rate == 0.01  # the first of two equals is the lower one


def test_one_seed_of_three_that_diverged_rules_a_rate_out():
    values = tried(70, 80, 90) | {0.1: [95, None, 95]}
    assert search.choose(values).rate == 0.03
    with pytest.raises(ValueError, match="seeds diverged at each of the rates 0.01, 0.03"):
        search.choose({0.01: [None] * 3, 0.03: [50, None, 51]})


def test_the_grid_grows_where_a_side_does_best_at_its_edge():
    low, inside, high = (search.choose(tried(*means)) for means in ((80, 70, 60), (70, 80, 70), (60, 70, 80)))
    assert search.grown(GRID, [inside, inside], GRID) == GRID
    assert search.grown(GRID, [inside, low], GRID) == (0.003, *GRID)
    assert search.grown(GRID, [high, low], GRID) == (0.003, *GRID, 0.3)


def test_a_tie_that_reaches_the_edge_grows_the_grid_too():
    """The middle lies inside, but the best mean is the last one: what comes after it was not looked at."""
    choice = search.choose(tried(79.0, 79.9, 80.0, spread=2.0))
    assert choice.rate == 0.03 and search.grown(GRID, [choice], GRID) == (*GRID, 0.3)


def test_it_does_not_grow_for_ever():
    high = search.Choice(10.0, 10.0, (10.0,))
    grid = (*GRID, 0.3, 1.0, 3.0, 10.0)
    assert search.grown(grid, [high], GRID) == grid


def test_the_ladder_has_half_decades():
    assert {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0} <= set(search.LADDER)
    steps = [b / a for a, b in zip(search.LADDER, search.LADDER[1:], strict=False)]
    assert all(2.9 < step < 3.4 for step in steps)


def test_values_are_sorted_by_rate():
    entries = [{"net": "a", "peak": p, "seed": s, "value": p * s} for p in (0.1, 0.01) for s in (2, 1)]
    assert search.values([*entries, {"net": "b", "peak": 0.3, "seed": 1, "value": 0}], "a") == {
        0.01: [0.01, 0.02], 0.1: [0.1, 0.2],
    }  # fmt: skip
