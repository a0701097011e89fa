"""Runs that are interrupted: killed, resumed, refused."""

import errno
import io
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import toys
from torch import nn
from toys import RECIPE, row_values, small, toy

import cnnlib
from cnnlib.images import Images, augmentation
from cnnlib.training import checkpoint, loop
from cnnlib.training.evaluation import evaluate, seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import PiecewiseLinear, Recipe

RICH = replace(RECIPE, augment=(augmentation.flip, augmentation.crop(1)), mixup=0.3, ema=0.9)
RECIPES = {"plain": RECIPE, "rich": RICH, "adam": replace(RECIPE, optimiser=torch.optim.Adam)}


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_half_a_run_then_the_other_half_is_the_whole_run(tmp_path, recipe):
    straight, first, second = small(), small(), nn.Sequential(*small())
    rows = row_values(train(straight, toy(), toy(40), recipe))
    path = tmp_path / "deep" / "run.pt"
    for row in train(first, toy(), toy(40), recipe, checkpoint=path):
        if row.epoch == 2:
            break
    with torch.no_grad():  # what the network holds before it resumes cannot matter
        second[0].weight.fill_(9)
    assert row_values(train(second, toy(), toy(40), recipe, checkpoint=path)) == rows
    assert same(straight, second)


def test_a_finished_run_is_given_again_without_training(tmp_path):
    path, nets = tmp_path / "run.pt", [small(), small()]
    rows = list(train(nets[0], toy(), toy(), RICH, checkpoint=path))
    written = path.stat().st_mtime_ns
    assert list(train(nets[1], toy(), toy(), RICH, checkpoint=path)) == rows
    assert same(*nets) and path.stat().st_mtime_ns == written
    assert evaluate(nets[1], toy(), RICH.batch) == (rows[-1].valid_loss, rows[-1].valid_acc)


def test_keeping_a_checkpoint_changes_nothing(tmp_path):
    nets = [small(), small()]
    assert row_values(train(nets[0], toy(), toy(), RICH)) == row_values(
        train(nets[1], toy(), toy(), RICH, checkpoint=tmp_path / "run.pt")
    )
    assert same(*nets)


VICTIM = """
import sys, torch
sys.path[:0] = sys.argv[2:]
from toys import small, toy
from test_checkpoint import LONG
from cnnlib.training import train
torch.set_num_threads(1)
for row in train(small(), toy(), toy(40), LONG, checkpoint=sys.argv[1]):
    print(row.epoch, flush=True)
"""
LONG = replace(RICH, epochs=50)


def test_kill_9_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    """Killed again and again at random moments, the run ends in the weights of one that never was."""
    path, draw, kills = tmp_path / "run.pt", random.Random(0), 0
    command = [sys.executable, "-c", VICTIM, str(path), *map(os.path.dirname, (__file__, toys.__file__))]
    reached = []
    for _ in range(3):
        victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert victim.stdout.readline() == "1\n"  # of this run, or given again
        time.sleep(draw.uniform(0, 0.4))
        victim.send_signal(signal.SIGKILL)
        kills += victim.wait() == -signal.SIGKILL
        victim.stdout.close()
        reached.append(checkpoint.load(path)["rows"][-1]["epoch"])
    assert kills == 3 and reached == sorted(reached) and reached[-1] > 0
    straight, last = small(), small()
    rows = row_values(train(straight, toy(), toy(40), LONG))
    assert row_values(train(last, toy(), toy(40), LONG, checkpoint=path)) == rows and same(straight, last)


class Stop(Exception):
    """Power fails."""


def stopping(step, act):
    """An augmentation that does nothing, until it acts at a step."""
    seen = []

    def change(x, generator):
        seen.append(len(x))
        if len(seen) == step:
            act()
        return x

    change.seen = seen
    return change


def fails():
    raise Stop


def with_change(change):
    """RICH, and a change that goes by the same name whatever it does."""
    change.__qualname__ = "change"
    return replace(RICH, augment=(*RICH.augment, change))


@pytest.fixture
def straight():
    net = small()
    return row_values(train(net, toy(), toy(40), with_change(stopping(0, fails)))), net


def test_a_run_goes_on_within_an_epoch(tmp_path, monkeypatch, straight):
    """Six steps an epoch, saved after each; it fails in the ninth, and again in the second after that."""
    monkeypatch.setattr(loop, "SAVE_INTERVAL", -1)
    path, net, parts = (
        tmp_path / "run.pt",
        small(),
        [stopping(9, fails), stopping(2, fails), stopping(0, fails)],
    )
    for change in parts[:2]:
        with pytest.raises(Stop):
            list(train(small(), toy(), toy(40), with_change(change), checkpoint=path))
    assert checkpoint.load(path)["pass"]["done"] == 3 and len(checkpoint.load(path)["rows"]) == 1
    assert row_values(train(net, toy(), toy(40), with_change(parts[2]), checkpoint=path)) == straight[0]
    assert same(net, straight[1])
    assert sum(len(change.seen) for change in parts) == 24 + 2  # each of the two failures cost one step


def test_an_epoch_is_kept_before_it_is_validated(tmp_path, monkeypatch, straight):
    path, change, net = tmp_path / "run.pt", stopping(0, fails), small()
    monkeypatch.setattr(loop, "evaluate", lambda *words: fails())
    with pytest.raises(Stop):
        list(train(small(), toy(), toy(40), with_change(change), checkpoint=path))
    monkeypatch.undo()
    assert row_values(train(net, toy(), toy(40), with_change(change), checkpoint=path)) == straight[0]
    assert same(net, straight[1]) and len(change.seen) == 24


def test_ctrl_c_keeps_the_step_and_a_second_one_does_not_wait(tmp_path, straight):
    path, net = tmp_path / "run.pt", small()
    change = stopping(9, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        list(train(small(), toy(), toy(40), with_change(change), checkpoint=path))
    assert len(change.seen) == 9 and checkpoint.load(path)["pass"]["done"] == 3
    assert row_values(train(net, toy(), toy(40), with_change(change), checkpoint=path)) == straight[0]
    assert same(net, straight[1]) and len(change.seen) == 24
    twice = stopping(3, lambda: [signal.raise_signal(signal.SIGINT) for _ in range(2)])
    with pytest.raises(KeyboardInterrupt):
        list(train(small(), toy(), toy(40), with_change(twice), checkpoint=tmp_path / "other.pt"))
    assert not (tmp_path / "other.pt").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


TERMINATED = """
import signal, sys, torch
sys.path[:0] = sys.argv[2:]
import test_checkpoint as t
torch.set_num_threads(1)
change = t.stopping(9, lambda: signal.raise_signal(signal.SIGTERM))
list(t.train(t.small(), t.toy(), t.toy(40), t.with_change(change), checkpoint=sys.argv[1]))
"""


def test_a_cluster_that_takes_the_machine_back_costs_no_step(tmp_path, straight):
    path, net, change = tmp_path / "run.pt", small(), stopping(0, fails)
    folders = map(os.path.dirname, (__file__, toys.__file__))
    done = subprocess.run([sys.executable, "-c", TERMINATED, str(path), *folders], check=False)
    assert done.returncode == -signal.SIGTERM
    assert row_values(train(net, toy(), toy(40), with_change(change), checkpoint=path)) == straight[0]
    assert same(net, straight[1]) and len(change.seen) == 24 - 9


def test_other_images_of_the_same_number_are_refused(tmp_path):
    path = tmp_path / "run.pt"
    stopped(path)
    for name, sets in (("training", (toy(seed=1), toy())), ("validation", (toy(), toy(seed=1)))):
        with pytest.raises(ValueError, match=rf"other {name} images \(digest was \w+ and is"):
            train(small(), *sets, RECIPE, checkpoint=path)
    relabelled = Images(toy().x, toy().y.flip(0), toy().classes)
    with pytest.raises(ValueError, match="other training images"):
        train(small(), relabelled, toy(), RECIPE, checkpoint=path)


def stopped(path, recipe=RECIPE):
    for _ in train(small(), toy(), toy(), recipe, checkpoint=path):
        break


LOWER = PiecewiseLinear((0, 1), (0.1, 0))


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (lambda p: train(small(norm=False), toy(), toy(), RECIPE, checkpoint=p), "belongs to another network"),
        (lambda p: train(small(), toy(), toy(), replace(RECIPE, epochs=8), checkpoint=p), "epochs was 4 and is 8"),
        (lambda p: train(small(), toy(), toy(), replace(RECIPE, lr=LOWER), checkpoint=p), "lr was"),
        (lambda p: train(small(), toy(80), toy(), RECIPE, checkpoint=p), "training images .count was 90 and is 80"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_something_else_is_refused_and_kept(tmp_path, start, words):
    path = tmp_path / "run.pt"
    stopped(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=words):
        start(path)
    assert path.read_bytes() == before


def test_same_shapes_with_another_nonlinearity_are_another_network():
    relu, tanh = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    assert checkpoint.fingerprint(relu) != checkpoint.fingerprint(tanh)
    assert checkpoint.fingerprint(relu) == checkpoint.fingerprint(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))


def test_fingerprints_do_not_change_from_one_build_to_the_next():
    with torch.device("meta"):
        for name in cnnlib.list_models():
            if name.endswith("_small"):
                one, two = cnnlib.build(name), cnnlib.build(name)
                assert checkpoint.fingerprint(one) == checkpoint.fingerprint(two), name


def one_bit(content):
    """A bit of a weight turned round: torch would read it as if nothing were wrong."""
    at = content.index(small()[5].weight.detach().numpy().tobytes()) + 6
    return content[:at] + bytes([content[at] ^ 64]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"nonsense" * 99, one_bit]
)
def test_a_damaged_file_is_told(tmp_path, damage):
    path = tmp_path / "run.pt"
    stopped(path, replace(RECIPE, lr=lambda t: 0.0))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"run\.pt is no checkpoint, or damaged"):
        train(small(), toy(), toy(), RECIPE, checkpoint=path)


def test_a_file_cut_anywhere_is_told(tmp_path):
    """Where the cut falls decides which error PyTorch raises; one of them looks like one of the system."""
    path = tmp_path / "run.pt"
    stopped(path)
    whole = path.read_bytes()
    for length in range(1, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"run\.pt is no checkpoint, or damaged"):
            checkpoint.load(path)


def test_a_file_that_would_run_code_is_not_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("boo",)

    torch.save({"net": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="no checkpoint, or damaged"):
        checkpoint.load(tmp_path / "trap.pt")


def test_weights_alone_are_no_run_but_can_be_read(tmp_path):
    path, net = tmp_path / "weights.pt", small()
    torch.save(net.state_dict(), path)
    with pytest.raises(ValueError, match="holds weights but no training run"):
        train(small(), toy(), toy(), RECIPE, checkpoint=path)
    assert checkpoint.weights(path).keys() == net.state_dict().keys()


def test_of_a_run_with_a_running_mean_the_mean_is_taken(tmp_path):
    path, net, other = tmp_path / "run.pt", small(), small()
    rows = list(train(net, toy(), toy(), RICH, checkpoint=path))
    other.load_state_dict(checkpoint.weights(path))
    assert evaluate(other, toy(), RICH.batch)[0] == rows[-1].valid_loss


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    stopped(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"No space left on device.*the checkpoint before is still there"):
        list(train(small(), toy(), toy(), RECIPE, checkpoint=path))
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_a_place_that_cannot_be_written_is_told_before_the_first_epoch(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ValueError, match=r"run\.pt cannot be written \((Not a directory|File exists)\)"):
        train(small(), toy(), toy(), RECIPE, checkpoint=tmp_path / "file" / "run.pt")
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\)"):
        train(small(), toy(), toy(), RECIPE, checkpoint=tmp_path)


def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path):
    """The system's own error in place of a planted one: files are limited to 1 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(ValueError, match=r"cannot be written \(File too large\).*nothing is there yet"):
            list(train(small(), toy(), toy(), RECIPE, checkpoint=tmp_path / "run.pt"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [*tmp_path.iterdir()]


def test_what_is_on_disk_is_plain(tmp_path):
    stopped(tmp_path / "run.pt")
    state = torch.load(io.BytesIO((tmp_path / "run.pt").read_bytes()), weights_only=True)
    assert (
        state["recipe"]["batch"] == 16 and state["rows"][0]["epoch"] == 1 and state["training"]["count"] == 90
    )


def test_the_recipe_in_words_tells_recipes_apart():
    images = torch.rand(4, 3, 5, 5)
    one = Recipe(1, augment=(augmentation.colour_pca(images), augmentation.crop(2))).describe()
    assert one == Recipe(1, augment=(augmentation.colour_pca(images), augmentation.crop(2))).describe()
    for other in (augmentation.colour_pca(images * 0.5), augmentation.colour_pca(images.flip(1))):
        assert Recipe(1, augment=(other, augmentation.crop(2))).describe() != one
    assert one["augment"][1] == "augmentation._crop(pad=2)"
    with seeded(0):
        assert Recipe(1).describe() == Recipe(1).describe() != Recipe(1, mixup=0.2).describe()
