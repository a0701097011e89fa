"""What the chapter on costs says of its numbers, asked again of the engine and of the facts."""

import pytest
from torch import nn

import cnnlib
from cnnlib import probe, resources

PRINTED = {"printed_kb": "memory_kb", "printed_params_k": "params_k", "printed_macs_m": "macs_m"}


def misprints(rows):
    """Numbers on the slide that are not the computed ones, rounded; a pool's reads are the slide's MACs, too."""
    return [(r["layer"], p) for r in rows for p, ours in PRINTED.items() if abs(r[p] - r[ours]) > 0.5]


@pytest.fixture
def lecture():
    return [r for r in resources.facts("lecture_alexnet") if not r["layer"].startswith("TOTAL")]


def test_four_of_the_printed_numbers_differ(lecture):
    fc = [(name, "printed_params_k") for name in ("fc6", "fc7", "fc8")]
    assert misprints(lecture) == [("conv4", "printed_macs_m"), *fc]
    for row in lecture[-3:]:  # without biases, they round to what is printed
        assert round(row["weights"] / 1e3) == row["printed_params_k"]


def test_another_misprint_would_be_found(lecture):
    lecture[0]["printed_kb"] += 1
    assert misprints(lecture)[0] == ("conv1", "printed_kb")


def test_fc6_is_rounded_and_not_cut():
    (row,) = (r for r in resources.facts("lecture_checks") if r["id"] == "alex.fc6_params_table")
    assert int(row["computed"]) == round(37_752_832 / 1e3) == 37_753


def ratio_of_maps_to_weights(name, image, batch):
    """Bytes that training keeps of maps, against weights with gradients and momentum."""
    cost = cnnlib.trace(cnnlib.build(name), image, batch)
    return cost.training_memory / (3 * cost.param_bytes)


def test_what_fills_the_memory_of_training_depends_on_network_and_batch():
    alexnet = [ratio_of_maps_to_weights("alexnet_lecture", (3, 227, 227), n) for n in (128, 193, 194)]
    assert alexnet[0] < alexnet[1] < 1 < alexnet[2]
    assert ratio_of_maps_to_weights("resnet50", (3, 224, 224), 128) > 30


def test_reached_is_a_span_and_not_a_count():
    gaps = nn.Sequential(nn.Conv2d(1, 1, 2, stride=4), nn.Conv2d(1, 1, 2))
    (field,) = probe.receptive_fields(gaps, (1, 31, 31), ["1"])
    assert probe.reached(gaps, (1, 31, 31)) == field.by_gradient == 6
    assert field.mask.any(0).sum() == 4


def test_what_the_tools_miss():
    """Three miss a convolution that is no module, four attention by products, one ten rows; none has all right."""
    asked = [r for r in resources.facts("counters_compared") if r["input"] != "3x224x224"]
    tools = "torchinfo", "fvcore", "ptflops", "thop", "calflops"

    def missed(row):
        return [t for t in tools if isinstance(row[t], str) or row[t] < 0.5 * row["macs"]]

    by_case = {row["case"]: missed(row) for row in asked}
    assert len(by_case["F.conv2d"]) == 3 and len(by_case["attention by matrix products"]) == 4
    assert by_case["linear layer on 10 rows"] == ["torchinfo"]
    for tool in tools:
        assert any(isinstance(r[tool], str) or not 1 <= r[tool] / r["macs"] <= 1.2 for r in asked)


def test_a_unit_of_the_last_convolution_sees_163_pixels():
    assert probe.reached(cnnlib.build("alexnet"), (3, 288, 433), "features.10") == 163
