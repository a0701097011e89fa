"""What every family is asked; nothing here knows how cnnlib counts or builds."""

import copy
import io
import pickle

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import cnnlib
from cnnlib import resources

FACTS = {(row["source"], row["name"]): row for row in resources.facts("architectures")}


def on_meta(name, **options):
    """The network without numbers: shapes at no cost."""
    with torch.device("meta"):
        return cnnlib.build(name, **options)


def picture(name, n=2, side=None):
    """Noise of the network's own size, or smaller."""
    c, h, w = cnnlib.models.image_shape(name)
    side = side or (h, w)
    return torch.randn(n, c, *side, generator=torch.Generator().manual_seed(1))


def costs_what_the_facts_say(name, source, row_name):
    row, image = FACTS[source, row_name], cnnlib.models.image_shape(name)
    assert "x".join(map(str, image)) == row["input"]
    net = on_meta(name)
    cost = cnnlib.trace(net, image)
    assert cost.params == row["params"] == sum(p.numel() for p in net.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.zeros(1, *image, device="meta"))
    assert 2 * cost.macs == 2 * row["macs"] == counter.get_total_flops()
    assert cost.activations == row["conv_linear_activations"]
    assert cost.receptive_field == row["receptive_field"]
    assert sum(r.kind == "Conv2d" for r in cost.rows) == row["n_conv"]
    assert sum(r.kind == "Linear" for r in cost.rows) == row["n_linear"]
    assert cost.unsupported == {}


def same_keys_and_shapes(ours, theirs):
    a, b = ([(k, tuple(v.shape)) for k, v in net.state_dict().items()] for net in (ours, theirs))
    assert a == b


def with_weights_of(theirs, ours):
    """``ours``, built without numbers, with a copy of all tensors of ``theirs``."""
    ours.load_state_dict({k: v.clone() for k, v in theirs.state_dict().items()}, assign=True)
    return ours


def same_answers(ours, theirs, x):
    """Bit for bit, in training under the same random numbers, and then in evaluation."""
    for training in (True, False):
        answers = []
        for net in (ours.train(training), theirs.train(training)):
            torch.manual_seed(3)
            with torch.no_grad():
                answers.append(net(x))
        a, b = (answer if isinstance(answer, tuple) else (answer,) for answer in answers)
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert torch.equal(one, other) and one.isfinite().all()


def every_parameter_learns(net, x):
    """A gradient in each tensor, from all outputs in training mode."""
    out = net.train()(x)
    outputs = out if isinstance(out, tuple) else (out,)
    target = torch.arange(len(x))
    sum(F.cross_entropy(y, target) for y in outputs).backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    net.zero_grad()
    assert idle == []


def takes_what_users_bring(net, x, oblong):
    """Other layouts, precisions and sizes, a batch of one, a copy by pickle and by file."""
    net.eval()
    with torch.no_grad():
        y = net(x)
        assert y.isfinite().all() and torch.equal(net(x), y)
        scale = y.abs().max()
        assert (net(x.to(memory_format=torch.channels_last)) - y).abs().max() < 1e-4 * scale
        assert (net(x[:1]) - y[:1]).abs().max() < 1e-4 * scale
        assert net(oblong).shape == (len(oblong), y.shape[1])
        double = copy.deepcopy(net).double()(x.double())
        assert double.dtype is torch.float64 and (double - y).abs().max() < 1e-4 * scale
        half = copy.deepcopy(net).bfloat16()(x.bfloat16())
        assert half.dtype is torch.bfloat16 and half.isfinite().all()
        assert torch.equal(pickle.loads(pickle.dumps(net))(x), y)
        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        other = copy.deepcopy(net)
        for p in other.parameters():
            p.zero_()
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(x), y)


def kinds(net):
    """The layers in order, by the names of their classes."""
    return [type(m).__name__ for m in net.modules() if not list(m.children())]
