"""The cost explorer: what it counts in the browser is what `cnnlib.trace` counts, and the page does what it says."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from browsing import faults, opened, violations
from torch import nn

import cnnlib
from cnnlib.costs import NotExportable, export
from cnnlib.costs.folds import label, sees

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "_assets/explorer"
PARTS = ("networks", "shapes", "places", "operations", "trace", "library", "words")
TRACE = """([net, height, width, batch, dtype]) => {
    try {
        const {rows, ...cost} = explorer.trace(net, {height, width, batch, dtype});
        const lines = rows.map(({name, kind, out, params, macs, activations, memory, live, pixels}) =>
            [name, kind, out, params, macs, activations, memory, live, explorer.words.sees(pixels)]);
        return {...cost, rows: lines};
    } catch (error) {
        if (error instanceof explorer.Refusal) return {refusal: error.message};
        throw error;
    }
}"""


def tool():
    import export_costs

    return export_costs


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """An empty page with the arithmetic of the explorer."""
    scripts = "".join(f'<script src="{(SCRIPTS / f"{part}.js").as_uri()}"></script>' for part in PARTS)
    file = tmp_path_factory.mktemp("explorer") / "page.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><title>T</title>{scripts}", encoding="utf8")
    page = browser.new_page()
    page.goto(file.as_uri())
    yield page
    page.close()


def in_browser(page, net, height, width, batch=1, dtype="float32"):
    return page.evaluate(TRACE, [net, height, width, batch, dtype])


def pixels(row):
    """What it sees; one number where both axes see equally far, whatever they begin with."""
    seen = sees(row.span)
    return seen[0] if isinstance(seen, tuple) and len(set(seen)) == 1 else seen


def by_engine(net, image, batch=1, dtype=None):
    try:
        cost = cnnlib.trace(net, image, batch, dtype)
    except ValueError as error:
        return {"refusal": str(error)}
    rows = [
        (label(r), r.kind, r.out, r.params, r.macs, r.activations, r.memory, r.live, pixels(r))
        for r in cost.rows
    ]
    plain = {
        "name": cost.name, "image": image, "batch": batch, "dtype": str(cost.dtype)[6:], "rows": rows,
        "params": cost.params, "paramBytes": cost.param_bytes, "macs": cost.macs, "activations": cost.activations,
        "memory": cost.memory, "receptiveField": cost.receptive_field, "lostAt": cost.lost_at,
    }  # fmt: skip
    return json.loads(json.dumps(plain))


def compare(page, exported, net, height, width, batch=1, dtype="float32"):
    """The engine's count, after it was found equal to the browser's, row by row."""
    image = (exported["image"][0], height, width)
    told = by_engine(net, image, batch, getattr(torch, dtype))
    found = in_browser(page, exported, height, width, batch, dtype)
    assert found.pop("rows", None) == told.pop("rows", None)
    assert found == told
    return told


@pytest.mark.parametrize("name", cnnlib.list_models())
def test_the_browser_counts_what_the_engine_counts(page, name):
    """At its own size, at one that is larger and not square, at a small one; each row, each total, each refusal."""
    net = tool().build(name)
    path = SCRIPTS / "nets" / f"{name}.js"
    exported = json.loads(path.read_text(encoding="utf8").removeprefix("explorer.add(").removesuffix(");\n"))
    _, height, width = cnnlib.models.image_shape(name)
    limits = getattr(net, "image_limits", None)
    smallest, largest = (limits.smallest, limits.largest) if limits else (height // 2, None)
    taken = [
        compare(page, exported, net, height, width),
        compare(page, exported, net, min(height + 19, largest or 9999), min(width + 44, largest or 9999), 2),
        compare(page, exported, net, smallest, smallest + (smallest < (largest or 9999)), 3),
    ]
    assert [told for told in taken if "refusal" in told] == []
    compare(page, exported, net, max(1, smallest // 2), 3)


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "densenet121", "shufflenet_v2", "convnext_tiny"])
def test_the_files_are_what_the_package_writes(name):
    """For all of them: `python tools/export_costs.py --check`."""
    assert list(tool().stale([name])) == []


def test_each_network_has_a_file_that_is_light():
    files = {path.stem: path.stat().st_size for path in (SCRIPTS / "nets").iterdir()}
    assert sorted(files) == sorted(cnnlib.list_models())
    assert max(files.values()) < 1_000_000


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_memory_follows_the_dtype(page, dtype):
    net = tool().build("alexnet")
    compare(page, export(net, (3, 224, 224)), net, 224, 224, 4, dtype)


# Anybody's network


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x):
        return x[:, :, 1:-1, 1:-1] + self.conv(x)


class Uneven(Shortcut):
    def forward(self, x):
        return x[:, :, ::2, ::2] + nn.functional.max_pool2d(x, 2)


class Beside(Shortcut):
    def forward(self, x):
        return torch.cat([x, nn.functional.pad(self.conv(x), (1, 1, 1, 1))], 1)


class Gate(Shortcut):
    def forward(self, x):
        return x * torch.sigmoid(nn.functional.avg_pool2d(x, x.shape[-2:]))


class Fixed(Shortcut):
    def forward(self, x):
        return self.conv(x).view(-1, 3 * 30 * 30)


SEQUENCES = {
    "ceil": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, dilation=2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2)
    ),
    "flat": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(True), nn.Flatten(), nn.Linear(8 * 15 * 15, 10)
    ),
    "normed": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Flatten(), nn.BatchNorm1d(8 * 30 * 30), nn.Dropout()
    ),
    "adaptive": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 5), nn.AdaptiveAvgPool2d((3, 5)), nn.Flatten(2), nn.Softmax(1)
    ),
    "steps": lambda: nn.Sequential(
        nn.AdaptiveAvgPool2d(7), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardswish()
    ),
    "called twice": lambda: nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1)] * 2),
}


@pytest.mark.parametrize(
    "net", [*(kind() for kind in (Shortcut, Uneven, Beside, Gate, Fixed)), *SEQUENCES], ids=str
)
def test_any_network_costs_the_same_and_refuses_in_the_same_words(page, net):
    net = SEQUENCES[net]() if isinstance(net, str) else net
    exported = export(net, (3, 32, 32))
    for height, width, batch in (
        (32, 32, 1),
        (32, 32, 7),
        (48, 40, 2),
        (33, 35, 1),
        (6, 8, 1),
        (2, 2, 1),
        (1, 1, 1),
    ):
        compare(page, exported, net, height, width, batch)


class Positions(Shortcut):
    def forward(self, x):
        return self.conv(x) + torch.zeros(1, 3, x.shape[2] - 2, x.shape[3] - 2)


class Choice(Shortcut):
    def forward(self, x):
        return self.conv(x) if x.shape[-1] < 50 else x


class MoreWhereWide(Shortcut):
    def forward(self, x):
        return self.conv(x) if x.shape[-1] >= 50 else x


class Sorted(Shortcut):
    def forward(self, x):
        return self.conv(x).sort(-1)[0]


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (Positions(), "is something else on another image|depends on the size"),
        (Choice(), "on another image"),
        (MoreWhereWide(), "on another image"),
        (Sorted(), "runs sort, for which there is no rule"),
        (
            nn.Sequential(nn.ConvTranspose2d(3, 8, 2)),
            "layer '0' .* runs convolution: only convolutions of maps",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_replayed_is_refused(net, said):
    with pytest.raises(NotExportable, match=said):
        export(net, (3, 32, 32))


def test_a_wrong_setting_is_found(page):
    """The comparison can fail: one kernel of one layer changed."""
    net = tool().build("alexnet")
    exported = export(net, (3, 224, 224))
    exported["ops"][0][3]["kernel"] = [9, 11]
    with pytest.raises(AssertionError):
        compare(page, exported, net, 224, 224)


# The page

DRAWN = "turn => Number(document.getElementById('explorer').dataset.drawn) >= turn"


def shown(site, browser, state="", width=1280, scheme="light"):
    return opened(browser, (site / "pages/explorer.html").as_uri() + state, width, scheme)


def wait(page, turn=1):
    page.wait_for_function(DRAWN, arg=turn)


def totals(page):
    rows = page.locator(".ex-totals tbody tr").all_inner_texts()
    return dict(re.split(r"\t", row.strip(), maxsplit=1) for row in rows)


def test_the_address_says_what_is_shown_and_the_form_changes_it(site, browser):
    with shown(site, browser, "#net=vgg16&with=resnet50&height=160&width=128&batch=2") as page:
        wait(page)
        cost = cnnlib.trace(tool().build("vgg16"), (3, 160, 128), 2)
        assert totals(page)["MACs"].startswith(f"{cost.macs:,}\t")
        assert page.locator(".ex-side:visible").count() == 2
        page.get_by_label("Batch").fill("1")
        wait(page, 2)
        assert "batch" not in page.url and "height=160" in page.url
        page.locator("select[name=net]").select_option("lenet5")
        wait(page, 3)
        assert "net=lenet5" in page.url and "height=32" in page.url
        said = page.locator(".ex-refusal:visible").all_inner_texts()
        assert said == []
        page.get_by_label("Image height").fill("20")
        wait(page, 4)
        assert (
            "lenet5 got (1, 1, 20, 32): need images of"
            in page.locator(".ex-refusal:visible").first.inner_text()
        )
        assert page.troubles == [], page.troubles


@pytest.mark.parametrize(
    ("address", "name", "image", "dtype"),
    [
        ("#net=", "resnet50", (3, 224, 224), "float32"),
        ("#net=vgg16&height=160", "vgg16", (3, 160, 224), "float32"),
        ("#net=alexnet&dtype=toString", "alexnet", (3, 224, 224), "float32"),
    ],
)
def test_what_an_address_leaves_out_is_that_of_the_network(site, browser, address, name, image, dtype):
    with shown(site, browser, address) as page:
        wait(page)
        cost = cnnlib.trace(tool().build(name), image)
        assert totals(page)["MACs"].startswith(f"{cost.macs:,}")
        assert page.locator("select[name=dtype]").input_value() == dtype


def test_after_an_unknown_network_the_form_still_works(site, browser):
    with shown(site, browser, "#net=nowhere") as page:
        wait(page)
        assert "There is no network nowhere" in page.locator(".ex-refusal:visible").inner_text()
        page.get_by_label("Batch").fill("2")
        wait(page, 2)
        cost = cnnlib.trace(tool().build("resnet50"), (3, 224, 224), 2)
        assert totals(page)["MACs"].startswith(f"{cost.macs:,}")


def test_a_file_brings_no_markup(site, browser, tmp_path):
    text = "<img alt='' src='data:,' onerror='document.title = 1'>"
    net = export(nn.Sequential(nn.Conv2d(3, 8, 3)), (3, 32, 32))
    for place in ("image", "frames", "rows"):
        broken = json.loads(json.dumps(net))
        if place == "image":
            broken["image"] = [text, 8, 8]
        elif place == "frames":
            broken["frames"] = [[text, text, *frame[2:]] for frame in broken["frames"]]
        else:
            broken["rows"] = [[row[0], text, text, *row[3:]] for row in broken["rows"]]
        (tmp_path / "net.json").write_text(json.dumps(broken), encoding="utf8")
        with shown(site, browser) as page:
            wait(page)
            page.locator("input[type=file]").set_input_files(tmp_path / "net.json")
            wait(page, 2)
            assert page.locator("#explorer img").count() == 0 and page.title() != "1"


def test_the_address_of_a_heading_changes_nothing(site, browser):
    with shown(site, browser, "#net=lenet5") as page:
        wait(page)
        page.get_by_role("link", name="drop your own").click()
        page.wait_for_function("() => location.hash === '#explore-your-own'")
        assert page.locator(".ex-side h2").first.inner_text().startswith("lenet5")


def test_charts_and_table_scroll_together(site, browser):
    with shown(site, browser, "#net=resnet50") as page:
        wait(page)
        view = page.locator(".ex-window").first
        before = float(view.get_attribute("x"))
        page.locator(".ex-table").focus()
        page.keyboard.press("PageDown")
        page.wait_for_function(
            "before => document.querySelector('.ex-window').x.baseVal.value > before", arg=before
        )
        page.locator(".ex-chart svg").last.click(position={"x": 2, "y": 10})
        page.wait_for_function("() => document.querySelector('.ex-table').scrollTop < 40")


def test_the_table_can_be_had_as_csv(site, browser):
    with shown(site, browser, "#net=lenet5") as page:
        wait(page)
        with page.expect_download() as loading:
            page.get_by_role("button", name="Download CSV").click()
        lines = list(csv.DictReader(io.StringIO(Path(loading.value.path()).read_text(encoding="utf8"))))
        rows = cnnlib.trace(tool().build("lenet5"), (1, 32, 32)).rows
        assert [(r["name"], int(r["macs"]), r["out"]) for r in lines] == [
            (row.name, row.macs, "×".join(map(str, row.out))) for row in rows
        ]


MINE = """from torch import nn


class Mine(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 30 * 30, 10))
"""


def test_a_reader_s_own_network(site, browser, tmp_path):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf8")
    command = [
        sys.executable,
        "-m",
        "cnnlib",
        "costs",
        "mine.py:Mine",
        "--input",
        "3x32x32",
        "--export",
        "net.json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "bad.json").write_text("{}", encoding="utf8")
    with shown(site, browser) as page:
        wait(page)
        page.locator("input[type=file]").set_input_files(tmp_path / "net.json")
        wait(page, 2)
        assert totals(page)["Parameters"].strip() == f"{8 * 28 + 7201 * 10:,}"
        page.get_by_label("Image height").fill("40")
        wait(page, 3)
        assert (
            "layer '3' (Linear) got (1, 9120); it needs 7200 features"
            in page.locator(".ex-refusal:visible").inner_text()
        )
        page.locator("input[type=file]").set_input_files(tmp_path / "bad.json")
        page.get_by_text("The file holds no network that cnnlib exported.").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")])
def test_two_networks_side_by_side_break_no_rule(site, browser, width, scheme):
    with shown(site, browser, "#net=vgg16&with=googlenet", width, scheme) as page:
        wait(page)
        assert faults(page) + violations(page) == []
