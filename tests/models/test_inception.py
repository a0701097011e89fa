"""Inception-v3: facts, torchvision bit for bit, sizes of Table 1, factorised windows, the auxiliary head."""

import pytest
import torch
import torchvision
import witness
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cnnlib
from cnnlib.models import inception


def test_it_costs_what_the_facts_say():
    witness.costs_what_the_facts_say("inception_v3", "torchvision", "inception_v3")


def test_with_its_head_it_costs_what_the_facts_say():
    fact, net = witness.FACTS["torchvision", "inception_v3_aux"], witness.on_meta("inception_v3", aux=True)
    cost = cnnlib.trace(net, (3, 299, 299))
    assert (cost.params, cost.macs) == (fact["params"], fact["macs"])
    with FlopCounterMode(display=False) as taught:
        net.train()(torch.zeros(2, 3, 299, 299, device="meta"))
    assert taught.get_total_flops() > 2 * 2 * cost.macs  # asked, the head does not run


@pytest.mark.parametrize(("aux", "side"), [(False, (75, 90)), (True, (299, 299))], ids=["plain", "aux"])
def test_it_is_torchvisions_bit_for_bit(aux, side):
    theirs = torchvision.models.inception_v3(aux_logits=aux, init_weights=False)
    ours = witness.on_meta("inception_v3", aux=aux)
    witness.same_keys_and_shapes(ours, theirs)
    x = torch.randn(2, 3, *side)
    witness.same_answers(witness.with_weights_of(theirs, ours), theirs, x)
    if not aux:
        witness.takes_what_users_bring(ours, x, x.transpose(2, 3))
    with torch.no_grad():
        assert isinstance(ours.eval()(x[:1]), torch.Tensor)


def test_its_maps_are_those_of_table_1():
    net, seen = witness.on_meta("inception_v3", aux=True).train(), {}
    for name, part in net.named_children():
        part.register_forward_hook(lambda m, i, out, name=name: seen.update({name: tuple(out.shape[1:])}))
        part.register_forward_pre_hook(
            lambda m, i, name=name: seen.update({"to " + name: tuple(i[0].shape[1:])})
        )
    answer = net(torch.zeros(2, 3, 299, 299, device="meta"))
    assert [seen[n] for n in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1")] == [
        (32, 149, 149), (32, 147, 147), (64, 147, 147), (64, 73, 73)
    ]  # fmt: skip
    assert [seen[n] for n in ("maxpool2", "Mixed_5d", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7c")] == [
        (192, 35, 35), (288, 35, 35), (768, 17, 17), (768, 17, 17), (1280, 8, 8), (2048, 8, 8)
    ]  # fmt: skip
    assert seen["to AuxLogits"] == seen["Mixed_6e"] and seen["to Mixed_7a"] == seen["Mixed_6e"]
    assert answer._fields == ("logits", "aux") and answer.aux.shape == (2, 1000)


def test_normalisation_stands_between_convolution_and_relu():
    kinds = witness.kinds(witness.on_meta("inception_v3"))
    convs = [i for i, kind in enumerate(kinds) if kind == "Conv2d"]
    assert len(convs) == 94 and all(kinds[i + 1 : i + 3] == ["BatchNorm2d", "ReLU"] for i in convs)
    norms = [m for m in witness.on_meta("inception_v3").modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.eps for m in norms} == {0.001}


@pytest.mark.parametrize(
    ("make", "widths"),
    [
        (lambda: inception.block_a(4, 32), (64, 64, 96, 32)),
        (lambda: inception.reduce_a(4), (384, 96, 4)),
        (lambda: inception.block_b(4, 8), (192, 192, 192, 192)),
        (lambda: inception.reduce_b(4), (320, 192, 4)),
    ],
    ids=["a", "reduce a", "b", "reduce b"],
)
def test_a_block_stacks_its_paths_in_order(make, widths):
    torch.manual_seed(0)
    block, x = make().eval(), torch.randn(2, 4, 9, 11)
    y, paths = block(x), [block.follow(names, x) for names in block.paths]
    assert tuple(p.shape[1] for p in paths) == widths
    for piece, path in zip(y.split(widths, 1), paths, strict=True):
        assert torch.equal(piece, path)
    assert {n for names in block.paths for n in names} == {n for n, _ in block.named_children()}


def test_a_row_and_a_column_see_a_square():
    torch.manual_seed(0)
    step = nn.Sequential(inception.same(1, 1, inception.ROW), inception.same(1, 1, inception.COLUMN))
    assert cnnlib.trace(step, (1, 20, 20)).receptive_field == 7
    assert sum(c.weight.numel() for c in (step[0].conv, step[1].conv)) == 14  # against 49


def test_the_widest_block_stacks_rows_and_columns():
    torch.manual_seed(0)
    block, x = inception.BlockC(8).eval(), torch.randn(1, 8, 5, 6)
    y, short, long = block(x), block.branch3x3_1(x), block.branch3x3dbl_2(block.branch3x3dbl_1(x))
    answers = [
        block.branch1x1(x), block.branch3x3_2a(short), block.branch3x3_2b(short), block.branch3x3dbl_3a(long),
        block.branch3x3dbl_3b(long), block.branch_pool(nn.functional.avg_pool2d(x, 3, 1, 1)),
    ]  # fmt: skip
    assert torch.equal(y, torch.cat(answers, 1)) and y.shape == (1, 2048, 5, 6)


def test_every_parameter_learns():
    torch.manual_seed(0)
    net = cnnlib.build("inception_v3", num_classes=10)
    witness.every_parameter_learns(net, torch.randn(3, 3, 107, 107))


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="aux=1: need True or False"):
        cnnlib.build("inception_v3", aux=1)


def test_the_small_one_is_the_same_blocks_an_eighth_as_wide():
    net, large = witness.on_meta("inception_small"), witness.on_meta("inception_v3")
    for part, twin in ((net.Mixed_6d, large.Mixed_6e), (net.Mixed_7b, large.Mixed_7c)):
        assert [n for n, _ in part.named_modules()] == [n for n, _ in twin.named_modules()]
        ours, theirs = ([m for m in b.modules() if isinstance(m, nn.Conv2d)] for b in (part, twin))
        assert [m.out_channels * 8 for m in ours] == [m.out_channels for m in theirs]
        assert [m.kernel_size for m in ours] == [m.kernel_size for m in theirs]
    cost = cnnlib.trace(net, (1, 28, 28))
    assert {r.out[1] for r in cost.rows if r.kind == "Conv2d"} == {28, 13, 6}


def test_the_small_one_takes_what_users_bring_and_learns():
    torch.manual_seed(0)
    net, x = cnnlib.build("inception_small"), witness.picture("inception_small", 4)
    witness.takes_what_users_bring(net, x, torch.cat([x, x], 3)[..., 5:])
    witness.every_parameter_learns(net, x)
