"""What rows hold and how they add up, against PyTorch's own lists of parameters and buffers."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import cnnlib


def on_meta(name):
    with torch.device("meta"):
        return torchvision.models.get_model(name)


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "vit_b_16"])
def test_rows_hold_every_parameter_and_buffer_once(name):
    net = on_meta(name)
    for p in list(net.parameters())[::3]:
        p.requires_grad_(False)
    cost = cnnlib.trace(net, (3, 224, 224))
    params = list(net.parameters())
    assert cost.params == sum(p.numel() for p in params) == cost.trainable + cost.frozen
    assert cost.frozen == sum(p.numel() for p in params if not p.requires_grad)
    assert cost.buffers == sum(b.numel() for b in net.buffers()) == sum(r.buffers for r in cost.rows)
    assert cost.param_bytes == 4 * cost.params and cost.bytes_by_dtype == {torch.float32: 4 * cost.params}


def test_batch_norm_has_128_parameters_and_129_buffer_elements():
    net = nn.Sequential(nn.Conv2d(3, 64, 1, bias=False), nn.BatchNorm2d(64))
    norm = cnnlib.trace(net, (3, 4, 4)).rows[1]
    assert (norm.params, norm.trainable, norm.frozen, norm.buffers) == (128, 128, 0, 129)
    net[0].requires_grad_(False)
    cost = cnnlib.trace(net, (3, 4, 4))
    assert (cost.params, cost.trainable, cost.frozen) == (320, 128, 192)
    assert [r.frozen for r in cost.rows] == [192, 0]


def test_a_shared_layer_holds_its_parameters_in_its_first_call():
    norm = nn.BatchNorm2d(3)
    cost = cnnlib.trace(nn.Sequential(norm, nn.ReLU(), norm), (3, 4, 4))
    assert [(r.params, r.buffers) for r in cost.rows] == [(6, 7), (0, 0), (0, 0)]


def test_bytes_by_dtype():
    class Single(nn.Linear):
        def forward(self, x):
            return super().forward(x.float())

    net = nn.Sequential(nn.Conv2d(3, 4, 1).half(), Single(5, 2))
    rows = cnnlib.trace(net, (3, 5, 5)).rows
    assert [r.param_bytes for r in rows] == [((torch.float16, 32),), ((torch.float32, 48),)]
    assert cnnlib.trace(net, (3, 5, 5)).bytes_by_dtype == {torch.float16: 32, torch.float32: 48}


def test_what_is_never_used_is_named_with_its_buffers():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(5)
            self.register_buffer("table", torch.zeros(6))

        def forward(self, x):
            return x * 2

    rows = {r.name: r for r in cnnlib.trace(Idle(), (3, 4, 4)).rows}
    assert rows["Idle (not used)"].buffers == 6
    assert (rows["norm (not used)"].params, rows["norm (not used)"].buffers) == (10, 11)


def test_in_place_is_stated():
    class Forms(nn.Module):
        def forward(self, x):
            y = x * 2
            y += x
            return F.relu(y, inplace=True).add(1)

    class Around(nn.Sequential):
        def forward(self, x):
            return Forms.forward(self, super().forward(x))

    rows = cnnlib.trace(Around(nn.Identity()), (3, 4, 4)).rows[1:]
    whole = cnnlib.trace(Forms(), (3, 4, 4)).rows[0]
    assert not whole.in_place and whole.memory == 4 * 48  # its own maps it may overwrite
    assert [(r.kind, r.in_place, r.memory > 0) for r in rows] == [
        ("mul", False, True), ("add", True, False), ("relu", True, False), ("add", False, True)
    ]  # fmt: skip
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True), nn.ReLU())
    assert [r.in_place for r in cnnlib.trace(layers, (3, 4, 4)).rows] == [False, True, False]


def test_live_memory_after_each_row():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.ReLU(inplace=True), nn.AvgPool2d(2))
    image, full, half = 4 * 64, 4 * 4 * 64, 4 * 4 * 16
    cost = cnnlib.trace(net, (1, 8, 8))
    # The image is ours to keep; a layer's input is alive until the layer is done.
    assert [r.live for r in cost.rows] == [
        image + full, image + 2 * full, image + full, image + full + half
    ]  # fmt: skip
    assert cost.memory == max(r.live for r in cost.rows)


# ---- folds ----


@pytest.fixture(scope="module")
def resnet():
    return cnnlib.trace(on_meta("resnet50"), (3, 224, 224))


@pytest.mark.parametrize("fold", ["by(1)", "by(2)", "by_size()", "by_kind()"])
def test_every_fold_adds_up_to_the_whole(resnet, fold):
    table = eval(f"cost.{fold}", {"cost": resnet})
    columns = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
    for name, whole in (
        ("params", resnet.params), ("MACs", resnet.macs), ("activations", resnet.activations),
        ("rows", len(resnet.rows)), ("layers", 54)
    ):  # fmt: skip
        assert sum(columns[name][:-1]) == columns[name][-1] == whole
    assert "one multiply and its add" in table.caption


def test_stages_and_blocks_have_their_names(resnet):
    stages = [row[0] for row in resnet.by(1).rows]
    assert stages == [
        "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc", "total"
    ]  # fmt: skip
    blocks = [row[0] for row in resnet.by(2).rows]
    assert blocks[4:8] == ["layer1.0", "layer1.1", "layer1.2", "layer2.0"]
    layer1 = next(row for row in resnet.by(1).rows if row[0] == "layer1")
    macs = sum(r.macs for r in resnet.rows if r.name.startswith("layer1."))
    assert layer1[5:7] == (macs, macs / resnet.macs)


def test_stages_by_size_of_map(resnet):
    assert [row[0] for row in resnet.by_size().rows] == [
        "112×112", "56×56", "28×28", "14×14", "7×7", "head", "total"
    ]  # fmt: skip


def test_a_gate_belongs_to_the_stage_around_it_and_channels_may_come_last():
    gated = cnnlib.trace(on_meta("efficientnet_b0"), (3, 224, 224)).by_size()
    last = cnnlib.trace(on_meta("convnext_tiny"), (3, 224, 224)).by_size()
    assert [r[0] for r in gated.rows] == ["112×112", "56×56", "28×28", "14×14", "7×7", "head", "total"]
    assert [r[0] for r in last.rows] == ["56×56", "28×28", "14×14", "7×7", "head", "total"]


def test_the_dearest_rows(resnet):
    macs = resnet.top(3, "macs").rows
    assert len(macs) == 3 and macs[0][3] == max(r.macs for r in resnet.rows) >= macs[1][3] >= macs[2][3]
    assert [row[0] for row in resnet.top(2, "params").rows] == ["layer4.0.conv2", "layer4.1.conv2"]
    with pytest.raises(ValueError, match="quantity='flops': need one of params"):
        resnet.top(3, "flops")
    with pytest.raises(ValueError, match="k=0"):
        resnet.top(0, "macs")
    with pytest.raises(ValueError, match="depth=0"):
        resnet.by(0)


def test_a_network_without_a_map_folds_too():
    cost = cnnlib.trace(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (3,))
    assert [row[0] for row in cost.by_size().rows] == ["head", "total"]
