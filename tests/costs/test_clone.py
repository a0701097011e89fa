"""The copy without numbers is what ``copy.deepcopy`` makes but for them, and shares nothing that can change."""

import copy

import pytest
import torch
import torchvision
from torch import nn

import cnnlib
from cnnlib.costs.clone import ATOMIC_TYPES, Cloner


def cloned(net, dtype=None):
    return Cloner(dtype)(net)


def described(value, seen):
    """A structure as nested tuples, tensors by their looks; an object met again by the number of its first place."""
    if type(value) in ATOMIC_TYPES:
        return value
    if id(value) in seen:
        return f"again {seen[id(value)]}"
    seen[id(value)] = len(seen)
    if isinstance(value, torch.Tensor):
        return type(value), tuple(value.shape), value.dtype, value.stride(), value.requires_grad
    if isinstance(value, nn.Module):
        return type(value), described(vars(value), seen)
    if isinstance(value, dict):
        return type(value), tuple((k, described(v, seen)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(described(v, seen) for v in value)
    return type(value)


def changeable(value, found):
    """Ids of everything in a network that a run could change."""
    if isinstance(value, nn.Module):
        found[id(value)] = value
        value = vars(value)
    if isinstance(value, dict | list | set | torch.Tensor):
        found[id(value)] = value
    if isinstance(value, dict | list | tuple | set):
        for item in value.values() if isinstance(value, dict) else value:
            if id(item) not in found and type(item) not in ATOMIC_TYPES:
                changeable(item, found)
    return found


class Odd(nn.Module):
    """Keeps things that networks are rarely seen to keep."""

    def __init__(self):
        super().__init__()
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = nn.Linear(4, 4).weight
        self.again = self.tied
        self.register_buffer("seen", torch.zeros(3, dtype=torch.int64), persistent=False)
        self.register_parameter("none", None)
        self.frozen = nn.Parameter(torch.ones(2, 3).t(), requires_grad=False)
        self.plan = {"a": [1, {2, 3}], 5: (torch.ones(2), [self.frozen])}
        self.log = []
        self.empty = nn.Sequential()
        self.inner = nn.Sequential(Keeps(self.log), Keeps(self.log))


class Keeps(nn.Module):
    def __init__(self, log):
        super().__init__()
        self.log = log


NETS = {
    "resnet18": lambda: torchvision.models.resnet18(),
    "vit": lambda: torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32),
    "lstm": lambda: nn.LSTM(3, 4),
    "odd": Odd,
    "densenet": lambda: cnnlib.build("densenet_small"),
}


@pytest.mark.parametrize("name", NETS)
def test_a_clone_is_a_deep_copy_without_numbers(name):
    net = NETS[name]()
    before = copy.deepcopy(net)
    twin = cloned(net)
    assert described(twin, {}) == described(before, {})
    assert all(t.is_meta for t in (*twin.parameters(), *twin.buffers()))
    assert not changeable(twin, {}).keys() & changeable(net, {}).keys()


def test_a_clone_takes_another_dtype_for_what_floats():
    net = nn.Sequential(nn.BatchNorm2d(3))
    twin = cloned(net, torch.float16)
    assert {t.dtype for t in twin.buffers()} == {torch.float16, torch.int64}


def test_hooks_on_a_clone_are_not_on_the_network():
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    for module in cloned(net).modules():
        module.register_forward_hook(lambda *args: None)
    assert not any(module._forward_hooks for module in net.modules())


def test_a_class_that_copies_itself_is_asked():
    class Counts(nn.Module):
        copies = 0

        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def __deepcopy__(self, memo):
            Counts.copies += 1
            new = Counts()
            new.inner = copy.deepcopy(self.inner, memo)
            return new

    twin = cloned(nn.Sequential(Counts()))
    assert Counts.copies == 1 and twin[0].inner.weight.is_meta


def test_a_class_with_a_state_of_its_own_restores_it():
    class Fills(nn.Module):
        def __setstate__(self, state):
            super().__setstate__(state)
            self.restored = True

    assert cloned(nn.Sequential(Fills()))[0].restored
