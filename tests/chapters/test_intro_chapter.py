"""What the introduction says of training and of its comparison, held by its own cells and by the package."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnlib import datasets
from cnnlib.training import Diverged, PiecewiseLinear, Recipe, seeded, train

CHAPTER = Path(__file__).resolve().parents[2] / "chapters/intro.md"


def cells():
    return [cell.source for cell in jupytext.read(CHAPTER).cells if cell.cell_type == "code"]


def cell_with(words):
    (found,) = (source for source in cells() if words in source)
    return found


def trained_by_the_page(change=("", "")):
    """The network that the page's own loop trains, after ``change`` in its text, in one pass."""
    names = {
        "F": F, "PiecewiseLinear": PiecewiseLinear, "datasets": datasets, "nn": nn, "seeded": seeded, "torch": torch,
    }  # fmt: skip
    loop = cell_with("loss.backward()").replace("range(5)", "range(1)").replace("/ 79) / 5)", "/ 79))")
    for source in (cell_with("def two_windows"), cell_with("def batches_of"), loop.replace(*change)):
        exec(source, names)
    return names


@pytest.fixture(scope="module")
def weights_of_train():
    names = trained_by_the_page()
    with seeded(0):
        net = names["two_windows"]()
    list(train(net, *datasets.fashion_mnist(), Recipe(1, names["rate"], batch=64)))
    return nn.utils.parameters_to_vector(net.parameters())


def test_the_loop_of_the_page_is_what_train_does(weights_of_train):
    mine = nn.utils.parameters_to_vector(trained_by_the_page()["net"].parameters())
    assert torch.allclose(mine, weights_of_train, atol=1e-5)


@pytest.mark.parametrize("change", [("momentum=0.9", "momentum=0.8"), ("weight_decay=5e-4", "weight_decay=0"),
                                    ("        sgd.zero_grad()\n", ""), ("(i + 0.5)", "i")])  # fmt: skip
def test_a_loop_with_a_slip_makes_other_weights(change, weights_of_train):
    assert change[0] in cell_with("loss.backward()")
    other = nn.utils.parameters_to_vector(trained_by_the_page(change)["net"].parameters())
    assert not torch.allclose(other, weights_of_train, atol=1e-5)


def test_the_loop_has_ten_lines():
    lines = cell_with("loss.backward()").splitlines()
    assert (
        len(lines) - lines.index("sgd = torch.optim.SGD(net.parameters(), momentum=0.9, weight_decay=5e-4)")
        <= 10
    )


def gaps():
    """{side: [(difference, half of its interval) as is, moved, faded, noisy]} in the page's output."""
    notebook = nbformat.read(CHAPTER.with_suffix(".ipynb"), as_version=4)
    (text,) = (
        output.data["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code" and "def difference" in cell.source
        for output in cell.outputs
    )
    found = {}
    for line in text.splitlines():
        if pairs := re.findall(r"([+-]\d+) ± (\d+)", line):
            found[line.partition("  ")[0]] = [(int(a), int(b)) for a, b in pairs]
    return found


def test_only_the_changes_tell_the_sides_apart():
    sides = gaps()
    assert set(sides) == {"pixels, linear", "pixels, network"}
    for as_is, moved, faded, noisy in sides.values():
        assert abs(as_is[0]) <= as_is[1]  # no difference shown
        assert moved[0] > moved[1] and faded[0] > faded[1] and -noisy[0] > noisy[1]


def accuracy(read, build, peak):
    """Mean over three seeds, on the last fifth of the training images."""
    images = read(datasets.fashion_mnist()[0])
    total = 0.0
    for seed in (100, 101, 102):
        with seeded(seed):
            net = build()
        recipe = Recipe(5, PiecewiseLinear((0, 0.2, 1), (0, peak, 0)), batch=64, seed=seed)
        try:
            total += list(train(net, images[:4000], images[4000:], recipe))[-1].valid_acc
        except Diverged:
            total += 0.1
    return total / 3


@pytest.mark.nightly
def test_each_side_learns_at_its_best_rate():
    names = {"F": F, "datasets": datasets, "nn": nn, "torch": torch}
    for words in ("def edge_histograms", "def two_windows"):
        exec(cell_with(words), names)
    exec(cell_with("sides = {").partition("trained = ")[0], names)
    for read, build, peak in names["sides"].values():
        found = {p: accuracy(read, build, p) for p in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)}
        best = max(found.values())
        assert found[0.003] < best and found[1.0] < best and found[peak] > best - 0.005, found
