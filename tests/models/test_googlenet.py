"""GoogLeNet in its public and its published form: facts, Table 1, concatenation, auxiliary heads."""

import copy

import pytest
import torch
import torchvision
import witness
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cnnlib
from cnnlib.models import googlenet

FORMS = ["googlenet", "googlenet_2014"]


def rows_of_table_1():
    return [row for stage in googlenet.TABLE_1.values() for row in stage.values()]


@pytest.mark.parametrize(
    ("name", "source", "row"),
    [("googlenet", "torchvision", "googlenet"), ("googlenet_2014", "reference", "googlenet_paper")],
)
def test_it_costs_what_the_facts_say(name, source, row):
    witness.costs_what_the_facts_say(name, source, row)


@pytest.mark.parametrize(
    ("name", "source", "row"),
    [
        ("googlenet", "torchvision", "googlenet_aux"),
        ("googlenet_2014", "reference", "googlenet_paper_aux_train"),
    ],
)
def test_the_heads_cost_what_the_facts_say(name, source, row):
    fact, net = witness.FACTS[source, row], witness.on_meta(name, aux=True)
    assert cnnlib.trace(net, (3, 224, 224)).params == fact["params"]
    image = torch.zeros(1, 3, 224, 224, device="meta")
    with FlopCounterMode(display=False) as asked:
        net.eval()(image)
    with FlopCounterMode(display=False) as taught:
        net.train()(image)
    plain = cnnlib.trace(net, (3, 224, 224)).macs
    assert asked.get_total_flops() == 2 * plain  # asked, the heads do not run
    told = asked if source == "torchvision" else taught
    assert told.get_total_flops() == 2 * fact["macs"] and taught.get_total_flops() > 2 * plain


def test_the_channels_of_table_1_add_up():
    assert [row.out for row in rows_of_table_1()] == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


def test_the_published_form_has_the_weights_of_table_1():
    """The facts on Table 1's sum: 6,990,272 without biases."""
    weights = sum(p.numel() for n, p in witness.on_meta("googlenet_2014").named_parameters() if "weight" in n)
    assert weights == 6_990_272


@pytest.mark.parametrize("aux", [False, True], ids=["plain", "aux"])
def test_the_public_form_is_torchvisions_bit_for_bit(aux):
    theirs = torchvision.models.googlenet(aux_logits=aux, init_weights=False)
    ours = witness.on_meta("googlenet", aux=aux)
    witness.same_keys_and_shapes(ours, theirs)
    x = torch.randn(2, 3, 64, 80)
    witness.same_answers(witness.with_weights_of(theirs, ours), theirs, x)
    answer, other = ours.train()(x), theirs.train()(x)
    if aux:
        assert answer._fields == ("logits", "aux2", "aux1")
        assert other._fields == ("logits", "aux_logits2", "aux_logits1")  # the same order
    assert isinstance(ours.eval()(x), torch.Tensor) and isinstance(answer, tuple) == aux


def test_each_head_reads_the_block_that_the_paper_says():
    net, x = cnnlib.build("googlenet", num_classes=10, aux=True).train(), torch.randn(2, 3, 64, 64)
    seen, heard = {}, {}
    for name, part in net.named_children():
        part.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out}))
        part.register_forward_pre_hook(lambda m, i, name=name: heard.update({name: i[0]}))
    net(x)
    assert heard["aux1"] is seen["inception4a"] and heard["aux2"] is seen["inception4d"]
    assert heard["inception4b"] is seen["inception4a"]  # the main path goes on beside the head
    seen.clear()
    net.eval()(x)
    assert not {"aux1", "aux2"} & set(seen)


def test_the_published_heads_are_those_of_section_5():
    """5 x 5 means with stride 3, 128 filters of 1 x 1, 1024 units, dropout of 70 %; 40 % in front of the logits."""
    net = witness.on_meta("googlenet_2014", aux=True)
    for head, c_in in ((net.aux1, 512), (net.aux2, 528)):
        assert (head.pool.kernel_size, head.pool.stride) == (5, 3) and head.dropout.p == 0.7
        assert tuple(head.conv.conv.weight.shape) == (128, c_in, 1, 1)
        assert (head.fc1.in_features, head.fc1.out_features) == (128 * 4 * 4, 1024)
    assert net.dropout.p == 0.4 and net.maxpool4.kernel_size == 3


def test_without_heads_nothing_of_them_is_left():
    assert not [n for n, _ in witness.on_meta("googlenet").named_parameters() if "aux" in n]


@pytest.mark.parametrize("form", [googlenet.PAPER, googlenet.PUBLIC], ids=["paper", "public"])
def test_a_block_stacks_its_four_paths_in_order(form):
    torch.manual_seed(0)
    block, x = googlenet.inception(6, googlenet.Row(1, 2, 3, 4, 5, 7), form).eval(), torch.randn(2, 6, 8, 9)
    y = block(x)
    pooled = nn.functional.max_pool2d(x, 3, 1, 1)
    one, three, five, pool = y.split((1, 3, 5, 7), 1)
    assert torch.equal(one, block.branch1(x))
    assert torch.equal(three, block.branch2[1](block.branch2[0](x)))
    assert torch.equal(five, block.branch3[1](block.branch3[0](x)))
    assert torch.equal(pool, block.branch4[1](block.branch4[0](x)))
    assert torch.equal(block.branch4[0](x), pooled)
    assert block.branch3[1].conv.kernel_size == ((5, 5) if form is googlenet.PAPER else (3, 3))


def test_order_and_place_of_the_norms():
    public = witness.kinds(witness.on_meta("googlenet"))
    assert "LocalResponseNorm" not in public
    assert all(
        public[i + 1 : i + 3] == ["BatchNorm2d", "ReLU"] for i, k in enumerate(public) if k == "Conv2d"
    )
    paper = witness.kinds(witness.on_meta("googlenet_2014"))
    assert paper[:10] == [
        "Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm", "Conv2d", "ReLU", "Conv2d", "ReLU", "LocalResponseNorm",
        "MaxPool2d",
    ]  # fmt: skip
    assert paper.count("LocalResponseNorm") == 2 and "BatchNorm2d" not in paper


@pytest.mark.parametrize("name", FORMS)
def test_its_maps_are_those_of_table_1(name):
    cost = cnnlib.trace(witness.on_meta(name), (3, 224, 224))
    pools = [r.out for r in cost.rows if r.kind == "MaxPool2d" and r.name.startswith("maxpool")]
    assert pools == [(64, 56, 56), (192, 28, 28), (480, 14, 14), (832, 7, 7)]
    assert cost.rows[-1].out == (1000,)


def test_the_published_form_learns_with_its_heads_and_starts_as_documented():
    torch.manual_seed(0)
    net = cnnlib.build("googlenet_2014", num_classes=10, aux=True)
    assert net.conv1.conv.bias.eq(0.2).all() and not net.fc.bias.any() and not net.aux1.fc2.bias.any()
    conv = net.inception4e.branch2[1].conv
    assert 0.95 < conv.weight.std() * (9 * 160) ** 0.5 < 1.05
    witness.every_parameter_learns(net, torch.randn(2, 3, 224, 224))


@pytest.mark.parametrize("name", ["googlenet", "googlenet_2014", "googlenet_small"])
def test_it_takes_what_users_bring(name):
    torch.manual_seed(0)
    net = cnnlib.build(name, num_classes=10)
    x = witness.picture(name, side=None if name.endswith("small") else (64, 64))
    witness.takes_what_users_bring(copy.deepcopy(net), x, torch.cat([x, x], 3)[:, :, 5:])
    if name != "googlenet_2014":
        witness.every_parameter_learns(net, x)


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="aux='yes': need True or False"):
        cnnlib.build("googlenet", aux="yes")
    with pytest.raises(ValueError, match="aux=True: googlenet_small does not take it"):
        cnnlib.build("googlenet_small", aux=True)


def test_the_naive_module_stacks_windows_and_pool():
    torch.manual_seed(0)
    block, x = googlenet.naive(6, 1, 3, 5, googlenet.PAPER).eval(), torch.randn(2, 6, 8, 9)
    one, three, five, pool = block(x).split((1, 3, 5, 6), 1)
    assert torch.equal(one, block.branch1(x)) and torch.equal(three, block.branch2(x))
    assert torch.equal(five, block.branch3(x))
    assert torch.equal(pool, nn.functional.max_pool2d(x, 3, 1, 1))
    sides = [b.conv.kernel_size for b in (block.branch1, block.branch2, block.branch3)]
    assert sides == [(1, 1), (3, 3), (5, 5)]


def test_the_lectures_modules_cost_what_the_facts_say():
    facts = {r["id"]: r for r in cnnlib.resources.facts("lecture_checks")}
    row = googlenet.Row(128, 64, 192, 64, 96, 64)
    naive = cnnlib.trace(googlenet.naive(256, 128, 192, 96, googlenet.PAPER), (256, 28, 28))
    reduced = cnnlib.trace(googlenet.inception(256, row, googlenet.PAPER), (256, 28, 28))
    assert naive.macs == int(facts["incep.naive_ops"]["computed"])
    assert reduced.macs == int(facts["incep.bottleneck_ops"]["computed"])
    assert naive.rows[-1].out[0] == int(facts["incep.naive_out"]["computed"])
    assert reduced.rows[-1].out[0] == int(facts["incep.bottleneck_out"]["computed"])


def test_the_twins_differ_in_their_modules_only():
    reduced, naive = googlenet.twin(), googlenet.twin(share=1.0)
    assert [n for n, _ in reduced.named_children()] == [n for n, _ in naive.named_children()]
    for row, block in zip(googlenet.TWIN, (naive.module1, naive.module2), strict=True):
        made = [b.conv.out_channels for b in (block.branch1, block.branch2, block.branch3)]
        assert made == [row.c1, row.c3, row.c5]
    costs = [cnnlib.trace(googlenet.twin(share), (1, 28, 28)).macs for share in (None, 0.25)]
    assert abs(costs[0] / costs[1] - 1) < 0.05
    for net in (reduced, naive, googlenet.twin_unreduced()):
        witness.every_parameter_learns(net, torch.randn(4, 1, 28, 28))


def test_the_twin_that_does_not_reduce_has_the_channels_of_one_and_the_bill_of_the_other():
    reduced, naive, kept = googlenet.twin(), googlenet.twin(share=1.0), googlenet.twin_unreduced()
    for row, block, c_in in zip(googlenet.TWIN, (kept.module1, kept.module2), (64, 80), strict=True):
        made = [m.out_channels for m in block.modules() if isinstance(m, nn.Conv2d)]
        assert made == [row.c1, c_in, row.c3, c_in, row.c5, row.pool]
    joins = [
        [r.out for r in cnnlib.trace(net, (1, 28, 28)).rows if r.kind == "cat"] for net in (reduced, kept)
    ]
    assert joins[0] == joins[1]
    bills = [cnnlib.trace(net, (1, 28, 28)).macs for net in (naive, kept)]
    assert abs(bills[0] / bills[1] - 1) < 0.05
