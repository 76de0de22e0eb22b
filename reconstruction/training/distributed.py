"""Several processes that train one model, started by torchrun on one machine. A single process is a world of size 1."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from reconstruction.data.batch import Batch
from reconstruction.models.base import Reconstructor

#: For a process that hangs; when one dies, torchrun ends all of them. It must be long, because the others wait while the first
#: process simulates pairs.
TIMEOUT = timedelta(hours=2)


def best_device() -> torch.device:
    """Return the NVIDIA GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class World:
    """One of the processes that train together. Only the first one validates, writes files and reports."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=best_device)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def broadcast(self, text: str) -> str:
        """Return the ``text`` of the first process in every process; the others wait for it."""
        if self.size == 1:
            return text
        content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=self.device)
        length = torch.tensor([len(content)], device=self.device)
        dist.broadcast(length, 0)
        content = content if self.first else torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        dist.broadcast(content, 0)
        return bytes(content.tolist()).decode()

    def agree(self, loss: float, seconds: float, *, stop: bool = False) -> tuple[float, bool, float]:
        """Return the mean loss, whether any process was asked to stop, and the time of the first process in seconds."""
        if self.size == 1:
            return loss, stop, seconds
        numbers = torch.tensor([loss / self.size, stop, seconds if self.first else 0.0], dtype=torch.float64)
        numbers = numbers.to(self.device)
        dist.all_reduce(numbers)
        total, stops, clock = numbers.tolist()
        return total, stops > 0, clock

    def from_first(self, number: float) -> float:
        """Return the ``number`` of the first process in every process."""
        return self.agree(0.0, number)[2]

    def learner(self, model: Reconstructor) -> nn.Module:
        """Return the module that computes the loss of a batch.

        Gradients are averaged over all processes. All processes start with the weights of the first one.
        """
        whole = LossOf(model)
        if self.size == 1:
            return whole
        # On CPUs every process has its own batch statistics, and those of the first process are saved.
        if self.device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(whole)
        # Some losses do not use every weight in every step.
        return DistributedDataParallel(whole, forward_sync_buffers=False, find_unused_parameters=True)


class LossOf(nn.Module):
    """A reconstructor whose call is its loss: DistributedDataParallel averages only the gradients of calls."""

    def __init__(self, model: Reconstructor) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch, a scalar."""
        return self.model.loss(batch)


@contextmanager
def join() -> Iterator[World]:
    """Join the processes that torchrun started; without torchrun, return a world of size 1.

    An error ends this process, and torchrun then ends the others. This process must not wait for them.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    rank, device = int(os.environ["RANK"]), best_device()
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    yield World(rank, size, device)
    dist.destroy_process_group()
