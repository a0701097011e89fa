"""Tables say the same in every form."""

import csv
import io
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import pytest

import cnnlib
from cnnlib.table import Share, Table, compare, number, of, size

TABLE = Table(
    ("layer", "out", "params"),
    [("conv", (64, 56, 56), 23296), ("a|b <i>", None, 7)],
    "One image.",
    total=True,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), ((64, 56, 56), "64×56×56"), (None, ""), ("as it is", "as it is"), (0.5, "0.5")],
)  # fmt: skip
def test_cells(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [(802_816, "784 KiB"), (186_624, "182.25 KiB"), (400, "400 B"), (2**31, "2 GiB"), (0, "0 B")],
)
def test_sizes(n, text):
    assert size(n) == text


def test_text_lines_up():
    lines = repr(TABLE).splitlines()
    assert lines[0] == "One image."
    assert len({len(line) for line in lines[1:]}) == 1


def test_html_is_well_formed_escaped_and_has_every_cell():
    root = ET.fromstring(TABLE._repr_html_())
    cells = [td.text or "" for td in root.iter("td")]
    assert cells == ["conv", "64×56×56", "23,296", "a|b <i>", "", "7"]
    assert [th.get("scope") for th in root.iter("th")] == ["col"] * 3
    assert [tr.get("class") for tr in root.iter("tr")] == [None, None, "total"]


def test_markdown_and_csv_read_back():
    lines = TABLE.to_markdown().splitlines()
    assert len(lines) == 4 and "a\\|b" in lines[3]
    assert list(csv.reader(io.StringIO(TABLE.to_csv())))[1] == ["conv", "64×56×56", "23296"]
    assert TABLE.to_pandas()["params"].sum() == 23303


def test_a_ragged_row_is_refused():
    with pytest.raises(ValueError, match="row 0 has 1 cells"):
        Table(("a", "b"), [(1,)])


def test_rows_of_dataclasses_and_of_dicts():
    @dataclass(frozen=True)
    class Epoch:
        epoch: int
        loss: float

    assert of([Epoch(1, 0.5)]).rows == of([{"epoch": 1, "loss": 0.5}]).rows == ((1, 0.5),)
    assert of([{"a": 1, "b": 2}], columns=["b"]).columns == ("b",)


def test_a_share_shows_as_per_cent_and_stays_a_number():
    table = Table(("layer", "share"), [("conv", Share(0.25))])
    assert "25.0 %" in repr(table) and "25.0 %" in table.to_markdown() and "25.0 %" in table._repr_html_()
    assert list(csv.reader(io.StringIO(table.to_csv())))[1] == ["conv", "0.25"]


def test_rows_of_a_trace_make_a_table():
    rows = cnnlib.trace(cnnlib.build("lenet_small"), (1, 28, 28)).rows
    assert of(rows, columns=("name", "activations")).rows[0][0] == rows[0].name


def test_two_networks_side_by_side():
    costs = [cnnlib.trace(cnnlib.build(n), (1, 28, 28)) for n in ("lenet_small", "lenet_lecture")]
    table = compare(*costs, names=("small", "lecture"))
    assert table.rows[1][0] == "lecture" and table.rows[1][1] == 1_256_080
    assert float(table.rows[1][-2]) == pytest.approx(1_256_080 / 247_070, abs=0.01)
    assert table.caption.startswith("Image 1×28×28, batch 1.")


def test_networks_side_by_side_on_images_of_their_own_say_so():
    costs = [
        cnnlib.trace(cnnlib.build(n), (1, side, side)) for n, side in (("lenet5", 32), ("lenet_small", 28))
    ]
    assert compare(*costs).caption.startswith("Image 1×32×32 (lenet5), 1×28×28 (lenet_small), batch 1.")
