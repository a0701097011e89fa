"""One training run in several processes, each with its own device, as ``torchrun`` or Slurm start them.

Every process draws the same batches and takes its part of each; gradients are averaged, sums added up. A process
alone is a world of one, and pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from cnnlib.models import DropPath, StochasticDepthBlock


@dataclass(frozen=True)
class World:
    """The processes of a run. ``rank`` counts from 0; only rank 0 writes and prints."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Is this the process that writes?"""
        return self.rank == 0

    def shard(self, batch: Tensor) -> Tensor:
        """This process's share of the positions in a batch: all shares differ by one at most."""
        return batch[self.rank :: self.size]

    def all_reduce(self, sums: Tensor) -> Tensor:
        """The same tensor of sums, added up over all processes."""
        if self.size > 1:
            dist.all_reduce(sums)
        return sums

    def highest(self, value: int) -> int:
        """The highest of the numbers that the processes have."""
        if self.size == 1:
            return value
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        found = torch.tensor(value, device=device)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def gather(self, value: object) -> list:
        """What each process has, in the order of their ranks."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def sync_buffers(self, net: nn.Module) -> None:
        """All take the running statistics of rank 0, so that all validate one and the same network."""
        if self.size > 1:
            for buffer in net.buffers():
                dist.broadcast(buffer, 0)

    def no_sync(self, wrapped: nn.Module) -> AbstractContextManager:
        """Inside, gradients of what ``wrap`` gave are not averaged yet: more are to be added to them."""
        return wrapped.no_sync() if self.size > 1 else nullcontext()

    def wrap(self, net: nn.Module, sync_norm: bool) -> nn.Module:
        """What to call in place of ``net`` in training: gradients are averaged over all processes.

        Raises ``ValueError`` for ``sync_norm`` on the CPU, where torch has none.
        """
        if self.size == 1:
            return net
        device = next(net.parameters()).device
        if sync_norm:
            if device.type == "cpu":
                raise ValueError(
                    "sync_norm=True: torch norms over processes on GPUs only; leave it out on the CPU"
                )
            nn.SyncBatchNorm.convert_sync_batchnorm(net)
        # Layers that are left out at random have no gradient in some steps, and DDP must look for them.
        random = any(isinstance(module, StochasticDepthBlock | DropPath) for module in net.modules())
        ids = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(net, device_ids=ids, find_unused_parameters=random)


def current_world() -> World:
    """The processes of this run; of one alone if none has been joined."""
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World()


@contextmanager
def process_group(device: str | None) -> Iterator[str | None]:
    """Inside, this process is one of the run that RANK and WORLD_SIZE speak of; gives the device it is to use.

    ``torchrun`` sets both, or you do. On GPUs each process of a machine has its own, number LOCAL_RANK (NCCL); on the
    CPU they share it (gloo). Without them it gives ``device`` back. Raises ``ValueError`` where several processes
    were started and not told of each other: each would train alone, into one and the same file.
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1 and "TORCHELASTIC_RUN_ID" not in os.environ:
        tasks = max(_number("SLURM_STEP_NUM_TASKS", 1), _number("OMPI_COMM_WORLD_SIZE", 1))
        if tasks > 1:
            raise ValueError(
                f"{tasks} processes were started that know nothing of each other: start one a machine that starts "
                "torchrun, or set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT in each"
            )
        yield device
        return
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ValueError(
            f"WORLD_SIZE={size} without {' and '.join(missing)}: set all of them, or use torchrun"
        )
    if not 0 <= _number("RANK", 0) < size:
        raise ValueError(f"RANK={os.environ['RANK']}: need 0 to {size - 1}, as WORLD_SIZE={size}")
    local = _number("LOCAL_RANK", _number("RANK", 0) % max(1, torch.cuda.device_count()))
    gpu = device in (None, "cuda") and torch.cuda.is_available()
    own = f"cuda:{local}" if gpu and torch.cuda.device_count() > 1 else device
    if gpu:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield own
    finally:
        dist.destroy_process_group()


def _number(name: str, default: int) -> int:
    """The whole number in an environment variable."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise ValueError(f"{name}={text!r}: need a whole number")
    return int(text)
