"""One network a family leaves Python: compiled, exported, and as an ONNX file, at the smallest image it takes."""

import copy

import onnxruntime
import pytest
import torch

import cnnlib

NAMES = ["lenet5", *(n for n in cnnlib.list_models() if n.endswith("_small"))]


@pytest.fixture(scope="module", params=NAMES)
def told(request):
    """A network in evaluation, two of its smallest images, and its answer."""
    torch.manual_seed(0)
    net = cnnlib.build(request.param).eval()
    side = cnnlib.models.image_sides(request.param)[0]
    x = torch.randn(2, cnnlib.models.image_shape(request.param)[0], side, side)
    with torch.no_grad():
        return net, x, net(x)


def near(a, b):
    return (a - b).abs().max() <= 1e-5 * max(1, b.abs().max())


def test_it_compiles(told):
    """Captured whole and run as it stands, without a C++ compiler."""
    net, x, y = told
    torch.compiler.reset()
    with torch.no_grad():
        assert near(torch.compile(net, backend="eager", fullgraph=True)(x), y)


def test_another_head_compiles_too_at_sizes_it_was_not_built_for():
    torch.manual_seed(0)
    net, x = cnnlib.build("lenet_small").eval(), torch.randn(2, 1, 60, 60)
    net.flatten, net.fc1 = torch.nn.AdaptiveAvgPool2d(7), torch.nn.Conv2d(50, 90, 7)
    net.act3, net.fc2 = torch.nn.Flatten(), torch.nn.Linear(90, 10)
    torch.compiler.reset()
    with torch.no_grad():
        y = net(x)
        assert y.shape == (2, 10) and near(torch.compile(net, backend="eager", fullgraph=True)(x), y)
        assert near(torch.export.export(net, (x,)).module()(x), y)


def test_it_exports(told):
    net, x, y = told
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: batch},))
    with torch.no_grad():
        assert near(program.module()(x), y)
        assert near(program.module()(x[[0, 1, 0]])[:2], y)


def test_it_becomes_an_onnx_file(told, tmp_path):
    """Run by another program, which gives the same answer."""
    net, x, y = told
    torch.onnx.export(net, (x,), tmp_path / "net.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert (torch.from_numpy(answer) - y).abs().max() <= 1e-4 * y.abs().max()


@pytest.mark.nightly  # needs a C++ compiler, and a minute
@pytest.mark.parametrize("name", ["resnet_small", "squeezenet_small"])
def test_it_compiles_to_machine_code_and_learns(name, compiler):
    torch.manual_seed(0)
    net, x = cnnlib.build(name), torch.randn(4, *cnnlib.models.image_shape(name))
    twin = copy.deepcopy(net)
    for one, run in ((net, net.eval()), (twin, torch.compile(twin.eval(), backend="inductor"))):
        run(x).square().sum().backward()
        assert all(p.grad is not None for p in one.parameters())
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        assert (a.grad - b.grad).abs().max() <= 1e-3 * (1 + a.grad.abs().max())
