"""Drawings by their elements: one block a stage, one line a path, the same bytes each time."""

import xml.etree.ElementTree as ET

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib import plot
from cnnlib.costs.graph import layer_graph

SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing):
    root = ET.fromstring(drawing.svg)
    boxes = [r for r in root.iter(SVG + "rect") if r.find(SVG + "title") is not None]
    return (
        root,
        boxes,
        list(root.iter(SVG + "path")),
        ["".join(t.itertext()) for t in root.iter(SVG + "text")],
    )


class Branches(nn.Module):
    """Two branches that are added, and a third that is appended."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = F.relu(self.b(self.a(x)))
        y += x
        return torch.cat([y, self.c(x)], 1)


NETS = {
    "alexnet_2012": lambda: cnnlib.build("alexnet_2012"),
    "lenet5": lambda: cnnlib.build("lenet5"),
    "vgg16": lambda: torchvision.models.vgg16(init_weights=False),
    "resnet152": torchvision.models.resnet152,
    "densenet121": torchvision.models.densenet121,
}


@pytest.fixture(scope="module", params=NETS)
def traced(request):
    with torch.device("meta"):
        net = NETS[request.param]()
    image = (
        cnnlib.models.image_shape(request.param) if request.param in cnnlib.list_models() else (3, 224, 224)
    )
    return cnnlib.trace(net, image)


def test_a_network_is_drawn_whole_and_readable(traced):
    drawing = plot.network(traced)
    root, boxes, paths, texts = parsed(drawing)
    assert len(boxes) == len(drawing.rows) == len(paths) + 1
    assert len(boxes) <= 19
    params = sum(int(row.split()[-1].replace(",", "")) for row in drawing.rows[1:])
    assert params == traced.params
    assert sum(t.endswith("parameters") for t in texts) == sum(not r.endswith(" 0") for r in drawing.rows[1:])
    width = float(root.get("viewBox").split()[2])
    assert 14 * 343 / width >= 9.9, "letters at the width of a phone"
    for row, box in zip(drawing.rows, boxes, strict=True):
        assert row.startswith(box.find(SVG + "title").text)
        assert float(box.get("x")) >= 0 and float(box.get("x")) + float(box.get("width")) <= 186


def test_a_drawing_says_what_it_shows_and_is_stable(traced):
    drawing = plot.network(traced)
    root = parsed(drawing)[0]
    assert root.get("role") == "img" and "conv" in root.get("aria-label")
    assert root.find(SVG + "title").text == f"{traced.name} on {'×'.join(map(str, traced.image))}"
    assert root.find(SVG + "rect").get("fill") == "#FFFFFF"
    assert drawing._repr_svg_() == plot.network(traced).svg and repr(drawing).startswith("image")


def test_blocks_grow_with_maps_and_channels():
    cost = cnnlib.trace(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 64, 2, stride=2)), (3, 32, 32)
    )
    image, first, second = parsed(plot.network(cost))[1]
    width, height = ([float(b.get(side)) for b in (image, first, second)] for side in ("width", "height"))
    assert width[0] == width[1] > width[2] and height[0] < height[1] < height[2]
    assert parsed(plot.network(cost))[3][2:4] == ["conv 3×3", "8×32×32 · 224 parameters"]


def test_equal_blocks_of_a_deep_network_are_drawn_once():
    with torch.device("meta"):
        cost = cnnlib.trace(torchvision.models.resnet152(), (3, 224, 224))
    texts = parsed(plot.network(cost))[3]
    assert "layer3.1: 3 layers (×35)" in texts


def test_a_graph_knows_who_reads_whom():
    nodes = layer_graph(Branches(), (4, 6, 6))
    told = [(n.name, n.kind, n.out, [nodes[r].name for r in n.reads]) for n in nodes]
    assert told == [
        ("image", "input", (4, 6, 6), []),
        ("a", "Conv2d", (4, 6, 6), ["image"]),
        ("b", "BatchNorm2d", (4, 6, 6), ["a"]),
        ("relu", "ReLU", (4, 6, 6), ["b"]),
        ("add", "+", (4, 6, 6), ["relu", "image"]),
        ("c", "Conv2d", (2, 6, 6), ["image"]),
        ("cat", "concat", (6, 6, 6), ["add", "c"]),
    ]


def test_a_block_shows_its_paths():
    drawing = plot.block(Branches(), (4, 6, 6))
    _, boxes, paths, texts = parsed(drawing)
    assert len(boxes) == 5 and len(paths) == 6
    assert [t for t in texts if t in ("+", "concat", "BN, ReLU")] == ["BN, ReLU", "+", "concat"]
    assert drawing.svg == plot.block(Branches(), (4, 6, 6)).svg
    rects = [tuple(float(b.get(k)) for k in ("x", "y", "width", "height")) for b in boxes]
    for i, (x, y, w, h) in enumerate(rects):
        for x1, y1, w1, h1 in rects[:i]:
            assert x >= x1 + w1 or x1 >= x + w or y >= y1 + h1 or y1 >= y + h, "boxes overlap"


def test_the_towers_of_alexnet_cross_at_conv3_only():
    net = cnnlib.build("alexnet_2012").features
    _, boxes, paths, texts = parsed(plot.block(net, (3, 227, 227)))
    names = [b.find(SVG + "title").text for b in boxes]
    assert [names.count(n) for n in ("image", "0", "3", "4", "7", "8", "10", "12", "14")] == [1] + [2] * 8
    assert texts.count("48×55×55") == 2 and texts.count("192×13×13") == 4
    # one fork below the image, four lines into conv3, two everywhere else
    assert len(paths) == 2 + 2 + 2 + 2 + 4 + 2 + 2 + 2
    crossing = [p for p in paths if "C" in p.get("d")]
    assert len(crossing) == 2 + 2


def test_a_network_that_cannot_run_is_named():
    with pytest.raises(ValueError, match="cannot run"):
        plot.block(Branches(), (3, 6, 6))
