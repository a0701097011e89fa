"""Random networks: the engine must agree with a real run of each, number by number."""

import ast
from pathlib import Path

import cost_witness as witness
import pytest
import random_nets as nets
import torch
from hypothesis import HealthCheck, given, settings

import cnnlib

WINDOWS = [nets.convolutions, nets.convolutions, nets.pools, nets.joins, nets.pointwise]
ALL = [*WINDOWS, nets.transposed, nets.adaptive_pools, nets.resized]
# The same networks every time: a failure must be one that anybody can repeat.
FEW = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def test_the_witness_shares_nothing_with_the_engine():
    for name in ("cost_witness.py", "random_nets.py"):
        tree = ast.parse((Path(witness.__file__).parent / name).read_text(encoding="utf8"))
        imported = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        imported += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        assert not [module for module in imported if module.startswith("cnnlib")]


@FEW
@given(nets.networks(ALL))
def test_parameters_macs_and_shapes_are_those_of_a_real_run(drawn):
    net, image = drawn
    cost = cnnlib.trace(net, image, batch=2)
    x = torch.randn(2, *image)
    assert cost.params == witness.params(net)
    assert cost.macs == witness.macs(net, x)
    assert cost.unsupported == {}
    layers = {name for name, module in net.named_modules() if next(module.children(), None) is None}
    told = [(row.name, row.out) for row in cost.rows if row.name in layers]
    assert told == witness.shapes(net, x)


def along(cost, image):
    """What a unit of the last map sees along each spatial axis; ``None`` where it sees the whole side."""
    span = cost.rows[-1].span
    n = len(image) - 1
    return [span] * n if span is None or hasattr(span, "size") else list(span)


def inside(span, unit, side):
    """First and last place that a unit should see, if no border cuts it."""
    first = span.start + unit * span.stride
    last = first + span.size - 1
    return (first, last) if first >= 0 and last < side else None


@FEW
@given(nets.networks(WINDOWS))
def test_every_unit_sees_what_a_pulse_moves(drawn):
    net, image = drawn
    spans = along(cnnlib.trace(net, image), image)
    if len(spans) != len(image) - 1:
        return  # an axis was pooled away: which are left is not said
    witness.positive(net)
    for axis, span in enumerate(spans):
        if span is None:
            continue
        hits = witness.reached_by_pulse(net, image, axis)
        for unit, hit in enumerate(hits):
            told = inside(span, unit, image[1 + axis])
            # Along another axis all windows may lie in the padding: then nothing moves at all.
            assert told is None or hit == told or not any(hits), (axis, unit)


ENLARGING = [nets.convolutions, nets.joins, nets.transposed, nets.adaptive_pools, nets.resized]


@FEW
@given(nets.networks(ENLARGING))
def test_behind_an_enlargement_no_unit_sees_more_than_is_told(drawn):
    """Neighbours see different numbers of pixels there: the size is that of the most seeing one."""
    net, image = drawn
    spans = along(cnnlib.trace(net, image), image)
    round_the_world = any(getattr(m, "padding_mode", "") == "circular" for m in net.modules())
    if len(spans) != len(image) - 1 or round_the_world:
        return
    witness.positive(net)
    for axis, span in enumerate(spans):
        if span is None:
            continue
        for unit, hit in enumerate(witness.reached_by_pulse(net, image, axis)):
            if hit and inside(span, unit, image[1 + axis]):
                assert hit[1] - hit[0] < span.size, (axis, unit)


@FEW
@given(nets.networks([nets.convolutions, nets.joins, nets.transposed]))
def test_pulses_and_gradients_tell_the_same(drawn):
    """The two halves of the witness, where both can speak: without maxima."""
    net, image = drawn
    witness.positive(net)
    for axis in range(len(image) - 1):
        assert witness.reached_by_pulse(net, image, axis) == witness.reached_by_gradient(net, image, axis)
