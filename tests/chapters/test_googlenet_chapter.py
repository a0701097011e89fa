"""What the chapter on GoogLeNet says, asked again of the stored runs, the counts and the text."""

import re
from pathlib import Path

import pytest

import cnnlib
from cnnlib import runs
from cnnlib.models import googlenet

TEXT = (Path(__file__).resolve().parents[2] / "chapters/googlenet.md").read_text(encoding="utf8")


def words(name):
    """Verdict of each comparison, in both makings."""
    return [[c.word for c in runs.verdict(name, second)] for second in (False, True)]


def test_all_sizes_beat_each_size_alone_in_both_makings():
    assert words("googlenet-windows") == [["better"] * 3] * 2
    gains = [c.difference for second in (False, True) for c in runs.verdict("googlenet-windows", second)]
    assert min(gains) > 2.5  # "two and a half points or more"


def test_the_reduced_module_is_better_than_either_naive_one_and_reducing_is_not_shown_to_harm():
    expected = ["better"] * 4 + ["no difference shown"]
    assert words("googlenet-reduction") == [expected] * 2
    for second in (False, True):
        *_, last = runs.verdict("googlenet-reduction", second)
        assert -1.4 < last.low < 0 < last.high < 1.4


def macs(name):
    return {
        side: cnnlib.trace(made.build(), (1, 28, 28)).macs
        for side, made in runs.EXPERIMENTS[name].sides.items()
    }


def test_the_budgets_are_as_the_page_says():
    windows = macs("googlenet-windows").values()
    assert max(windows) / min(windows) < 1.05
    reduction = macs("googlenet-reduction")
    assert reduction["naive, equal MACs"] / reduction["reduced"] == pytest.approx(1, abs=0.02)
    assert reduction["1x1, not reduced"] / reduction["naive, as wide"] == pytest.approx(1, abs=0.02)
    assert reduction["naive, as wide"] / reduction["reduced"] == pytest.approx(4.7, abs=0.05)
    assert 0.75 < 1 - reduction["reduced"] / reduction["1x1, not reduced"] < 0.8  # "nearly four fifths"


def test_one_naive_module_takes_more_than_all_of_alexnet():
    naive = cnnlib.trace(googlenet.naive(256, 128, 192, 96, googlenet.PAPER), (256, 28, 28))
    assert naive.macs > cnnlib.trace(cnnlib.build("alexnet"), (3, 224, 224)).macs


def test_a_twentieth_of_the_parameters_of_vgg16_and_a_tenth_of_its_arithmetic():
    net, vgg = (cnnlib.trace(cnnlib.build(name), (3, 224, 224)) for name in ("googlenet_2014", "vgg16"))
    assert vgg.params / net.params == pytest.approx(20, rel=0.05)
    assert vgg.macs / net.macs == pytest.approx(10, rel=0.05)


def test_vgg_alone_is_better_and_seven_of_each_are_not():
    facts = {r["claim"]: float(r["value"]) for r in cnnlib.resources.facts("papers") if "top-5" in r["claim"]
             and re.fullmatch(r"[\d.]+", str(r["value"]))}  # fmt: skip
    assert facts["VGG 1 net top-5 test"] < facts["GoogLeNet 1 net top-5"]
    assert facts["GoogLeNet ensemble top-5 test"] < facts["VGG ILSVRC-2014 submission (7 nets) top-5 test"]


def test_nothing_is_quoted_before_it_is_introduced():
    """Sentences of an earlier page that named numbers and columns a reader had not met."""
    assert "81 %" not in TEXT and "plain columns" not in TEXT


def test_the_takeaways_answer_the_question_of_the_title():
    title = TEXT.split("\n# ", 1)[1].split("\n", 1)[0]
    assert title.endswith("windows of all sizes at once, or of one?")
    answer = "at equal arithmetic and within six epochs, the network with GoogLeNet's module was more accurate than "
    answer += "each network with windows of one size"
    text, takeaways = TEXT.lower().split("**takeaways.**")
    assert answer.lower() in text and answer.lower() in takeaways


def test_all_four_sides_still_rose_in_the_last_epoch_as_the_page_says():
    gains = [
        100 * sum(r["rows"][-1]["valid_acc"] - r["rows"][-2]["valid_acc"] for r in made) / len(made)
        for second in (False, True)
        for made in runs.sides(runs.load("googlenet-windows", second)).values()
    ]
    assert f"rising by {min(gains):.1f} to {max(gains):.1f} points" in TEXT


def test_reduced_in_the_second_making_is_the_same_five_runs_as_all_sizes():
    kept = [
        runs.sides(runs.load(name, True))[side]
        for name, side in (("googlenet-windows", "all sizes"), ("googlenet-reduction", "reduced"))
    ]
    ends = [[run["rows"][-1]["valid_acc"] for run in made] for made in kept]
    assert ends[0] == ends[1]


def test_vgg_19_takes_twelve_times_the_arithmetic():
    net, vgg = (cnnlib.trace(cnnlib.build(name), (3, 224, 224)) for name in ("googlenet_2014", "vgg19"))
    assert 12 <= vgg.macs / net.macs < 12.5
