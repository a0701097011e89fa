"""The networks of the book, without numbers: what has to hold for any of them holds for all.

On the meta device tensors have shapes, types and layouts, but no contents, so that even the largest take a second.
What needs contents (equal answers, gradients that are not zero) is asked of one network a family elsewhere.
"""

import ast
import copy
import io
import pickle
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from twins import on_meta

import cnnlib
from cnnlib.models import registry
from cnnlib.models.network import WrongImageError

# The constructor of RegNet needs numbers. Deeper twins of others are left to their bills: they are the same blocks more
# often, and a thousand layers take their time even without numbers.
DEEPER = re.compile(
    "regnet|101|152|164|1001|1202|200|densenet201|_100_24|_bc_250|_bc_190|t110_cifar|n110_cifar"
)
NAMES = [n for n in cnnlib.list_models() if not DEEPER.search(n)]
SIDES = {name: cnnlib.models.image_sides(name) for name in NAMES}
CLASSES = {"fractalnet40": 100}
TEN = re.compile("_cifar|densenet_|wrn_|_w8|fractalnet20|_small|^lenet|resnext29")


def classes(name):
    return CLASSES.get(name, 10 if TEN.search(name) else 1000)


def images(name, n, h, w=None, **options):
    return torch.empty(n, cnnlib.models.image_shape(name)[0], h, w or h, device="meta", **options)


@pytest.fixture(scope="module", params=NAMES)
def net(request):
    return copy.deepcopy(on_meta(request.param))


def test_every_parameter_gets_a_gradient(net):
    torch.manual_seed(0)
    if net.name.startswith("fractalnet"):
        net.drop_path.p_global = 0.0  # its steps leave columns out; so would those of stochastic depth
        net.drop_path.rate = 0.0
    for module in net.modules():
        if hasattr(module, "keep"):
            module.keep = 1.0
    net.train()(images(net.name, 2, *cnnlib.models.image_shape(net.name)[1:])).sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.shape != p.shape] == []
    net.zero_grad()


def test_it_takes_one_oblong_image_in_channels_last_and_other_types(net):
    smallest, largest = SIDES[net.name]
    side = max(smallest, 8)
    x = images(net.name, 1, side, largest or side + 9).to(memory_format=torch.channels_last)
    net.eval()
    with torch.no_grad():
        for dtype in (torch.bfloat16, torch.float64):
            y = net.to(dtype)(x.to(dtype))
            assert (y.dtype, y.shape) == (dtype, (1, classes(net.name)))
    net.float()


def test_it_survives_pickle_and_its_weights_a_file(net):
    again = pickle.loads(pickle.dumps(net))
    assert again.name == net.name and repr(again) == repr(net)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    told = again.load_state_dict(torch.load(file, weights_only=True), assign=True)
    assert not told.missing_keys and not told.unexpected_keys


def test_the_smallest_image_is_the_smallest(net):
    """By trying: the rule is not asked before the layers have failed."""
    smallest, largest = SIDES[net.name]
    net.eval()

    def runs(h, w):
        try:
            with torch.no_grad():
                return net(images(net.name, 1, h, w)).shape == (1, classes(net.name))
        except (RuntimeError, WrongImageError):
            return False

    assert runs(smallest, smallest)
    if smallest > 1:
        assert not runs(smallest - 1, smallest) and not runs(smallest, smallest - 1)
    if largest:
        assert runs(largest, largest) and not runs(largest, largest + 1)


@pytest.mark.parametrize("name", ["vgg16", "alexnet_2012", "densenet121", "inception_v3", "squeezenet1_1"])
def test_an_image_that_does_not_fit_is_refused_with_the_rule(name):
    smallest, largest = SIDES[name]
    rule = rf"need images of {smallest} to {largest}" if largest else f"need images of at least {smallest}"
    for sides in ((smallest, smallest - 1), *([(largest + 1, smallest)] if largest else [])):
        with pytest.raises(ValueError, match=rf"{name} got \(2, 3, {sides[0]}, {sides[1]}\): {rule}"):
            on_meta(name)(images(name, 2, *sides))
    with pytest.raises(ValueError, match=r"got \(2, 1, 300, 300\): need a batch \(N, 3, H, W\)"):
        on_meta(name)(torch.empty(2, 1, 300, 300, device="meta"))
    with pytest.raises(ValueError, match=r"got \(3, 300, 300\): need a batch"):
        on_meta(name)(torch.empty(3, 300, 300, device="meta"))


def test_a_network_with_another_head_takes_what_the_new_layers_take():
    """Fully convolutional (Long et al. 2015, sec. 3.1), then with global pooling, then for grey images."""
    with torch.device("meta"):
        net = copy.deepcopy(on_meta("zfnet")).eval()
        net.flatten, net.classifier = nn.Identity(), nn.Conv2d(256, 21, 6)
        x = images("zfnet", 1, 255, 400)  # built for 223 to 254 pixels
        h, w = net.features(x).shape[2:]
        assert net(x).shape == (1, 21, h - 5, w - 5) == (1, *cnnlib.trace(net, (3, 255, 400)).rows[-1].out)
        net.flatten = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        net.classifier = nn.Linear(256, 5)
        assert net(images("zfnet", 2, 64, 500)).shape == (2, 5)
        net.features[0] = nn.Conv2d(1, 96, 7, 2, 1)
        assert net(torch.empty(2, 1, 300, 300)).shape == (2, 5)
        with pytest.raises(ValueError, match=r"zfnet got \(2, 3, 20, 20\): need images of 223 to 254"):
            net(images("zfnet", 2, 20))


def test_an_error_of_ones_own_layers_stays_what_it_is():
    with torch.device("meta"):
        net = copy.deepcopy(on_meta("zfnet"))
        net.classifier = nn.Linear(7, 5)
    with pytest.raises(RuntimeError, match="9216"):
        net(images("zfnet", 2, 224))
    assert net[:1](images("zfnet", 2, 100)).shape[:2] == (2, 256)  # a part has no rule


@pytest.mark.parametrize(
    ("name", "convs", "relus"),
    [
        ("alexnet", 5, 5 + 2), ("vgg16", 13, 13 + 2), ("nin", 12, 12), ("googlenet", 57, 57),
        ("resnet18", 17 + 3, 1 + 8 * 2), ("resnet50", 49 + 4, 1 + 16 * 3), ("plain20_cifar", 19, 19),
        ("preresnet50", 49 + 4, 16 * 3 + 1), ("densenet121", 120, 1 + 58 * 2 + 3 + 1),
        ("squeezenet1_1", 26, 1 + 8 * 2 + 1), ("inception_v3", 94, 94), ("seresnet50", 49 + 4 + 32, 1 + 16 * 4),
    ],
)  # fmt: skip
def test_so_many_convolutions_and_relus_run(name, convs, relus):
    """Counted on the way through, by the papers' tables: shortcuts and gates are added apart."""
    rows = cnnlib.trace(on_meta(name), cnnlib.models.image_shape(name)).rows
    ran = [row.kind.lower() for row in rows]
    assert (ran.count("conv2d"), ran.count("relu")) == (convs, relus)


@pytest.mark.parametrize("name", [n for n in cnnlib.list_models() if n not in registry.TORCHVISION])
def test_from_scratch_means_from_scratch(name):
    """Every layer is torch.nn's own or ours; none comes out of a library of networks."""
    homes = {type(m).__module__.split(".")[0] for m in on_meta(name).modules()}
    assert homes <= {"torch", "cnnlib"}


def test_and_no_function_of_such_a_library_is_called():
    """The last chapter's networks and public weights are torchvision's; nothing else in the folder imports it."""
    folder = Path(cnnlib.models.__file__).parent
    for path in folder.glob("*.py"):
        told = [
            n for n in ast.walk(ast.parse(path.read_text(encoding="utf8"))) if isinstance(n, ast.ImportFrom)
        ]
        roots = {n.module.split(".")[0] for n in told}
        roots |= {a.name.split(".")[0] for n in ast.walk(ast.parse(path.read_text(encoding="utf8")))
                  if isinstance(n, ast.Import) for a in n.names}  # fmt: skip
        assert bool(roots & {"torchvision", "timm"}) == (path.name in ("registry.py", "weights.py")), path
