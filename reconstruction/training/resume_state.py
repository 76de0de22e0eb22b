"""The state of a training run: everything that a resumed run needs to give the same result as an uninterrupted one.

No random generator is stored. The order of the pairs follows from seed and epoch, and all random numbers of a step follow from
seed and step (:func:`step_seed`). It is therefore enough to keep counts, weights, their average and the optimizer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.swa_utils import AveragedModel

from reconstruction.data.batch import Pairs
from reconstruction.data.pairs import shuffled_batches
from reconstruction.models.base import Reconstructor
from reconstruction.training.checkpoint import damaged
from reconstruction.training.config import FinishReason, TrainConfig, TrainReport, ValidationProgress


class TrainState:
    """The state of a run between two steps.

    Parameters
    ----------
    model : Reconstructor
        On its device; trained in place.
    config : TrainConfig
        How to train.
    """

    def __init__(self, model: Reconstructor, config: TrainConfig) -> None:
        self.model = model
        self.average = AveragedModel(model, avg_fn=warm_average(config.ema_decay), use_buffers=True)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.rate = config.learning_rate or model.learning_rate
        self.optimizer = torch.optim.AdamW(trained, self.rate, weight_decay=config.weight_decay)
        self.epoch = 0
        self.position = 0
        self.ready = 0
        self.progress = ValidationProgress()
        self.report = TrainReport()
        #: Averaged weights of the best validation; kept only if early stop is on.
        self.best: dict[str, torch.Tensor] = {}

    def batches(self, pairs: Pairs, config: TrainConfig) -> Iterator[NDArray[np.int64]]:
        """Yield batches of indices without end, from the current position of the run."""
        while True:
            if self.position == 0:
                self.ready = pairs.ready
            order = shuffled_batches(self.ready, config.batch, np.random.default_rng([config.seed, self.epoch]))
            for indices in itertools.islice(order, self.position, None):
                self.position += 1
                yield indices
            self.epoch += 1
            self.position = 0

    def keep_best(self) -> None:
        """Keep a copy of the current averaged weights."""
        self.best = {key: value.clone() for key, value in self.average.module.state_dict().items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return all tensors of a checkpoint, by name."""
        parts = {"model": self.model.state_dict(), "average": self.average.state_dict(), "best": self.best}
        tensors = {f"{part}/{key}": value for part, state in parts.items() for key, value in state.items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{key}": value for key, value in moments.items()}
        return tensors

    def values(self) -> dict[str, object]:
        """Return all other values of a checkpoint, in plain types."""
        counts = {"epoch": self.epoch, "position": self.position, "ready": self.ready}
        return {**counts, "watch": asdict(self.progress), "report": self.report.to_dict()}

    def restore(self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
        """Return to the state that :meth:`tensors` and :meth:`values` describe; a run that was stopped goes on.

        Raises
        ------
        ReconstructionError
            The tensors or values belong to another network.
        """
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "average": {}, "best": {}, "optimizer": {}}
        try:
            for name, value in tensors.items():
                part, key = name.split("/", 1)
                parts[part][key] = value
            self.model.load_state_dict(parts["model"])
            self.average.load_state_dict(parts["average"])
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in parts["optimizer"].items():
                number, key = name.split("/")
                moments.setdefault(int(number), {})[key] = value
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            self.best = {key: value.to(self.model.inside.device) for key, value in parts["best"].items()}
            self.epoch = int(values["epoch"])
            self.position = int(values["position"])
            self.ready = int(values["ready"])
            self.progress = ValidationProgress(**values["watch"])
            self.report = TrainReport.from_dict(values["report"])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise damaged("the checkpoint", str(error).splitlines()[0]) from error
        if self.report.finish_reason is FinishReason.STOPPED:
            self.report.finish_reason = None


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Return the seed of all random numbers of one step in one process: those of the pairs and those of the loss."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def warm_average(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Return an exponential average whose memory grows with the number of updates, so that early weights are soon forgotten."""

    def average(old: torch.Tensor, new: torch.Tensor, updates: torch.Tensor | int) -> torch.Tensor:
        count = float(updates)
        return old.lerp(new, 1 - min(decay, (1 + count) / (10 + count))) if old.is_floating_point() else new

    return average
