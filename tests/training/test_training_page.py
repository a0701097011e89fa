"""What pages/training.md says of speed is what was stored."""

from statistics import median

import bench_training
import pytest
import training_page


def test_the_page_shows_what_is_stored():
    text = training_page.PAGE.read_text(encoding="utf-8")
    assert training_page.filled(text) == text


SPEED = training_page.stored("training-speed")


def test_every_suite_was_measured_whole():
    for suite, settings in bench_training.SUITES.items():
        assert len(SPEED[suite]) == 4 * len(settings)  # ours; 0, 1 and 2 workers


def best(suite):
    return [row for row in SPEED[suite] if row["best"]]


def test_half_the_work_where_loading_dominates_and_never_more():
    lenet, *others = best("pairs")
    assert lenet["network"] == "lenet5 of tutorials" and lenet["times_ours"] >= 2 <= lenet["cpu_times_ours"]
    assert all(row["cpu_times_ours"] >= 1 for row in others)
    for suite in ("batch", "images", "processes"):
        assert all(row["cpu_times_ours"] >= 1 for row in best(suite)), suite


def test_equal_accuracy_but_for_seeds():
    for network in {row["network"] for row in SPEED["pairs"]}:
        ours, *plain = [row["accuracy"] for row in SPEED["pairs"] if row["network"] == network]
        assert abs(ours - median(plain)) < 0.05, network


def test_settings_that_are_off_help_not_everywhere():
    rows = training_page.stored("recipe-speed")["rows"]
    assert min(row["channels_last"] for row in rows) < 1.05 < max(row["channels_last"] for row in rows)
    assert max(row["amp"] for row in rows) < 0.5  # a CPU without bf16


def test_a_page_without_a_place_is_told():
    with pytest.raises(SystemExit, match=r"has 0 places for \w+: need one"):
        training_page.filled("")


def test_a_time_to_the_same_accuracy_ends_with_the_first_epoch_that_has_it():
    found = {"epochs": [[1.0, 0.4], [2.0, 0.6], [3.0, 0.5]]}
    assert bench_training.until(found, 0.5) == 2.0 and bench_training.seconds(found) == 3.0
