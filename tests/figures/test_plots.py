"""Figures by their axes and data, never by pixels."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn

import cnnlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from cnnlib import plot
from cnnlib.figures import style
from cnnlib.shapes import Span


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def letters(ax):
    ax.figure.canvas.draw()
    return [t for t in ax.figure.findobj(matplotlib.text.Text) if t.get_text().strip() and t.get_visible()]


def words(ax):
    return [t.get_text() for t in letters(ax)]


def probed(h, w):
    mask = torch.zeros(h, w, dtype=torch.bool)
    mask[10:15, 20:27] = True
    return SimpleNamespace(layer="conv1", mask=mask, window=(Span(5, 1, 10), Span(7, 1, 20)))


NET = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
COST = cnnlib.trace(NET, (3, 8, 8))


def measured(name, macs, told, got):
    return {
        "name": name, "macs": macs, "forward": macs / 1e10,
        "spread": 0.2 if name == "net3" else 0.05, "predicted_memory": told, "memory": got,
        "predicted_training": 9 * told, "training": 9 * got,
    }  # fmt: skip


ROWS = [measured(f"net{i}", 10**i, 4**i, 5**i) for i in range(3, 9)]
MACHINE = SimpleNamespace(
    macs=4e10, bandwidth=2e10, ridge=2.0, caches=[SimpleNamespace(level="L2", bandwidth=8e10)]
)
POINTS = [
    SimpleNamespace(name="a", intensity=0.5, reached=3.0),
    SimpleNamespace(name="b", intensity=8.0, reached=30.0),
]
ERRORS = [
    {"year": 2015, "entry": "ResNet", "top5_error": "3.57", "kind": "CNN"},
    {"year": 2011, "entry": "XRCE", "top5_error": "25.8", "kind": "features"},
    {"year": 2014, "entry": "a person", "top5_error": "5.1", "kind": "human"},
]
DRAW = {
    "bars": lambda: plot.bars(["a", "b"], [1, 20_000], "params"),
    "top5_errors": lambda: plot.top5_errors(ERRORS),
    "layer_costs": lambda: plot.layer_costs(COST)[0],
    "training_curves": lambda: plot.training_curves(
        {"plain": [[1, 2], [3, 4]], "residual": [[2, 3], [4, 6]]}, "accuracy"
    ),
    "lines": lambda: plot.lines([1, 2, 3], {"up": [1, 2, 3], "down": [3, 2, 1]}, "depth", "error (%)"),
    "images": lambda: plot.images(torch.rand(3, 1, 8, 8), ["x", "y", "z"]),
    "filters": lambda: plot.filters(NET[0].weight),
    "feature_maps": lambda: plot.feature_maps(torch.rand(1, 5, 6, 6)),
    "receptive_field_frames": lambda: plot.receptive_field_frames(
        np.zeros((3, 40, 60), np.uint8), {"conv1": Span(11, 4, 0)}
    ),
    "receptive_fields": lambda: plot.receptive_fields(np.zeros((3, 40, 60), np.uint8), [probed(40, 60)] * 2),
    "time_vs_macs": lambda: plot.time_vs_macs(ROWS, 2e10, ["net3", "net8"], bound=0.1),
    "predicted_vs_measured": lambda: plot.predicted_vs_measured(ROWS, ["net3", "net8"]),
    "roofline": lambda: plot.roofline({"thin": POINTS[:1], "thick": POINTS[1:]}, MACHINE, ["a", "b"]),
    "confusion": lambda: plot.confusion([[3, 1], [0, 4]], ["cat", "dog"]),
}


@pytest.mark.parametrize("name", DRAW)
def test_figures_stand_on_white_and_read_on_a_phone(name):
    ax = DRAW[name]()
    fig = ax.figure
    assert to_rgb(fig.get_facecolor()) == (1, 1, 1) and fig.get_facecolor()[3] == 1
    shown = 343 / (fig.get_figwidth() * 72)  # pixels a point, on a phone
    small = [(t.get_text(), t.get_fontsize()) for t in letters(ax) if t.get_fontsize() * shown < 8]
    assert not small and fig.dpi == 144


@pytest.mark.parametrize("name", DRAW)
def test_drawing_changes_no_setting_and_obeys_none(name):
    before = dict(matplotlib.rcParams)
    sizes = {t.get_fontsize() for t in letters(DRAW[name]())}
    assert dict(matplotlib.rcParams) == before
    with plt.rc_context({"font.size": 5, "xtick.labelsize": 5, "axes.facecolor": "black", "figure.dpi": 50}):
        ax = DRAW[name]()
        assert {t.get_fontsize() for t in letters(ax)} == sizes
        assert to_rgb(ax.get_facecolor()) == (1, 1, 1)


def test_importing_figures_changes_no_setting():
    code = (
        "import sys, matplotlib; before = dict(matplotlib.rcParams); import cnnlib.figures.plots;"
        "assert dict(matplotlib.rcParams) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_cell_of_a_notebook_shows_its_figure():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = ["from cnnlib import plot", *2 * ["ax = plot.lines([1, 2], {'a': [1, 2]}, 'x', 'y')"]]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [[list(out.get("data", {})) for out in cell.outputs] for cell in notebook.cells]
    assert shown == [[], [["text/plain", "image/png"]], [["text/plain", "image/png"]]]


def test_bars_are_as_long_as_their_values_and_say_them():
    ax = plot.bars(["LeNet", "AlexNet"], [60_000, 60_965_224], "parameters", ["1998", "2012"])
    assert [bar.get_width() for bar in ax.patches] == [60_000, 60_965_224]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["LeNet", "AlexNet"]
    assert ax.yaxis_inverted() and ax.get_xlabel() == "parameters"
    assert {"60,000", "60,965,224", "1998", "2012"} <= set(words(ax))
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in ax.patches}) == 2
    with pytest.raises(ValueError, match="labels has 2, values has 1"):
        plot.bars(["a", "b"], [1], "x")


def test_errors_stand_by_year_and_people_are_a_line():
    ax = plot.top5_errors(ERRORS)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["2011  XRCE", "2015  ResNet"]
    assert sorted(bar.get_width() for bar in ax.patches) == [3.57, 25.8]
    assert [line.get_xdata()[0] for line in ax.lines] == [5.1]
    assert {"25.8 %", "3.57 %", "a person: 5.1 %"} <= set(words(ax))


def test_trends_show_each_layer_with_arithmetic_once():
    axes = plot.layer_costs(COST)
    memory, params, macs = ([bar.get_height() for bar in ax.patches] for ax in axes)
    assert (
        memory == [8 * 36 * 4, 5 * 4]
        and params == [8 * 27 + 8, 5 * 288 + 5]
        and macs == [36 * 8 * 27, 288 * 5]
    )
    assert axes[0].patches[0].get_facecolor() != axes[0].patches[1].get_facecolor()
    with pytest.raises(ValueError, match="no convolution or linear layer"):
        plot.layer_costs(cnnlib.trace(nn.ReLU(), (3, 8, 8)))


def test_curves_show_every_run_and_the_mean():
    ax = plot.training_curves({"plain": [[1, 2], [3, 4]], "residual": [[5, 6]]}, "accuracy")
    thick = {line.get_label(): list(line.get_ydata()) for line in ax.lines if line.get_linewidth() > 2}
    assert thick == {"plain": [2, 3], "residual": [5, 6]} and len(ax.lines) == 5
    assert list(ax.lines[0].get_xdata()) == [1, 2] and ax.get_xlabel() == "epoch"
    with pytest.raises(ValueError, match="equally long"):
        plot.training_curves({"plain": [[1, 2], [3]]}, "accuracy")


def test_the_names_of_lines_do_not_touch():
    values = {f"network {i}": [1, 2 + i * 1e-3] for i in range(7)}
    ax = plot.lines([0, 1], values, "x", "y")
    boxes = sorted((t.get_window_extent() for t in letters(ax) if t.get_text() in values), key=lambda b: b.y0)
    assert len(boxes) == 7 and all(a.y1 <= b.y0 + 1 for a, b in zip(boxes, boxes[1:], strict=False))
    with pytest.raises(ValueError, match="at most 7"):
        plot.lines([0], {str(i): [i] for i in range(8)}, "x", "y")


def test_the_palette_reads_without_colour():
    assert len(set(map(str, style.DASHES))) == len(set(style.MARKS)) == len(set(style.HATCHES)) == 7
    for colour in style.COLOURS:
        red, green, blue = (
            (c / 12.92) if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in to_rgb(style.for_text(colour))
        )
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) >= 4.5, colour


def test_images_keep_their_pixels_and_their_order():
    x = torch.zeros(3, 1, 4, 4)
    x[0], x[1], x[2, 0, 0, 0] = 1.0, 0.5, 1.0
    ax = plot.images(x, cols=2)
    sheet = np.asarray(ax.get_images()[0].get_array())
    assert sheet.shape == (9, 9, 3)
    assert (
        (sheet[:4, :4] == 1).all()
        and (sheet[:4, 5:] == 0.5).all()
        and sheet[5, 0, 0] == 1
        and not sheet[6:, :4].any()
    )
    colour = np.asarray(plot.images(np.full((1, 3, 2, 2), 255, np.uint8)).get_images()[0].get_array())
    assert (colour == 1).all()
    with pytest.raises(ValueError, match="2 titles for 3 images"):
        plot.images(x, ["a", "b"])
    with pytest.raises(ValueError, match=r"shape \(1, 2, 4, 4\)"):
        plot.images(torch.zeros(1, 2, 4, 4))


def test_filters_and_maps_are_each_stretched():
    w = torch.stack([torch.linspace(-1e-3, 1e-3, 12).view(3, 2, 2), torch.linspace(5, 50, 12).view(3, 2, 2)])
    sheet = np.asarray(plot.filters(w).get_images()[0].get_array())
    assert sheet[:, :2].min() == sheet[:, 3:].min() == 0 and sheet[:, :2].max() == sheet[:, 3:].max() == 1
    assert (np.asarray(plot.feature_maps(torch.ones(1, 3, 3)).get_images()[0].get_array()) == 0.5).all()
    with pytest.raises(ValueError, match="maps of one image"):
        plot.feature_maps(torch.zeros(2, 3, 4, 4))


def test_a_field_is_drawn_where_the_unit_looks():
    spans = {"conv1": Span(11, 4, -2), "wide": (Span(5, 1, 0), Span(9, 1, 0)), "all": Span(500, 32, 0)}
    ax = plot.receptive_field_frames(np.zeros((3, 100, 200), np.uint8), spans)
    frames = {
        p.get_label(): p for p in ax.patches if isinstance(p, Rectangle) and not p.get_label().startswith("_")
    }
    conv1 = frames["conv1"]
    assert (conv1.get_width(), conv1.get_height()) == (11, 11)
    assert (conv1.get_x() + 0.5 + 2) % 4 == 0 and abs(conv1.get_x() + 0.5 + 5.5 - 100) <= 2
    assert (frames["wide"].get_width(), frames["wide"].get_height()) == (9, 5)
    assert (frames["all"].get_width(), frames["all"].get_height()) == (200, 100)
    assert {"conv1: 11 px", "wide: 5×9 px", "all: 500 px"} <= set(words(ax))


def test_sights_leave_bright_what_the_gradient_reached_and_frame_the_formula():
    photo = np.full((3, 40, 60), 200, np.uint8)
    ax = plot.receptive_fields(photo, [probed(40, 60)])
    tile = np.asarray(ax.get_images()[0].get_array())[:40, :60]
    bright, frame = np.isclose(tile, 200 / 255).all(-1), np.isclose(tile, to_rgb(style.COLOURS[4])).all(-1)
    assert bright[10:15, 20:27].all() and bright.sum() == 35
    assert frame[9:16, 19:28].sum() == frame.sum() == 7 * 9 - 35
    assert "conv1: 5 × 7 px" in words(ax)
    with pytest.raises(ValueError, match=r"conv1 was probed on an image of \(8, 60\)"):
        plot.receptive_fields(photo, [SimpleNamespace(layer="conv1", mask=torch.zeros(8, 60), window=())])


def apart(ax, expected):
    """The names on the axes, none on another."""
    names = [t for t in ax.texts if t.get_text() in expected]
    assert {t.get_text() for t in names} == set(expected)
    ax.figure.canvas.draw()
    a, b = (t.get_window_extent() for t in names)
    assert not a.overlaps(b)


def labelled(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_time_is_set_against_macs_with_its_spread():
    ax = plot.time_vs_macs(ROWS, 2e10, ["net3", "net8"], bound=0.1)
    lines = labelled(ax)
    assert list(lines["measured"].get_xdata()) == [r["macs"] for r in ROWS[1:]]
    assert list(lines["measured"].get_ydata()) == [1e3 * r["forward"] for r in ROWS[1:]]
    assert list(lines["spread above 10%"].get_xdata()) == [ROWS[0]["macs"]]
    assert lines["spread above 10%"].get_markerfacecolor() == "white"
    least = [1e3 * ROWS[k]["macs"] / 2e10 for k in (0, -1)]
    assert list(lines["at the machine's peak"].get_ydata()) == pytest.approx(least)
    ends = [segment[:, 1] for bars in ax.collections for segment in bars.get_segments()]
    want = [
        (1e3 * r["forward"] * (1 - r["spread"] / 2), 1e3 * r["forward"] * (1 + r["spread"] / 2)) for r in ROWS
    ]
    assert sorted(map(tuple, ends)) == [pytest.approx(pair) for pair in sorted(want)]
    apart(ax, ["net3", "net8"])
    with pytest.raises(ValueError, match="named has net9"):
        plot.time_vs_macs(ROWS, 2e10, ["net9"])


def test_versus_sets_each_peak_against_its_prediction():
    ax = plot.predicted_vs_measured(ROWS, ["net3", "net8"])
    agree, forward, training = ax.lines
    assert list(agree.get_xdata()) == list(agree.get_ydata())
    assert [*forward.get_xdata()] == [r["predicted_memory"] for r in ROWS]
    assert [*training.get_ydata()] == [r["training"] for r in ROWS]
    apart(ax, ["net3", "net8"])
    with pytest.raises(ValueError, match="named has net9"):
        plot.predicted_vs_measured(ROWS, ["net9"])


def test_a_roof_has_a_slope_for_memory_and_each_cache():
    ax = plot.roofline({"thin": POINTS[:1], "thick": POINTS[1:]}, MACHINE, ["a", "b"])
    lines = labelled(ax)
    assert [*lines["thin"].get_xdata(), *lines["thick"].get_ydata()] == [0.5, 30.0]
    roofs = [line.get_xydata() for line in ax.lines if line.get_label().startswith("_")]
    assert len(roofs) == 4 and max(y for roof in roofs for _, y in roof) == 40
    memory, cache = roofs[:2]
    assert [y / x for x, y in memory] == pytest.approx([20, 20]) and memory[-1][0] == 2.0
    assert [y / x for x, y in cache] == pytest.approx([80, 80]) and cache[-1][1] == pytest.approx(40)
    assert {"memory", "L2", "arithmetic"} <= {t.get_text() for t in ax.texts}
    apart(ax, ["a", "b"])
    with pytest.raises(ValueError, match="named has c"):
        plot.roofline({"all": POINTS}, MACHINE, ["c"])


def test_a_confusion_matrix_shows_its_counts():
    ax = plot.confusion([[3, 1], [0, 4]], ["cat", "dog"])
    assert [(t.get_position(), t.get_text()) for t in ax.texts] == [
        ((0, 0), "3"),
        ((1, 0), "1"),
        ((1, 1), "4"),
    ]
    assert ax.get_ylabel() == "true" and [t.get_text() for t in ax.get_yticklabels()] == ["cat", "dog"]
    with pytest.raises(ValueError, match="2 classes"):
        plot.confusion([[1]], ["cat", "dog"])


def test_a_heat_map_covers_its_image_and_is_yellow_where_it_is_high():
    maps = torch.zeros(1, 2, 2)
    maps[0, 0, 1] = 1
    ax = plot.heatmaps(torch.full((1, 1, 20, 20), 0.5), maps, ["a title"])
    drawn = ax.images[0].get_array()
    red, blue = drawn[..., 0], drawn[..., 2]
    assert red[2, 17] > blue[2, 17] and red[17, 2] < blue[17, 2]
    assert [t.get_text() for t in ax.texts] == ["a title"]
    with pytest.raises(ValueError, match="need one map an image"):
        plot.heatmaps(torch.zeros(2, 1, 8, 8), maps)
