"""One training run in several processes, each with its own device, as ``torchrun`` starts them.

Every process draws the same batches and takes its part of each; gradients are averaged, sums added up. A process
alone is a world of one, and pays nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Under ``torchrun``, inside, this process is one of the run; gives the name of the device it is to use.

    On GPUs each process of a machine has its own (NCCL), on the CPU they share it (gloo). Without ``torchrun``
    it gives ``device`` back.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    gpu = device in (None, "cuda") and torch.cuda.is_available()
    own = f"cuda:{os.environ['LOCAL_RANK']}" if gpu and torch.cuda.device_count() > 1 else device
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield own
    finally:
        dist.destroy_process_group()
