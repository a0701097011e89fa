"""Two processes against one: same batches, same sums, one that writes; and a process that is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toys
from torch import nn
from toys import toy

from cnnlib.training import checkpoint, distributed
from cnnlib.training.distributed import World
from cnnlib.training.epoch_pass import EpochPass, shuffled_batches
from cnnlib.training.evaluation import evaluate, seeded
from cnnlib.training.loop import train
from cnnlib.training.recipe import PiecewiseLinear, Recipe, check_batch

HERE = os.pathsep.join(map(os.path.dirname, (__file__, toys.__file__)))
RECIPE = Recipe(4, PiecewiseLinear((0, 1), (0.2, 0.02)), 16)
LONG = Recipe(400, PiecewiseLinear((0, 1), (0.05, 0.02)), 16)


def net():
    """Without batch normalisation, whose statistics would be of half a batch in each process."""
    with seeded(3):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
        )


WORKER = """
import json, os, sys, torch
sys.path[:0] = sys.argv[2].split(os.pathsep)
import test_distributed as t
from toys import toy
from cnnlib.training import distributed
from cnnlib.training import loop as training
torch.set_num_threads(1)
training.LOSS_CHECK_INTERVAL = 4  # of six steps an epoch: to look at the losses on the way changes none
training.AGREEMENT_INTERVAL, training.SAVE_INTERVAL = 2, 0  # nor does a checkpoint on the way
with distributed.process_group("cpu"):
    world, net, out = distributed.current_world(), t.net(), sys.argv[1]
    seen = []
    judge, recipe = toy(41, seed=1), getattr(t, sys.argv[3])
    rows = training.train(net, t.Spied(toy(), seen), judge, recipe, checkpoint=out + "/run.pt")
    values = []
    for row in rows:
        values.append([row.epoch, row.train_loss, row.train_acc, row.valid_loss, row.valid_acc, row.lr])
    weights = [value.tolist() for value in net.state_dict().values()]
    with open(f"{out}/{world.rank}.json", "w") as file:
        json.dump({"rank": world.rank, "size": world.size, "rows": values, "weights": weights, "seen": seen}, file)
"""


class Spied:
    """Images that note which of them are asked for."""

    def __init__(self, images, seen):
        self.images, self.seen = images, seen

    def __len__(self):
        return len(self.images)

    def __getattr__(self, name):
        return getattr(self.images, name)

    def to(self, device):
        return self

    def batches(self, parts, seed):
        self.seen += [part.tolist() for part in parts]
        return self.images.batches(parts, seed)


def torchrun(folder, recipe, **options):
    script = folder / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [*command, str(script), str(folder), HERE, recipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    job = torchrun(folder, "RECIPE")
    _, err = job.communicate(timeout=300)
    assert job.returncode == 0, err
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)], folder


def test_two_processes_give_the_loss_curve_of_one(pair):
    alone = net()
    rows = list(train(alone, toy(), toy(41, seed=1), RECIPE))
    for side in pair[0]:
        for mine, row in zip(side["rows"], rows, strict=True):
            assert mine == pytest.approx(
                [row.epoch, row.train_loss, row.train_acc, row.valid_loss, row.valid_acc, row.lr], rel=2e-4
            )
        for value, own in zip(side["weights"], alone.state_dict().values(), strict=True):
            assert torch.allclose(torch.tensor(value), own, atol=2e-4)
    assert pair[0][0]["weights"] == pair[0][1]["weights"]


def test_every_image_is_with_one_process_once_an_epoch(pair):
    (one, two), _ = pair
    assert (one["rank"], two["rank"], one["size"]) == (0, 1, 2)
    steps = len(one["seen"]) // 4
    for epoch in range(4):
        mine, other = (side["seen"][epoch * steps : (epoch + 1) * steps] for side in (one, two))
        assert all(abs(len(a) - len(b)) <= 1 for a, b in zip(mine, other, strict=True))
        assert sorted(sum(mine + other, [])) == list(range(90))


def test_only_the_first_process_writes_and_one_process_can_go_on_from_it(pair):
    """The checkpoint of two is that of one: a single process finds the run finished."""
    (one, _), folder = pair
    assert sorted(path.name for path in folder.iterdir()) == ["0.json", "1.json", "run.pt", "worker.py"]
    again = net()
    rows = list(train(again, toy(), toy(41, seed=1), RECIPE, checkpoint=folder / "run.pt"))
    assert [row.train_loss for row in rows] == [row[1] for row in one["rows"]]
    assert evaluate(again, toy(41, seed=1))[0] == pytest.approx(rows[-1].valid_loss, rel=1e-5)


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_process_ends_the_run_and_leaves_a_checkpoint(tmp_path):
    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs /proc to find the processes")
    job = torchrun(tmp_path, "LONG")
    while not (tmp_path / "run.pt").exists() or not checkpoint.load(tmp_path / "run.pt")["rows"]:
        assert job.poll() is None, job.stderr.read()
        time.sleep(0.05)
    ranks = children(job.pid)
    os.kill(ranks[-1], signal.SIGKILL)
    _, err = job.communicate(timeout=120)
    assert job.returncode != 0 and "worker.py FAILED" in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks)
    state = checkpoint.load(tmp_path / "run.pt")
    done = state["rows"][-1]["epoch"]
    assert 1 <= done < 400 and not (tmp_path / "0.json").exists()
    rows = train(net(), toy(), toy(41, seed=1), LONG, checkpoint=tmp_path / "run.pt")
    assert [next(rows).epoch for _ in range(done + 1)][-1] == done + 1  # it goes on


def test_shares_make_up_the_batch():
    whole = torch.randperm(17)
    shares = [World(rank, 3).shard(whole) for rank in range(3)]
    assert sorted(map(len, shares)) == [5, 6, 6]
    assert sorted(torch.cat(shares).tolist()) == list(range(17))
    assert torch.equal(World().shard(whole), whole)


@pytest.mark.parametrize(("first", "second"), [(2, 1), (1, 2)])
def test_a_pass_of_some_processes_goes_on_with_others(first, second):
    """90 images in batches of 4 leave 2: too few for two processes, so the last batches differ."""
    recipe, cpu = Recipe(1, batch=4), torch.device("cpu")
    passes = [EpochPass(toy(), recipe, World(0, size), cpu, 0) for size in (first, second)]
    assert {len(part.indices) for part in passes} == {22, 23}
    old, new = passes
    state = {"done": 20, "sums": torch.ones_like(old.sums), "random": [old.random_state] * first}
    new.restore(state)
    assert new.done == 20 and new.sums.sum() == 40
    learned, rest = torch.cat(old.indices[:20]), torch.cat(new.indices[20:])
    assert sorted(torch.cat([learned, rest]).tolist()) == list(range(90))


def test_no_process_is_left_with_one_image_or_none():
    for n in range(20, 60):
        parts = shuffled_batches(n, 10, 3, torch.Generator().manual_seed(0))
        assert sorted(torch.cat(parts).tolist()) == list(range(n))
        assert min(len(World(rank, 3).shard(part)) for part in parts for rank in range(3)) >= 2


def test_batches_too_small_for_the_processes_are_refused():
    normed = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with pytest.raises(
        ValueError, match="batch=5: batch normalisation needs two images .* in each of 3 parts"
    ):
        check_batch(normed, Recipe(1, batch=5), 100, processes=3)
    with pytest.raises(ValueError, match="batch=2: need one image in each of 3 parts"):
        check_batch(nn.Linear(2, 2), Recipe(1, batch=2), 100, processes=3)


def test_norms_over_processes_need_gpus():
    with pytest.raises(ValueError, match="sync_norm=True: torch norms over processes on GPUs only"):
        World(0, 2).wrap(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), sync_norm=True)
    alone = nn.BatchNorm2d(2)
    assert World().wrap(alone, sync_norm=True) is alone


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with distributed.process_group("cpu") as device:
        assert (
            device == "cpu"
            and distributed.current_world() == World(0, 1)
            and distributed.current_world().is_main
        )


WORDS = [
    "train",
    "lenet_small",
    "--data",
    "mnist",
    "--device",
    "cpu",
    "--epochs",
    "0.05",
    "--accumulate",
    "2",
]


def test_two_processes_started_by_hand_join_one_run(tmp_path):
    """As a script of Slurm does that starts a task a device: the page shows these variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = os.environ | {
        "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    files = ["--checkpoint", str(tmp_path / "run.pt"), "--log", str(tmp_path / "log.jsonl")]
    jobs = [
        subprocess.Popen(
            [sys.executable, "-m", "cnnlib", *WORDS, *files], env=shared | {"RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    (first, err), (second, more) = (job.communicate(timeout=300) for job in jobs)
    assert [job.returncode for job in jobs] == [0, 0], err + more
    assert first.count("epoch 1/0.05") == 1 and second == ""
    state = checkpoint.load(tmp_path / "run.pt")
    assert len(state["rows"]) == 1
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows == state["rows"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0"}, "WORLD_SIZE=2 without MASTER_ADDR and MASTER_PORT"),
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}, "RANK=2: need 0 to 1"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE='two': need a whole number"),
        ({"SLURM_STEP_NUM_TASKS": "8"}, "8 processes were started that know nothing of each other"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "2 processes were started"),
    ],
)
def test_processes_that_were_not_told_of_each_other_are_refused(monkeypatch, variables, words):
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words), distributed.process_group("cpu"):
        pass


def test_the_command_line_trains_under_torchrun(tmp_path):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "cnnlib",
    ]
    words = ["train", "lenet_small", "--data", "mnist", "--device", "cpu", "--epochs", "0.05", "--checkpoint"]
    done = subprocess.run(
        [*command, *words, str(tmp_path / "run.pt")], capture_output=True, text=True, timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("device: cpu") == 1 and done.stdout.count("epoch 1/0.05") == 1
    assert checkpoint.load(tmp_path / "run.pt")["rows"][0]["epoch"] == 1
