"""A network that runs for its owner is counted, whatever it keeps and asks for; a refusal gives the true reason."""

import io
import threading
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cnnlib
from cnnlib.costs import layer_graph, traffic

MACS = 4 * 25 * 27  # of a 3x3 from 3 to 4 channels on 7x7 pixels


class Net(nn.Module):
    """One convolution, (3, 7, 7) -> (4, 5, 5), behind what a function makes of the image."""

    def __init__(self, before=lambda self, x: x, **kept):
        super().__init__()
        self.conv, self.before, self.device = nn.Conv2d(3, 4, 3), before, torch.device("cpu")
        for name, value in kept.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.conv(self.before(self, x))


DEVICES = {
    "a new tensor on a device that it remembers": lambda self, x: x + torch.zeros(7, 7, device=self.device),
    "the same by a name": lambda self, x: x + torch.ones(7, 7, device="cpu"),
    "random numbers there": lambda self, x: x + torch.randn(x.shape, device=self.device),
    "numbers of a generator": lambda self, x: x + torch.rand(7, 7, generator=torch.Generator().manual_seed(0)),
    "numbers from a list": lambda self, x: x * torch.tensor([1.0] * 7, device=self.device),
    "like another": lambda self, x: x + torch.zeros_like(x, device="cpu"),
    "new of another": lambda self, x: x + x.new_zeros(7, 7, device=self.device),
    "moved by name": lambda self, x: x.to("cpu"),
    "moved to a device": lambda self, x: x.to(self.device),
    "moved with a dtype": lambda self, x: x.to(self.device, torch.float32),
    "moved by keyword": lambda self, x: x.to(device=self.device, dtype=torch.float32),
    "moved to where another is": lambda self, x: x.to(torch.zeros(1, device="cpu")),
    "moved to a GPU": lambda self, x: x.to("cuda:0"),
    "fetched": lambda self, x: x.cpu(),
    "sent": lambda self, x: x.cuda(),
    "to the layer's device": lambda self, x: x.to(self.conv.weight.device),
    "a part is moved": lambda self, x: (self.conv.to(self.device), x)[1],
    "of an old type": lambda self, x: x.type(torch.FloatTensor),
    "of an old type by name": lambda self, x: x.type("torch.cuda.FloatTensor"),
    "autocast of its input's device": lambda self, x: autocast(x, x.device.type),
    "autocast of a device": lambda self, x: autocast(x, "cpu"),
    "numbers from outside": lambda self, x: x * OUTSIDE,
    "numbers from numpy": lambda self, x: x * torch.from_numpy(np.ones((7, 7), np.float32)),
}  # fmt: skip
OUTSIDE = torch.ones(7, 7)


def autocast(x, device_type):
    with torch.autocast(device_type, enabled=False):
        return x * 2


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_that_it_asks_for_is_the_one_that_there_is(name):
    net = Net(DEVICES[name])
    state = torch.get_rng_state()
    cost = cnnlib.trace(net, (3, 7, 7))
    assert (cost.macs, cost.unsupported) == (MACS, {})
    assert cost.training_memory > 0 and traffic(net, (3, 7, 7)) > 0 and len(layer_graph(net, (3, 7, 7))) >= 2
    assert net.conv.weight.device.type == "cpu" and torch.equal(state, torch.get_rng_state())


@dataclass
class Record:
    last: torch.Tensor
    others: list = field(default_factory=list)


class Slotted:
    __slots__ = ("last",)

    def __init__(self, last):
        self.last = last


def made():
    """A tensor with a history, which deepcopy refuses."""
    return nn.Parameter(torch.ones(3)) * 2


@pytest.mark.parametrize(
    "hold",
    [lambda t: t, lambda t: {"last": t}, lambda t: (t, 1), lambda t: [t], Record, lambda t: deque([t], 3),
     lambda t: {"all": [Record(t, [t])]}, lambda t: deque([{"last": t}]), lambda t: {t}, Slotted],
    ids=["attribute", "dict", "tuple", "list", "dataclass", "deque", "nested", "dict in a deque", "set", "slots"],
)  # fmt: skip
def test_a_tensor_of_the_last_pass_may_be_kept_in_anything(hold):
    tensor = made()
    kept = hold(tensor)
    net = Net(kept=kept)
    assert cnnlib.trace(net, (3, 7, 7)).macs == MACS
    assert net.kept is kept and tensor.grad_fn is not None and not tensor.is_meta


def generate():
    yield 1


def scripted():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(F.relu)


UNCOPIABLE = {
    "lock": threading.Lock, "generator": generate, "random numbers": torch.Generator,
    "file": lambda: io.FileIO(__file__),
    "module": lambda: torch, "function": lambda: (lambda x: x), "scripted function": scripted,
    "thread": lambda: threading.Thread(target=print), "socket": lambda: __import__("socket").socket(),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", UNCOPIABLE)
def test_what_cannot_be_copied_may_be_kept(name):
    kept = UNCOPIABLE[name]()
    for hold in (kept, [kept], {"it": (kept,)}, Record(kept)):
        assert cnnlib.trace(Net(kept=hold), (3, 7, 7)).macs == MACS


def test_a_scripted_activation_is_seen_as_it_runs():
    cost = cnnlib.trace(nn.Sequential(Net(lambda self, x: self.act(x), act=scripted())), (3, 7, 7))
    assert (cost.macs, cost.work.activation, cost.unsupported) == (MACS, 147, {})


class Words(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(28, 3))


def test_a_network_that_starts_with_an_embedding_takes_whole_numbers():
    cost = cnnlib.trace(Words(), (7,), dtype=torch.long)
    assert (cost.params, cost.macs, cost.param_bytes, cost.dtype) == (127, 84, 4 * 127, torch.long)
    assert cost.training_memory > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precision_get_such_images(dtype):
    cost = cnnlib.trace(Net().to(dtype), (3, 7, 7))
    assert (cost.macs, cost.dtype) == (MACS, dtype)


def test_complex_weights_get_complex_images_unless_there_are_real_ones():
    assert cnnlib.trace(nn.Conv2d(3, 4, 3, dtype=torch.complex64), (3, 7, 7)).macs == MACS

    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift = nn.Conv2d(3, 4, 1)
            self.weight = nn.Parameter(torch.ones(7, 4, dtype=torch.complex64))

        def forward(self, x):
            return torch.fft.irfft2(torch.fft.rfft2(self.lift(x)) * self.weight, s=x.shape[2:])

    cost = cnnlib.trace(Spectral(), (3, 7, 7))
    assert (cost.macs, cost.params, cost.dtype) == (12 * 49, 16 + 28, torch.float32)


def test_parts_may_be_called_by_keyword():
    class ByName(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.flat = nn.Conv2d(3, 4, 3), nn.Flatten()

        def forward(self, x):
            return self.flat(input=self.conv(input=x))

    net = ByName()
    assert cnnlib.trace(net, (3, 7, 7)).macs == MACS
    assert [node.reads for node in layer_graph(net, (3, 7, 7))] == [(), (0,)]
    net.conv.register_forward_hook(lambda module, args, out: None)
    assert cnnlib.trace(net, (3, 7, 7)).macs == MACS
    with pytest.raises(ValueError, match=r"layer 'conv' \(Conv2d\) got \(1, 5, 7, 7\); it needs 3 channels"):
        cnnlib.trace(net, (5, 7, 7))


def test_sizes_may_be_numpys():
    sizes = tuple(np.array([3, 7, 7]))
    cost = cnnlib.trace(Net(), sizes, batch=np.int64(2))
    assert cost.macs == 2 * MACS and cost.image == (3, 7, 7) and type(cost.macs) is int


# ---- the true reason ----


def refusal(net, image=(3, 7, 7), of=cnnlib.trace):
    with pytest.raises(ValueError) as caught:
        of(net, image)
    return str(caught.value)


def test_two_dtypes_that_do_not_fit_are_no_matter_of_size():
    said = refusal(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3).half()))
    assert "layer '1'" in said and "at least" not in said
    assert "Half" in said or "half" in said or "dtype" in said


def test_a_map_that_is_too_small_is_a_matter_of_size():
    assert "got (1, 3, 2, 2); it needs a map of at least 3×3" in refusal(nn.Conv2d(3, 3, 3), (3, 2, 2))


def test_an_embedding_asks_for_whole_numbers():
    assert "trace with dtype=torch.long" in refusal(Words(), (7,))


def test_numbers_that_are_asked_for():
    for ask in (lambda self, x: x if x.sum() > 0 else -x, lambda self, x: x * x.max().item()):
        assert "asks for the numbers in a map" in refusal(Net(ask))


def test_training_on_one_value_a_channel_speaks_of_the_batch():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))
    cost = cnnlib.trace(net, (3, 7, 7))
    assert cost.macs == MACS
    with pytest.raises(ValueError, match=r"cannot train .* layer '2' .* take batch=2"):
        _ = cost.training_memory
    assert cnnlib.trace(net, (3, 7, 7), batch=2).training_memory > 0
