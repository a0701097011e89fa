"""What is not counted is named in every form that a cost is written in; so is a field that is not known."""

import csv
import io

import pytest
import torch
from torch import nn

import cnnlib
from cnnlib import table
from cnnlib.cli import costs
from cnnlib.costs import conventions


class Hidden(nn.Module):
    """A convolution, and an operation that no rule is written for."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.special.i0(self.conv(x))


FORMS = {
    "text": repr, "HTML": lambda t: t._repr_html_(), "Markdown": lambda t: t.to_markdown(), "CSV": lambda t: t.to_csv(),
    "data frame": lambda t: str(t.to_pandas().attrs), **{f"--format {k}": v for k, v in costs._FORMATS.items()},
}  # fmt: skip
TABLES = {
    "layers": lambda cost: cost.table(), "parts": lambda cost: cost.by(1), "kinds": lambda cost: cost.by_kind(),
    "sizes": lambda cost: cost.by_size(), "dearest": lambda cost: cost.top(1, "macs"),
    "all columns": lambda cost: cost.details(), "beside another": lambda cost: table.compare(PLAIN, cost),
    "as others print it": conventions.printed,
}  # fmt: skip
PLAIN = cnnlib.trace(nn.Conv2d(3, 4, 3), (3, 8, 8))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TABLES)
def test_it_is_named(name, form):
    cost = cnnlib.trace(Hidden(), (3, 8, 8))
    assert cost.unsupported == {"i0": 1}
    assert "NOT COUNTED: i0." in FORMS[form](TABLES[name](cost))
    if name != "beside another":
        assert "NOT" not in FORMS[form](TABLES[name](PLAIN))


def test_the_cost_itself_says_it_in_its_short_forms():
    cost = cnnlib.trace(Hidden(), (3, 8, 8))
    for text in (
        repr(cost),
        cost._repr_html_(),
        cost.to_markdown(),
        cost.to_csv(),
        cost.to_pandas().attrs["warning"],
    ):
        assert "NOT COUNTED: i0." in text


def test_a_file_with_a_warning_is_still_a_table():
    lines = list(csv.reader(io.StringIO(cnnlib.trace(Hidden(), (3, 8, 8)).to_csv())))
    assert len({len(line) for line in lines}) == 1 and lines[-1][0].startswith("NOT COUNTED")


@pytest.mark.parametrize(
    ("product", "shapes", "macs"),
    [
        (torch.baddbmm, [(2, 6, 6)] * 3, 432),
        (torch.addbmm, [(6, 6), (2, 6, 6), (2, 6, 6)], 432),
        (torch.addbmm, [(4, 5), (3, 4, 7), (3, 7, 5)], 3 * 4 * 7 * 5),
        (torch.addmm, [(6, 6)] * 3, 216),
        (torch.addmv, [(6,), (6, 6), (6,)], 36),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_products_that_add_count_their_batch(product, shapes, macs):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tensors = nn.ParameterList(torch.ones(shape) for shape in shapes)

        def forward(self, x):
            return product(*self.tensors) + x.sum()

    cost = cnnlib.trace(Net(), (3,))
    assert cost.macs == macs and cost.unsupported == {}
