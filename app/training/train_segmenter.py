"""Training of the learned segmenter, on what a model makes of synthetic cells seen through the twin.

One command trains, and the same command with ``--resume`` continues after any interruption. The folder then holds
``cells.safetensors``, which the segmenter reads. ``run`` in it holds the reconstructions and the last checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import safetensors
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch.optim.swa_utils import AveragedModel

from acquisition.archive.atomic_files import write_bytes
from acquisition.patterns.sources import tissue_in
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import attach
from app.signals import stop_on_signal
from app.training.train import Progress, twin_data
from drivers.base import SpeckleScopeError
from reconstruction.base import ReconstructionError
from reconstruction.data.simulation import cores, simulated_pool
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.models.model import load_model
from reconstruction.segmentation.learned.maps import labels_of, maps_of
from reconstruction.segmentation.learned.network import (
    SegmenterNetwork,
    SegmenterShape,
    in_torch,
    network_input,
    predicted_maps,
    save_network,
)
from reconstruction.segmentation.scores import ap50
from reconstruction.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from reconstruction.training.config import TrainConfig, learning_rate_factor
from reconstruction.training.loop import TrainingStoppedError
from reconstruction.training.resume_state import step_seed, warm_average
from reconstruction.training.run import RUN

#: The file of the trained segmenter, and that of the reconstructions it learns from.
WEIGHTS: Final = "cells.safetensors"
_RECONSTRUCTIONS: Final = "reconstructions.safetensors"
_FACTS: Final = "facts"
#: Seed of the validation scenes, and their number; no training uses a seed as large.
_VALIDATION_SEED: Final = 20_000_003
_VALIDATION_SCENES: Final = 24
#: One frame in so many shows no object: a flat pattern.
_EMPTY_EVERY: Final = 12
_RATE: Final = 1e-3
#: Fraction of the training images that are the true phase instead of its reconstruction.
_TRUE_PHASE: Final = 0.15
_REMEDY: Final = "free disk space, then resume with --resume"


@dataclass(frozen=True, kw_only=True)
class SegmenterJob:
    """What is trained, and where it is written.

    Parameters
    ----------
    folder : Path
        Folder of the segmenter.
    scenes : int
        Scenes of synthetic tissue that are simulated.
    models : tuple of str
        Models that reconstruct them, one scene each in turn; by default that of the instrument.
    training : TrainConfig
        Steps or minutes, batch, rate and seed.
    command : str
        The command line, which the weights keep.
    shape : SegmenterShape
        Widths of the network.
    resume : bool
        Whether to continue the run in ``folder``.
    stop : callable
        Called after every step; returns whether to end here.
    """

    folder: Path
    scenes: int
    models: tuple[str, ...] = ()
    training: TrainConfig
    command: str
    shape: SegmenterShape = field(default_factory=SegmenterShape)
    resume: bool = False
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True, eq=False, kw_only=True)
class Reconstructions:
    """What a segmenter learns from.

    Parameters
    ----------
    phase_rad, truth_rad : ndarray of float16, shape (n, grid, grid)
        Reconstructed and true phase in radians.
    labels : ndarray of uint16, shape (n, grid, grid)
        The true cells; none in frames of a flat pattern.
    mask : ndarray of bool, shape (grid, grid)
        The fibre's disc.
    """

    phase_rad: NDArray[np.float16]
    truth_rad: NDArray[np.float16]
    labels: NDArray[np.uint16]
    mask: NDArray[np.bool_]


def train_segmenter(config: InstrumentConfig, job: SegmenterJob, on_progress: Progress) -> dict[str, object]:
    """Simulate scenes, reconstruct them by the models, train on them, and write the segmenter.

    Returns
    -------
    dict
        Where the weights are, how many bytes they have, and ``ap50`` on validation scenes.

    Raises
    ------
    ReconstructionError
        The run cannot be resumed, its files cannot be written, or the models have different grids.
    TrainingStoppedError, InterruptionError
        ``job.stop`` or a signal has requested it; the checkpoint is written.
    """
    run = job.folder / RUN
    names = job.models or (config.model,)
    training = reconstructions(config, names, run / _RECONSTRUCTIONS, (job.scenes, job.training.seed), on_progress)
    validation_path = run / f"validation-{_RECONSTRUCTIONS}"
    validation = reconstructions(config, names, validation_path, (_VALIDATION_SCENES, _VALIDATION_SEED), on_progress)
    trainer = _Trainer(job, training, run / CHECKPOINT)
    with stop_on_signal() as asked:
        try:
            network = trainer.train(on_progress, lambda: job.stop() or asked.is_set())
        except TrainingStoppedError as stopped:
            asked.check(f"the run in {job.folder} is kept at step {stopped.step}; continue with the same command and --resume")
            raise
    score = mean_ap50(network, validation)
    facts = {
        "instrument": fibre_name(config.twin.optics),
        "model": ", ".join(names),
        "scenes": job.scenes,
        "command": job.command,
        "steps": trainer.steps,
        "minutes": round(trainer.seconds / 60, 1),
        "ap50_validation": round(score, 4),
    }
    path = job.folder / WEIGHTS
    save_network(path, network, facts)
    return {"weights": str(path), "bytes": path.stat().st_size, "ap50": score, **facts}


def segmenter_shape(options: Sequence[str]) -> SegmenterShape:
    """Return the shape of a network from options ``base_channels=24`` and ``multipliers=1,2,4,8``.

    Raises
    ------
    SpeckleScopeError
        There is no such option, or its value is impossible.
    """
    values: dict[str, Any] = {}
    try:
        for option in options:
            name, _, text = option.partition("=")
            if name not in {item.name for item in fields(SegmenterShape)}:
                raise SpeckleScopeError(f"a segmenter has no option {name!r}; it has base_channels and multipliers")
            values[name] = tuple(map(int, text.split(","))) if name == "multipliers" else int(text)
        return SegmenterShape(**values)
    except ValueError as error:
        raise SpeckleScopeError(f"--set {' '.join(options)}: {error}") from error


def reconstructions(
    config: InstrumentConfig, names: Sequence[str], path: Path, scenes: tuple[int, int], on_progress: Progress
) -> Reconstructions:
    """Return reconstructed scenes, so many of a seed, that are kept in a file; simulate them if it does not hold them yet."""
    models = [load_model(name) for name in names]
    for model in models:
        attach(model, config.response, fibre_name(config.twin.optics))
    model = models[0]
    if any(each.grid_px != model.grid_px for each in models):
        raise ReconstructionError(f"the models {', '.join(names)} have different grids; choose models with the same grid")
    count, seed = scenes
    data = twin_data(config, "tissue", count, seed, model.grid_px)
    text = json.dumps(
        {"data": asdict(data), "models": [each.id for each in models], "empty_every": _EMPTY_EVERY}, sort_keys=True
    )
    if (kept := _kept(path, text, model.mask)) is not None:
        return kept
    engines = [TorchEngine(each) for each in models]
    empty = math.ceil(count / _EMPTY_EVERY)
    total = count + empty
    shape = (total, model.grid_px, model.grid_px)
    phase, truth, labels = np.zeros(shape, np.float16), np.zeros(shape, np.float16), np.zeros(shape, np.uint16)
    blank = twin_data(config, "blank", empty, seed, model.grid_px)
    done = 0
    for each in (data, blank):
        with simulated_pool(each, cores(), lambda made: on_progress("simulating scenes", done + made, total, "")) as pool:  # noqa: B023
            for index in range(pool.ready):
                engine = engines[index % len(engines)]
                phase[done] = np.where(model.mask, engine.run(np.array(pool.speckle[index]), pool.reference), 0)
                truth[done] = pool.phase_rad[index]
                if each is data:
                    whole = tissue_in((data.optics.image_px,) * 2, seed, index).labels
                    labels[done] = cv2.resize(whole, shape[1:], interpolation=cv2.INTER_NEAREST_EXACT)
                done += 1
                on_progress("reconstructing scenes", done, total, "")
    arrays = {"phase": phase, "truth": truth, "labels": labels}
    write_bytes(path, safetensors.numpy.save(arrays, {_FACTS: text}), _REMEDY, ReconstructionError)
    return Reconstructions(phase_rad=phase, truth_rad=truth, labels=labels, mask=model.mask)


def mean_ap50(network: SegmenterNetwork, scenes: Reconstructions, min_area_px: int = 12) -> float:
    """Return the mean average precision at an IoU of 0.5 of a network, over scenes."""
    scores = []
    run = in_torch(network)
    for phase, truth in zip(scenes.phase_rad, scenes.labels, strict=True):
        maps = predicted_maps(run, network.multiple_px, phase.astype(np.float32), scenes.mask)
        labels, _ = labels_of(maps, 0.5, min_area_px)
        scores.append(ap50(labels.astype(np.uint16), np.where(scenes.mask, truth, 0).astype(np.uint16)))
    return float(np.mean(scores))


class _Trainer:
    """The loop: every random number of a step follows from seed and step, so a resumed run ends with the same weights."""

    def __init__(self, job: SegmenterJob, data: Reconstructions, checkpoint: Path) -> None:
        config = job.training
        self._job, self._data, self._path = job, data, checkpoint
        self._maps = np.stack([maps_of(labels) for labels in data.labels]).astype(np.float16)
        torch.manual_seed(config.seed)
        self._network = SegmenterNetwork(job.shape)
        self._average = AveragedModel(self._network, avg_fn=warm_average(config.ema_decay), use_buffers=True)
        rate = config.learning_rate or _RATE
        self._optimizer = torch.optim.AdamW(self._network.parameters(), rate, weight_decay=config.weight_decay)
        self._rate = rate
        self.steps = 0
        self.seconds = 0.0
        data_source = {"scenes": job.scenes, "models": list(job.models)}
        self._configuration = {"training": config.to_dict(), **data_source, "shape": asdict(job.shape)}
        if job.resume and checkpoint.is_file():  # else it was stopped before its first step
            self._restore()

    def train(self, on_progress: Progress, must_stop: Callable[[], bool]) -> SegmenterNetwork:
        """Train to the end, and return the averaged network in evaluation mode; see :func:`train_segmenter`."""
        config = self._job.training
        started_s = time.monotonic() - self.seconds
        while not self._is_done():
            loss = self._step()
            self.steps += 1
            self.seconds = time.monotonic() - started_s
            if not math.isfinite(loss):
                raise ReconstructionError(f"the loss is {loss} at step {self.steps}; lower the learning rate with --rate")
            on_progress("training", *self._done(), f"loss {loss:.3f}")
            stop = must_stop()
            if stop or self._is_done() or self.steps % config.checkpoint_every == 0:
                self._save()
            if stop and not self._is_done():
                raise TrainingStoppedError(self.steps)
        averaged = self._average.module
        assert isinstance(averaged, SegmenterNetwork)
        return averaged.eval()

    def _done(self) -> tuple[int, int]:
        config = self._job.training
        return (round(self.seconds), round(60 * config.minutes)) if config.minutes else (self.steps, config.steps)

    def _is_done(self) -> bool:
        done, total = self._done()
        return done >= total

    def _step(self) -> float:
        config = self._job.training
        factor = learning_rate_factor(self.steps, config, self.seconds)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * factor
        seed = step_seed(config.seed, self.steps)
        x, maps = self._batch(np.random.default_rng(seed))
        torch.manual_seed(seed)
        self._network.train()
        loss = self._network.loss(x, maps)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), config.gradient_clip)
        self._optimizer.step()
        self._average.update_parameters(self._network)
        return float(loss.detach())

    def _batch(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and maps of random images: turned, mirrored, of another contrast, with noise; a few are true phases."""
        data = self._data
        xs, targets = [], []
        for index in rng.integers(0, len(data.labels), self._job.training.batch):
            source = data.truth_rad if rng.random() < _TRUE_PHASE else data.phase_rad
            phase = source[index].astype(np.float32) * np.float32(rng.uniform(0.7, 1.3))
            phase += rng.standard_normal(phase.shape, np.float32) * np.float32(rng.uniform(0, 0.05))
            x, target = network_input(phase, data.mask), self._maps[index].astype(np.float32)
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            both = [np.rot90(image, turns, (1, 2))[:, :, :: -1 if mirrored else 1] for image in (x, target)]
            xs.append(both[0])
            targets.append(both[1])
        return torch.from_numpy(np.stack(xs)), torch.from_numpy(np.stack(targets))

    def _save(self) -> None:
        tensors = {f"network/{key}": value for key, value in self._network.state_dict().items()}
        tensors |= {f"average/{key}": value for key, value in self._average.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{key}": value for key, value in moments.items()}
        values = {"steps": self.steps, "seconds": self.seconds, "configuration": self._configuration}
        write_checkpoint(self._path, tensors, values)

    def _restore(self) -> None:
        tensors, values = read_checkpoint(self._path)
        if values.get("configuration") != json.loads(json.dumps(self._configuration)):
            raise ReconstructionError(
                f"the run in {self._job.folder} was started with other settings; give the same ones, or choose a new folder"
            )
        parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, key = name.partition("/")
            parts[part][key] = value
        self._network.load_state_dict(parts["network"])
        self._average.load_state_dict(parts["average"])
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts["optimizer"].items():
            number, _, key = name.partition("/")
            moments.setdefault(int(number), {})[key] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.steps, self.seconds = int(values["steps"]), float(values["seconds"])


def _kept(path: Path, text: str, mask: NDArray[np.bool_]) -> Reconstructions | None:
    """Return the reconstructions of a file if they are those that a text describes."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            if _facts(file.metadata()) != text:
                return None
            arrays = {key: file.get_tensor(key) for key in ("phase", "truth", "labels")}
    except (OSError, safetensors.SafetensorError, KeyError):
        return None
    return Reconstructions(phase_rad=arrays["phase"], truth_rad=arrays["truth"], labels=arrays["labels"], mask=mask)


def _facts(metadata: Mapping[str, str] | None) -> str:
    return (metadata or {}).get(_FACTS, "")
