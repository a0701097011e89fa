"""``cnnlib costs``, called as a person would."""

import argparse
import csv
import io
import json
import subprocess
import sys

import pytest

from cnnlib.cli import costs


def call(*words):
    parser = argparse.ArgumentParser()
    costs.add_parser(parser.add_subparsers(required=True))
    args = parser.parse_args(["costs", *words])
    return args.main(args)


def printed(capsys, *words):
    assert call(*words) == 0
    return capsys.readouterr().out


def test_the_parser_needs_no_torch():
    code = (
        "import sys, argparse\nfrom cnnlib.cli import costs\n"
        "costs.add_parser(argparse.ArgumentParser().add_subparsers())\n"
        "assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_of_the_book(capsys):
    assert "1,256,080" in printed(capsys, "lenet_lecture")
    assert "1,433,534,464" in printed(capsys, "alexnet", "--input", "3x227x227", "--batch", "2")


def test_networks_of_torchvision_at_their_own_size(capsys):
    assert "4,089,184,256" in printed(capsys, "torchvision:resnet50")
    assert "image 3×299×299" in printed(capsys, "torchvision:inception_v3", "--by", "part")
    assert "image 3×224×224" in printed(capsys, "torchvision:regnet_y_400mf", "--by", "part")


FILE = """
from torch import nn
from helper import SIDE

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, SIDE), nn.ReLU())

net = Net()
word = "no network"

class Needs(nn.Module):
    def __init__(self, width):
        super().__init__()
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "helper.py").write_text("SIDE = 3\n", encoding="utf8")
    path = tmp_path / "my net.py"
    path.write_text(FILE, encoding="utf8")
    yield path
    sys.modules.pop("helper", None)


def test_a_network_in_a_file(capsys, file):
    for name in ("Net", "net"):
        text = printed(capsys, f"{file}:{name}", "--input", "3x8x8")
        assert "3,888" in text and "112" in text
    assert str(file.parent) not in sys.path


@pytest.mark.parametrize(
    ("by", "first"),
    [("part", "conv1"), ("block", "layer1.0"), ("stage", "112×112"), ("kind", "Conv2d"), ("layer", "conv1")],
)
def test_folds(capsys, by, first):
    text = printed(capsys, "resnet18", "--by", by)
    assert first in text and "1,814,073,344" in text


def test_the_dearest_rows(capsys):
    rows = json.loads(printed(capsys, "alexnet", "--top", "2", "--of", "params", "--format", "json"))["rows"]
    assert [row["layer"] for row in rows] == ["classifier.1", "classifier.4"]


def test_what_others_print(capsys):
    text = printed(capsys, "resnet50", "--printed")
    assert "4,111,512,576" in text and "fvcore" in text


def test_every_format_holds_the_same_numbers(capsys):
    tables = {form: printed(capsys, "lenet_lecture", "--format", form) for form in costs._FORMATS}
    assert "| conv1 | Conv2d | 20×28×28 | 520 | 392,000 |" in tables["md"]
    assert tables["html"].count("<tr") == tables["text"].count("\n") - 3  # caption and two rules make no row
    rows = list(csv.DictReader(io.StringIO(tables["csv"])))
    told = json.loads(tables["json"])["rows"]
    assert [int(row["macs"]) for row in rows] == [row["macs"] for row in told]
    assert sum(row["params"] for row in told) == 1_256_080
    assert told[0]["out"] == [20, 28, 28] and told[0]["in_place"] is False


def test_json_sets_the_total_apart(capsys):
    told = json.loads(printed(capsys, "resnet18", "--by", "stage", "--format", "json"))
    assert told["total"]["MACs"] == sum(row["MACs"] for row in told["rows"]) == 1_814_073_344
    assert "one multiply and its add" in told["caption"]


def test_two_networks_side_by_side(capsys):
    text = printed(capsys, "--compare", "vgg16", "resnet34")
    assert "138,357,544" in text and "3,663,761,408" in text and "Image 3×224×224" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["resnet51"], "no network is called 'resnet51'"),
        (["torchvision:resnet51"], "torchvision has no network 'resnet51'"),
        (["nowhere.py:Net"], "there is no file nowhere.py"),
        (["nowhere.py"], "name the class too"),
        ([], "name one network"),
        (["vgg16", "--compare", "vgg16"], "name one network"),
        (["--compare", "lenet_lecture", "alexnet"], "choose one image with --input"),
        (["alexnet", "--input", "3x20x20"], "need images of at least 63 pixels a side"),
        (["alexnet", "--top", "3", "--of", "flops"], "need one of params"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(words, told):
    with pytest.raises(ValueError, match=told):
        call(*words)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Gone", "defines no 'Gone'"),
        ("Needs", "cannot be made: TypeError"),
        ("word", "need a torch.nn.Module"),
    ],
)
def test_what_a_file_does_not_hold(file, name, told):
    with pytest.raises(ValueError, match=told):
        call(f"{file}:{name}")


def test_a_wrong_shape_is_told_by_the_parser(capsys):
    with pytest.raises(SystemExit):
        call("alexnet", "--input", "big")
    assert "such as 3x224x224" in capsys.readouterr().err


UNCOUNTED = """
import torch
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        return torch.special.i0(x)
"""


@pytest.mark.parametrize("form", costs._FORMATS)
@pytest.mark.parametrize(
    "fold", [[], ["--by", "kind"], ["--by", "stage"], ["--top", "1"], ["--printed"], ["--compare"]]
)
def test_what_is_not_counted_is_named_in_every_form(capsys, tmp_path, fold, form):
    file = tmp_path / "net.py"
    file.write_text(UNCOUNTED)
    name = [f"{file}:Net"] * (2 if fold == ["--compare"] else 1)
    assert "NOT COUNTED: i0." in printed(capsys, *fold, *name, "--input", "3x8x8", "--format", form)


POSTPONED = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn

@dataclass
class Plan:
    width: int = 8

class Net(nn.Sequential):
    def __init__(self, plan: Plan = Plan()):
        super().__init__(nn.Conv2d(3, plan.width, 3))
"""


def test_a_file_with_dataclasses_and_postponed_annotations(capsys, tmp_path):
    file = tmp_path / "net.py"
    file.write_text(POSTPONED)
    before = set(sys.modules)
    out = printed(capsys, f"{file}:Net", "--input", "3x9x9")
    assert "224" in out and "10,584" in out
    assert not {name for name in set(sys.modules) - before if name == "net"}


def test_a_file_may_be_called_as_a_module_that_is_there(capsys, tmp_path):
    """Such as ``json.py``: neither takes the place of the other."""
    file = tmp_path / "json.py"
    file.write_text(POSTPONED)
    assert "10,584" in printed(capsys, f"{file}:Net", "--input", "3x9x9")
    assert sys.modules["json"] is json
