"""The front, the bubbles, and the facts that the chapter on complexity rests on."""

import itertools
import random

import matplotlib.pyplot as plt
import pytest
import torch
from scipy.stats import spearmanr
from torchvision import models

import cnnlib
from cnnlib import measuring, plot, resources, table


def dominated(one, others):
    return any(
        (o[0] <= one[0] and o[1] >= one[1]) and (o[0] < one[0] or o[1] > one[1]) for o in others
    )  # fmt: skip


def test_the_front_is_what_nothing_dominates():
    draw = random.Random(0)
    for _ in range(200):
        points = [(draw.randint(0, 6), draw.randint(0, 6)) for _ in range(draw.randint(1, 12))]
        found = measuring.pareto_front(points, lambda p: p[0], lambda p: p[1])
        assert found == sorted(found)
        assert sorted(found) == sorted(p for p in points if not dominated(p, points))


def test_the_front_of_nothing_is_empty():
    assert measuring.pareto_front([], lambda p: p, lambda p: p) == []


def test_bubbles_stand_where_the_rows_say():
    rows = [{"name": n, "group": g, "m": m, "a": a, "p": p} for n, g, m, a, p in
            (("x", "one", 1e6, 50, 10), ("y", "two", 1e9, 70, 20), ("z", "two", 1e8, 80, 40))]  # fmt: skip
    ax = plot.bubbles(rows, "m", "a", "p", "MACs", "accuracy", named=["x", "z"], front=["x", "z"])
    spots = {tuple(c.get_offsets()[0]): c.get_sizes()[0] for c in ax.collections}
    assert set(spots) == {(1e6, 50), (1e9, 70), (1e8, 80)}
    assert spots[(1e8, 80)] == pytest.approx(4 * spots[(1e6, 50)])
    assert {t.get_text() for t in ax.texts} == {"x", "z"} and ax.get_xscale() == "log"
    with pytest.raises(ValueError, match="named or front has q"):
        plot.bubbles(rows, "m", "a", "p", "MACs", "accuracy", named=["q"])
    plt.close("all")


def test_a_sortable_table_is_marked_and_else_plain():
    plain, marked = table.Table(["a"], [[1]]), table.Table(["a"], [[1]], sortable=True)
    assert 'class="cnn-table"' in plain._repr_html_() and 'class="cnn-table sortable"' in marked._repr_html_()
    assert repr(plain) == repr(marked)


# ---- facts ----


def test_accuracies_of_weights_are_those_that_torchvision_states():
    for row in resources.facts("accuracy"):
        if row["kind"] == "weights":
            name = cnnlib.models.public_name(row["name"])
            stated = models.get_model_weights(name)[row["weights"]].meta["_metrics"]["ImageNet-1K"]
            assert (row["top1"], row["top5"]) == (stated["acc@1"], stated["acc@5"]), row["name"]


def test_accuracies_of_papers_are_their_errors_turned_round():
    claims = {r["claim"]: str(r["value"]) for r in resources.facts("papers")}
    rows = [r for r in resources.facts("accuracy") if r["kind"] != "weights"]
    assert len(rows) > 30
    for row in rows:
        claim = next(c for c in claims if row["source"].startswith(f"papers.csv: {c} ("))
        printed = [float(v) for v in claims[claim].split("/")]
        right = printed if "accuracy" in claim else [100 - v for v in printed]
        assert any(row["top1"] == pytest.approx(v) for v in right), row["name"]


def test_every_accuracy_and_time_belongs_to_a_network_of_the_book_with_a_bill():
    bills = {r["name"] for r in resources.facts("bills")}
    assert bills == set(cnnlib.list_models())
    for fact in ("accuracy", "gpu_speed"):
        assert {r["name"] for r in resources.facts(fact)} <= bills


def test_bills_agree_with_two_other_witnesses():
    """MACs with the rows of the measurement, parameters and MACs with the facts made from other definitions."""
    bills = {r["name"]: r for r in resources.facts("bills")}
    for row in measuring.load()["rows"]:
        if row["name"] in bills:
            assert bills[row["name"]]["macs"] == row["macs"], row["name"]
    shared = [
        r for r in resources.facts("architectures") if r["name"] in bills and r["source"] == "torchvision"
    ]
    assert len(shared) > 25
    for row in shared:
        mine = bills[row["name"]]
        if str(mine["image"]) == str(row["input"]):
            assert (mine["params"], mine["macs"]) == (row["params"], row["macs"]), row["name"]


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "squeezenet1_1", "resnet20_cifar", "vgg_small"])
def test_a_bill_is_what_the_trace_says(name):
    with torch.device("meta"):
        net = cnnlib.build(name)
    c, told = (
        cnnlib.trace(net, cnnlib.models.image_shape(name)),
        {r["name"]: r for r in resources.facts("bills")}[name],
    )
    for key in ("params", "macs", "activations", "memory", "training_memory"):
        assert getattr(c, key) == told[key]


# ---- claims of the page ----


def first():
    bills = {r["name"]: r for r in resources.facts("bills")}
    seconds = {r["name"]: r["forward"] for r in measuring.load()["rows"]}
    gpu = {r["name"]: r["images_per_second"] for r in resources.facts("gpu_speed")}
    return {
        r["name"]: {**bills[r["name"]], "top1": r["top1"], "crops": r["crops"], "cpu": seconds[r["name"]],
                    "gpu": gpu.get(r["name"])}
        for r in resources.facts("accuracy") if r["set"] == "ImageNet" and r["recipe"] == "first"
    }  # fmt: skip


def test_no_vgg_is_on_any_front():
    rows = list(first().values())
    for cost in ("macs", "params", "memory", "cpu"):
        found = measuring.pareto_front(rows, lambda r, c=cost: r[c], lambda r: r["top1"])
        assert found and not any(r["name"].startswith("vgg") for r in found)


def test_a_recipe_was_worth_more_than_a_hundred_layers():
    rows = first()
    newer = {r["name"]: r["top1"] for r in resources.facts("accuracy") if r["recipe"] == "newer"}
    assert newer["resnet50"] - rows["resnet50"]["top1"] > rows["resnet152"]["top1"] - rows["resnet50"]["top1"]


def test_the_card_prefers_a_network_with_six_times_the_macs():
    rows = first()
    small, large = rows["mobilenet_v2"], rows["resnet18"]
    assert large["macs"] > 6 * small["macs"] and large["gpu"] > small["gpu"] and large["cpu"] > small["cpu"]


def test_on_the_card_time_goes_with_activations_too():
    """The four pairs of the page, and the orders of all timed networks."""
    rows = first()
    for a, b in (("resnet50", "resnet34"), ("densenet121", "resnet34"), ("mobilenet_v2", "resnet18"),
                 ("resnet152", "vgg16")):  # fmt: skip
        a, b = rows[a], rows[b]
        assert a["activations"] > 1.6 * b["activations"] and a["gpu"] < b["gpu"]
    r50, r34 = rows["resnet50"], rows["resnet34"]
    assert round(r50["macs"] / r34["macs"], 2) == 1.12 and round(r34["gpu"] / r50["gpu"], 2) == 1.91

    def agree(these, x, y):
        return spearmanr([x(r) for r in these], [y(r) for r in these]).statistic

    timed = [r for r in rows.values() if r["gpu"] and r["crops"] == 1]
    card = lambda r: 1 / r["gpu"]  # noqa: E731
    macs, counted = (lambda r: r["macs"]), (lambda r: r["activations"])
    dense = [r for r in timed if r["name"] not in ("mobilenet_v2", "efficientnet_b0", "convnext_tiny")]
    assert len(timed) == 35 and agree(timed, macs, card) == pytest.approx(0.876, abs=0.001)
    assert agree(timed, counted, card) == pytest.approx(0.858, abs=0.001)
    assert agree(dense, macs, card) < agree(timed, macs, card)
    assert agree(timed, macs, lambda r: r["cpu"]) > 0.95


def test_within_the_resnets_a_point_grows_dearer_in_time_on_the_card():
    chain = [first()[f"resnet{n}"] for n in (18, 34, 50, 101, 152)]
    prices = [
        (1e6 * (1 / b["gpu"] - 1 / a["gpu"]) / (b["top1"] - a["top1"]),
         (b["macs"] - a["macs"]) / 1e9 / (b["top1"] - a["top1"]))
        for a, b in itertools.pairwise(chain)
    ]  # fmt: skip
    assert [round(time) for time, _ in prices] == [23, 65, 195, 287]
    assert [round(macs, 2) for _, macs in prices] == [0.52, 0.15, 2.98, 3.96]


def test_time_sorts_like_macs_on_one_thread():
    rows = [r for r in first().values() if r["crops"] == 1]
    pairs = list(itertools.combinations(rows, 2))
    alike = sum((a["macs"] - b["macs"]) * (a["cpu"] - b["cpu"]) > 0 for a, b in pairs)
    assert alike / len(pairs) > 0.9


def test_the_exercise_by_hand_is_worked_right():
    five = [(1, 60), (2, 70), (3, 65), (4, 70), (5, 75)]
    assert measuring.pareto_front(five, lambda n: n[0], lambda n: n[1]) == [(1, 60), (2, 70), (5, 75)]
    five[3] = (2, 70)
    assert measuring.pareto_front(five, lambda n: n[0], lambda n: n[1]) == [(1, 60), (2, 70), (2, 70), (5, 75)]


def test_no_energy_is_claimed():
    """The page says that none was measured; rows with joules would need another sentence."""
    assert {r["energy"] for r in measuring.load()["batches"]} == {"not available"}
