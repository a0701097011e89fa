"""What pages/training.md says of speed is what was stored."""

import bench_training
import pytest
import training_page


def test_the_page_shows_what_is_stored():
    text = training_page.PAGE.read_text(encoding="utf-8")
    assert training_page.filled(text) == text


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
