"""Several processes that train one model, started by torchrun on one machine; a single process is a world of one."""

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
from reconstruction.models.reconstructor import Reconstructor

#: A process that dies ends all at once (torchrun sees to it); this is for one that hangs. The others wait while the first one
#: simulates pairs, so it cannot be short.
TIMEOUT = timedelta(hours=2)


def best_device() -> torch.device:
    """Return a CUDA card where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class World:
    """A process among all that train together. Only the first one validates, writes and reports."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=best_device)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def tell(self, text: str) -> str:
        """Return the first process's ``text`` in every process; the others wait for it."""
        if self.size == 1:
            return text
        content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=self.device)
        length = torch.tensor([len(content)], device=self.device)
        dist.broadcast(length, 0)
        content = content if self.first else torch.zeros(int(length), dtype=torch.uint8, device=self.device)
        dist.broadcast(content, 0)
        return bytes(content.tolist()).decode()

    def agree(self, loss: float, stop: bool, seconds: float) -> tuple[float, bool, float]:
        """Return the mean loss, whether anybody wants to stop, and the first process's clock."""
        if self.size == 1:
            return loss, stop, seconds
        numbers = torch.tensor([loss / self.size, stop, seconds if self.first else 0.0], dtype=torch.float64)
        numbers = numbers.to(self.device)
        dist.all_reduce(numbers)
        total, stops, clock = numbers.tolist()
        return total, stops > 0, clock

    def from_first(self, number: float) -> float:
        """Return the first process's number in every process."""
        return self.agree(0.0, False, number)[2]

    def learner(self, model: Reconstructor) -> nn.Module:
        """Return what gives the loss of a batch; gradients are averaged over all processes, weights start as the first's."""
        whole = LossOf(model)
        if self.size == 1:
            return whole
        if self.device.type == "cuda":  # elsewhere every process has batch statistics of its own, and the first one's are kept
            nn.SyncBatchNorm.convert_sync_batchnorm(whole)
        # Not every loss uses every weight in every step.
        return DistributedDataParallel(whole, forward_sync_buffers=False, find_unused_parameters=True)


class LossOf(nn.Module):
    """A reconstructor whose call is its loss, because only calls are watched by DistributedDataParallel."""

    def __init__(self, model: Reconstructor) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> torch.Tensor:
        """Loss of a batch, a scalar."""
        return self.model.loss(batch)


@contextmanager
def join() -> Iterator[World]:
    """Join the processes that torchrun started, if it did.

    An error goes up and ends this process, and torchrun then ends the others; it must not wait for them here.
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
