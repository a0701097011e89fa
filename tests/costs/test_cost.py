"""The cost engine against facts with sources, torch's own counter, enumeration, and gradients.

No witness here uses cnnlib's formulas: torch counts FLOPs, autograd tells what a unit sees, loops count products.
"""

import copy
import gc
import subprocess
import sys
import time
import tracemalloc
import weakref

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import cnnlib
from cnnlib import resources
from cnnlib.costs.operations import RULES

FACTS = {(row["source"], row["name"]): row for row in resources.facts("architectures")}
OURS = {
    "lenet5": "lenet5_1998",
    "lenet_lecture": "lenet_lecture",
    "alexnet": "alexnet",
    "alexnet_2012": "alexnet_paper_2gpu",
    "alexnet_lecture": "alexnet_lecture_c64",
}


def torch_macs(net, *inputs):
    """Torch's own counter, which prints two FLOPs a MAC."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(*inputs)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


def pictures(shape, batch=1):
    return torch.randn(batch, *shape)


@pytest.mark.parametrize("name", OURS)
def test_our_networks_cost_what_the_facts_say(name):
    fact = FACTS["torchvision" if name == "alexnet" else "reference", OURS[name]]
    image = tuple(int(n) for n in fact["input"].split("x"))
    assert cnnlib.models.image_shape(name) == image
    cost = cnnlib.trace(cnnlib.build(name), image)
    assert cost.params == int(fact["params"])
    assert cost.macs == int(fact["macs"]) == torch_macs(cnnlib.build(name), pictures(image))
    assert cost.activations == int(fact["conv_linear_activations"])
    assert cost.receptive_field == int(fact["receptive_field"])
    assert cost.unsupported == {}


TORCHVISION = [
    row
    for row in FACTS.values()
    if row["source"] == "torchvision"
    and hasattr(torchvision.models, row["name"])
    and int(row["params"]) < 9e7
]


@pytest.mark.parametrize("fact", TORCHVISION, ids=lambda row: row["name"])
def test_torchvision_networks_cost_what_the_facts_say(fact):
    quiet = {"init_weights": False} if fact["name"] in ("googlenet", "inception_v3") else {}
    if quiet:
        quiet["aux_logits"] = False
    # RegNet's constructor computes its widths with tensors, so it needs a device with numbers.
    with torch.device("cpu" if fact["name"].startswith("regnet") else "meta"):
        net = torchvision.models.get_model(fact["name"], **quiet)
    cost = cnnlib.trace(net, tuple(int(n) for n in fact["input"].split("x")))
    assert cost.macs == int(fact["macs"])
    assert cost.params == int(fact["params"])
    assert cost.unsupported == {}
    if fact["conv_linear_activations"]:
        assert cost.activations == int(fact["conv_linear_activations"])
    if fact["receptive_field"] and not fact["name"].startswith(("vit", "swin", "maxvit")):
        assert cost.receptive_field == int(fact["receptive_field"])


def test_the_lecture_table_row_by_row():
    cost = cnnlib.trace(cnnlib.build("alexnet_lecture"), (3, 227, 227))
    ours = [r for r in cost.rows if r.kind in ("Conv2d", "MaxPool2d", "Flatten", "Linear")]
    lecture = [r for r in resources.facts("lecture_alexnet") if not r["layer"].startswith("TOTAL")]
    for row, told in zip(ours, lecture, strict=True):
        assert row.activations == int(told["out_elements"]), told
        assert row.activations * 4 / 1024 == float(told["memory_kb"])
        assert row.params == int(told["params"])
        assert row.macs + row.work.pool == int(told["macs"])
        if told["rf"]:
            assert row.span.size == int(told["rf"])


def loop_products(x, weight, stride, pad, dilation, groups):
    """A convolution as nested loops that does nothing but count its products, zeros of the padding included."""
    c_out, c_in, kh, kw = weight
    _, h, w = x
    rows = range(0, h + 2 * pad - dilation * (kh - 1), stride)
    columns = range(0, w + 2 * pad - dilation * (kw - 1), stride)
    count = 0
    for _ in range(c_out):
        for _ in rows:
            for _ in columns:
                for _ in range(c_in // groups):
                    for _ in range(kh):
                        for _ in range(kw):
                            count += 1
    return count


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("stride", "pad", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 1, 1)])
def test_a_convolution_multiplies_as_often_as_its_loops(groups, stride, pad, dilation):
    conv = nn.Conv2d(4, 8, (3, 2), stride, pad, dilation, groups)
    row = cnnlib.trace(conv, (4, 11, 8)).rows[0]
    assert row.macs == loop_products((4, 11, 8), (8, 4, 3, 2), stride, pad, dilation, groups)
    assert row.work.bias == row.activations == conv(torch.zeros(1, 4, 11, 8)).numel()


class Functional(nn.Module):
    """Everything a counter of modules does not see."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, 3, 3, 3))
        self.gate = nn.Parameter(torch.ones(2))
        self.shared = nn.Conv2d(6, 6, 3, padding=1)
        self.never = nn.Linear(5, 7)
        self.in_a_list = [nn.Linear(6, 6)]

    def forward(self, x):
        x = F.conv2d(x, self.w, padding=1)
        x = self.shared(self.shared(x)) * self.gate[0]
        q = x.flatten(2)
        attention = (q @ q.transpose(1, 2)).softmax(-1)
        y = torch.einsum("bij,bjk->bik", attention, q)
        return self.in_a_list[0](y.mean(2)), {"map": x}


def test_functional_calls_shared_layers_and_products_are_seen():
    net = Functional()
    cost = cnnlib.trace(net, (3, 8, 8))
    assert cost.macs == torch_macs(net, pictures((3, 8, 8)))
    assert cost.params == sum(p.numel() for p in net.parameters())
    shared = [row for row in cost.rows if row.name == "shared"]
    assert [row.call for row in shared] == [0, 1]
    assert [row.params for row in shared] == [6 * 6 * 9 + 6, 0]
    assert [r.name for r in cost.rows if "not used" in r.name] == ["never (not used)"]
    assert cost.receptive_field is None and cost.lost_at == "bmm"  # each place has looked at all others
    assert cost.unsupported == {}


PUBLIC_CASES = [  # right values that counters in use got wrong, from their issue trackers
    (nn.Conv2d(64, 64, 3, padding=1, groups=32, bias=False), (64, 56, 56), 1152, 3_612_672),
    (nn.Conv2d(3, 5, 3), (3, 6, 6), 140, 2160),
    (nn.Linear(3, 8), (5, 10, 3), 32, 1200),
    (nn.Conv2d(3, 8, 3, padding="same"), (3, 9, 9), 224, 8 * 81 * 27),
    (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), (4, 8, 8), 390, 64 * 4 * 6 * 16),
    (nn.Conv1d(2, 3, 5), (2, 20), 33, 3 * 16 * 10),
    (nn.Conv3d(1, 2, 3), (1, 5, 6, 7), 56, 2 * 3 * 4 * 5 * 27),
    (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (2, 6, 6), 38, 2 * 36 * 18),
]


@pytest.mark.parametrize(("net", "image", "params", "macs"), PUBLIC_CASES)
def test_cases_that_counters_in_use_got_wrong(net, image, params, macs):
    cost = cnnlib.trace(net, image)
    assert (cost.params, cost.macs) == (params, macs)
    assert cost.macs == torch_macs(net, pictures(image))


def test_parameters_of_a_container_and_tied_weights_count_once():
    class Gated(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 2), nn.Linear(2, 2))
            self.gate = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return super().forward(x) * self.gate

    assert cnnlib.trace(Gated(), (2,)).params == 14
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert cnnlib.trace(tied, (4,)).params == 16 + 4 + 4


def test_rows_sum_to_the_totals_and_buffers_are_no_parameters():
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU())
    cost = cnnlib.trace(net, (3, 9, 9))
    assert cost.rows[1].params == 128 and cost.buffers == 129
    assert sum(r.params for r in cost.rows) == cost.params == sum(p.numel() for p in net.parameters())
    net[0].requires_grad_(False)
    assert cnnlib.trace(net, (3, 9, 9)).params == cost.params


def test_a_batch_multiplies_work_and_memory_but_no_parameters():
    net = cnnlib.build("alexnet_small")
    one, many = cnnlib.trace(net, (1, 28, 28)), cnnlib.trace(net, (1, 28, 28), batch=7)
    assert (many.params, many.macs, many.activations) == (one.params, 7 * one.macs, 7 * one.activations)
    assert many.memory == 7 * one.memory


# ---- what a unit sees ----


def reached(net, image):
    """Autograd: the side of the square of input pixels that move the centre unit of the output map."""
    x = torch.zeros(1, *image, requires_grad=True)
    y = net(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    hit = x.grad[0].abs().sum(0) > 0
    return int(hit.any(1).sum()), int(hit.any(0).sum())


def ones(*layers):
    net = nn.Sequential(*layers)
    for p in net.parameters():
        nn.init.ones_(p)
    return net


class Sum(nn.Module):
    def __init__(self, *paths):
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x):
        return sum(path(x) for path in self.paths)


@pytest.mark.parametrize(
    "net",
    [
        ones(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)),
        ones(nn.Conv2d(1, 1, 5, 2), nn.AvgPool2d(3, 2), nn.Conv2d(1, 1, 3, dilation=2)),
        ones(nn.Conv2d(1, 1, (3, 5)), nn.AvgPool2d((2, 1))),
        ones(Sum(nn.Identity(), nn.Conv2d(1, 1, 5, padding=2)), nn.Conv2d(1, 1, 3)),
        ones(nn.ConvTranspose2d(1, 1, 4, 2, 1), nn.Conv2d(1, 1, 3)),
        ones(nn.Conv2d(1, 1, 3), nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(1, 1, 3)),
        ones(nn.ConstantPad2d((3, 0, 0, 0), 0.0), nn.Conv2d(1, 1, 4)),
    ],
    ids=["three 3x3", "strides and dilation", "per axis", "shortcut", "transposed", "upsampled", "padded"],
)
def test_a_unit_sees_what_its_gradient_reaches(net):
    sees = cnnlib.trace(net, (1, 65, 65)).receptive_field
    assert ((sees, sees) if isinstance(sees, int) else sees) == reached(net, (1, 65, 65))


def test_a_gate_from_global_pooling_is_left_out():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return x * self.fc(F.adaptive_avg_pool2d(x, 1)).sigmoid()

    assert cnnlib.trace(nn.Sequential(nn.Conv2d(1, 4, 3), Gate()), (1, 20, 20)).receptive_field == 3


# ---- memory ----


def test_peak_memory_is_the_largest_set_of_maps_alive_at_once():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.ReLU(inplace=True), nn.AvgPool2d(2))
    image, full, half = 4 * 64, 4 * 4 * 64, 4 * 4 * 16
    cost = cnnlib.trace(net, (1, 8, 8))
    assert [r.memory for r in cost.rows] == [full, full, 0, half]  # in place: no new bytes
    assert cost.memory == max(image + full, image + full + full, image + full + half)
    assert cnnlib.trace(net, (1, 8, 8), dtype=torch.float16).memory * 2 == cost.memory


def test_the_first_trace_of_a_process_finds_what_later_ones_find():
    code = (
        "import cnnlib; net = cnnlib.build('lenet5'); first = cnnlib.trace(net, (1, 32, 32));"
        "again = cnnlib.trace(net, (1, 32, 32)); assert first.rows == again.rows and first.memory == again.memory"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_shortcut_keeps_its_map_alive():
    block = Sum(nn.Identity(), nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()))
    plain = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
    stem = nn.Conv2d(4, 4, 1)
    one_map = 4 * 4 * 64
    held = cnnlib.trace(nn.Sequential(stem, block), (4, 8, 8)).memory
    assert held >= cnnlib.trace(nn.Sequential(stem, plain), (4, 8, 8)).memory + one_map


def test_training_memory_is_what_autograd_saves():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3)
    )
    saved = {}

    def keep(tensor):
        if tensor.data_ptr() not in {p.data_ptr() for p in net.parameters()}:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.randn(2, 1, 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        y = net(x)
    assert cnnlib.trace(net, (1, 8, 8), batch=2).training_memory == sum(saved.values())
    del y


# ---- it costs nothing and changes nothing ----


def test_a_huge_batch_needs_no_memory():
    net = torchvision.models.vgg11(init_weights=False)
    tracemalloc.start()
    cost = cnnlib.trace(net, (3, 224, 224), batch=512)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cost.macs == 512 * 7_609_090_048 > 2**31
    assert cost.memory > 7 * 2**30 and peak < 50 * 2**20


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout()

    def forward(self, x):
        self.drop(self.norm(x))
        raise RuntimeError("no luck today")


@pytest.mark.parametrize("make", [lambda: torchvision.models.resnet18(), Raises], ids=["runs", "raises"])
@pytest.mark.parametrize("grad", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_the_network_and_every_random_state_stay_as_they_were(make, grad):
    net = make().train()
    next(net.children()).eval()
    hook = net.register_forward_hook(lambda *args: None)
    before, modes = copy.deepcopy(net.state_dict()), [m.training for m in net.modules()]
    rng = torch.random.get_rng_state()
    with grad():
        if isinstance(net, Raises):
            with pytest.raises(ValueError, match="no luck today"):
                cnnlib.trace(net, (3, 32, 32))
        else:
            cost = cnnlib.trace(net, (3, 64, 64))
            assert cost.training_memory > 0
    assert torch.equal(torch.random.get_rng_state(), rng)
    after = net.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[k], after[k]) for k in before)
    assert [m.training for m in net.modules()] == modes
    assert all(p.grad is None and p.device.type == "cpu" for p in net.parameters())
    assert list(net._forward_hooks) == [hook.id] and torch.get_default_dtype() is torch.float32


def test_lazy_layers_are_counted_and_stay_lazy():
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2))
    assert cnnlib.trace(net, (3, 6, 6)).params == 4 * 27 + 4 + 64 * 2 + 2
    assert isinstance(net[0], nn.LazyConv2d)


def test_an_operation_without_a_rule_is_named():
    class Fourier(nn.Module):
        def forward(self, x):
            return torch.fft.fft2(x).abs()

    cost = cnnlib.trace(Fourier(), (1, 8, 8))
    assert cost.unsupported and "NOT COUNTED" in repr(cost)


def test_a_cost_that_is_dropped_takes_its_copy_with_it():
    gc.disable()  # before the trace: a collection after it would break the circle that this looks for
    try:
        traced = cnnlib.trace(cnnlib.build("resnet_small"), (1, 28, 28))
        copied = weakref.ref(traced.module)
        del traced
        assert copied() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("on", [True, False])
def test_garbage_collection_is_as_it_was(on):
    (gc.enable if on else gc.disable)()
    try:
        cnnlib.trace(nn.ReLU(), (1,))
        with pytest.raises(ValueError, match="needs 3 channels"):
            cnnlib.trace(nn.Conv2d(3, 4, 3), (4, 9, 9))
        assert gc.isenabled() == on
    finally:
        gc.enable()


def test_tracing_is_quick():
    net = torchvision.models.resnet152()
    cnnlib.trace(net, (3, 224, 224))
    start = time.process_time()
    traced = cnnlib.trace(net, (3, 224, 224))
    ours = time.process_time() - start
    start = time.process_time()
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, 224, 224))
    assert traced.macs == 11_513_626_624
    assert 3 * ours < time.process_time() - start  # a real forward pass, which most counters run first


# ---- bad input ----


@pytest.mark.parametrize(
    ("net", "image", "words"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3)),
            (3, 9, 9),
            r"layer '1' \(Conv2d\) got \(1, 4, 7, 7\); it needs 5",
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(10, 2)), (3, 2, 2), r"layer '1' \(Linear\) got \(1, 12\); it needs 10"),
        (nn.Conv2d(1, 1, 9), (1, 4, 4), r"\(1, 4, 4\): Conv2d got \(1, 1, 4, 4\); it needs a map of at least 9×9"),
        (nn.Conv2d(3, 4, 3), (4, 9, 9), r"Conv2d got \(1, 4, 9, 9\); it needs 3 channels"),
        (nn.Conv2d(3, 4, (3, 5), padding=(1, 0), dilation=2), (3, 3, 8), r"at least 3×9"),
        (nn.Sequential(nn.MaxPool2d(5)), (3, 9, 4), r"'0' \(MaxPool2d\) got .*; it needs a map of at least 5×5"),
        (nn.Conv3d(3, 4, 3), (3, 9, 9), r"got \(1, 3, 9, 9\); it needs 3 axes behind batch and channels"),
        (nn.ReLU(), 224, "image=224"),
        (nn.ReLU(), (3, 0, 4), "image="),
        (nn.ReLU(), "3x224x224", "image="),
        ("resnet50", (3, 224, 224), "need a torch.nn.Module"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_in_one_sentence(net, image, words):
    with pytest.raises(ValueError, match=words):
        cnnlib.trace(net, image)


def test_a_convolution_without_a_pixel_left_is_refused_where_pytorch_lets_it_pass():
    x, weight, none = (
        torch.empty(shape, device="meta") for shape in ((1, 3, 3, 8), (4, 3, 3, 5), (1, 4, 1, 0))
    )
    with pytest.raises(ValueError, match="the window is larger than the padded map"):
        RULES[torch.ops.aten.convolution].work((x, weight, None, (1, 1), (0, 0), (1, 1), False), none)


def test_a_batch_of_none_is_refused():
    with pytest.raises(ValueError, match="batch=0"):
        cnnlib.trace(nn.ReLU(), (1,), batch=0)


def test_a_decision_that_needs_numbers_is_refused():
    class Peeks(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ValueError, match="Peeks cannot run.*asks for the numbers in a map, and a trace has"):
        cnnlib.trace(Peeks(), (3, 4, 4))


# ---- rendering ----


def test_a_cost_shows_as_text_html_markdown_csv_and_pandas():
    cost = cnnlib.trace(cnnlib.build("lenet_lecture"), (1, 28, 28))
    for text in (repr(cost), cost._repr_html_(), cost.to_markdown()):
        assert "1,256,080" in text and "6,522,000" in text and "20×28×28" in text
    head, first = (line.split(",") for line in cost.to_csv().splitlines()[:2])
    row = dict(zip(head, first, strict=True))
    told = {"name": "conv1", "kind": "Conv2d", "out": "20×28×28", "params": "520", "param_bytes": "float32 2080",
            "macs": "392000", "activations": "15680", "memory": "62720", "sees": "5", "start": "-2"}  # fmt: skip
    assert {column: row[column] for column in told} == told
    assert int(cost.to_pandas()["params"].sum()) == cost.params
