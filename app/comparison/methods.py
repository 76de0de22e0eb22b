"""Which methods enter the table: the baseline, every model that fits the fibre, and what works without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_rig
from app.instrument.responses import attach
from app.training.engine_check_frames import frames_for
from app.training.train import twin_data
from calibration import retune
from calibration.fibre.response import FibreResponse
from calibration.registration.from_pairs import register_pairs
from calibration.retune import ReferencePairs
from drivers.clock import VirtualClock
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.data.dataset import SpecklePairs
from reconstruction.data.pairs import from_archive
from reconstruction.data.simulation import cores, simulated_pool
from reconstruction.engines.base import Counts
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import open_engine
from reconstruction.evaluation.comparison import Entry
from reconstruction.evaluation.ridge_baseline import RidgeBaseline
from reconstruction.few_pair.few_pair import FewPair
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import CARD, SHIPPED, Model, load_model, shipped_models
from reconstruction.retrieval.gradient import RetrievalConfig, retrieve

Phase = NDArray[np.float32]

REFERENCES = 8
#: Draw of the baseline's training pairs, of the source that models train on; no held-out pattern comes from it.
_BASELINE_SEED = 11
#: Steps of samplers where everything has to be quick.
_QUICK_STEPS = 4


class NetworkMethod:
    """A model on the fastest engine that takes it.

    Parameters
    ----------
    model : Model
        Its ``network`` is changed where ``steps`` says so.
    name : str
        For the row.
    steps : int
        Sampler steps instead of the model's own; 0 leaves them.
    frames : CheckFrames, optional
        Real frames that the engine is judged on.
    """

    def __init__(self, model: Model, name: str, steps: int = 0, frames: CheckFrames | None = None) -> None:
        self.model, self.name = model, name
        if steps:
            model.network.set_steps(steps)
        self.evaluations = model.network.evaluations
        self.through_fibre = isinstance(model.network, CalibratedFewStep)
        chosen = open_engine(model, frames=frames)
        self.engine, self.run = chosen.name, chosen.run

    def deviation(self, frame: Counts, reference: Phase) -> tuple[Phase, Phase] | None:
        """Phase and its standard deviation (grid, grid) in radians, if the network has one."""
        with torch.inference_mode():
            inputs = (torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference))
            both = self.model.network.deviation(*inputs)
        return None if both is None else (both[0][0, 0].numpy(), both[1][0, 0].numpy())


class FastPairs:
    """Integrated displacements of the speckle against reference pairs."""

    engine, evaluations = "displacements", 1

    def __init__(self, reference_pairs: ReferencePairs, grid_px: int) -> None:
        method = PairsMethod(reference_pairs, grid_px)
        self.name, self.run = f"{method.name}, fast", method.run


class ProbablePairs:
    """The most probable phase given reference pairs."""

    engine = "torch fp32"

    def __init__(self, reference_pairs: ReferencePairs) -> None:
        self.name = f"{len(reference_pairs.frames)} reference pairs, most probable"
        self._pairs = FewPair(reference_pairs.frames, reference_pairs.phases_rad)
        self.evaluations = self._pairs.config.steps

    def run(self, frame: Counts, reference: Phase) -> Phase:
        """Return the phase on the camera's pixels, in radians."""
        del reference  # the pairs hold all that is needed
        return self._pairs.reconstruct(frame)


class Descent:
    """Gradient descent through the calibrated fibre."""

    name, engine = "gradient retrieval through the response", "torch fp32"

    def __init__(self, response: FibreResponse, exposure_s: float, steps: int = 150) -> None:
        noise_rad = response.core_noise_rad if len(response.core_gain) > 1 else 0.0
        self._config = RetrievalConfig(steps=steps, core_noise_rad=noise_rad)
        self._optics, self._background, self._exposure_s = response.optics(), response.background, exposure_s
        self.evaluations = self._config.steps

    def run(self, frame: Counts, reference: Phase) -> Phase:
        """Return the phase on the camera's pixels, in radians."""
        del reference  # the response holds all that is needed
        counts_per_s = np.asarray(frame / self._exposure_s, np.float32)
        return retrieve(counts_per_s, self._optics, self._background, self._config).phase_rad


def model_folders(more: Path | None) -> list[Path]:
    """Shipped models, then those in a folder of models (or that one model), by name.

    Raises
    ------
    ReconstructionError
        ``more`` holds no model.
    """
    folders = [SHIPPED / name for name in shipped_models()]
    if more is not None:
        found = sorted(card.parent for card in [*more.glob(CARD), *more.glob(f"*/{CARD}")])
        if not found:
            raise ReconstructionError(f"no model folder in {more}; give a model, or the folder that holds models")
        folders += found
    return folders


def models(
    folders: Sequence[Path],
    fibre: str,
    frame_px: int,
    response: Path | None,
    quick: bool,
    skipped: list[str],
    config: InstrumentConfig,
) -> Iterator[Entry]:
    """Yield an entry of every model that fits; ``skipped`` gets a line for each that does not."""
    names: set[str] = set()
    for folder in folders:
        try:
            model = load_model(folder)
            model.check_frame((frame_px, frame_px))
            model.check_fibre(fibre)
            attach(model, response, fibre)
        except ReconstructionError as error:
            skipped.append(str(error))
            continue
        name = model.card.name if model.card.name not in names else f"{model.card.name} ({model.id})"
        names.add(name)
        note, steps = f"kind {model.card.kind}", 0
        if quick and model.network.most_steps != 0 and model.network.evaluations > _QUICK_STEPS + 1:
            note, steps = f"{note}; {_QUICK_STEPS} steps instead of {model.network.evaluations}, to be quick", _QUICK_STEPS
        parameters = sum(parameter.numel() for parameter in model.network.parameters())
        yield Entry(NetworkMethod(model, name, steps, frames_for(model, config)), parameters, model.id, note)


def baseline(config: InstrumentConfig, dataset: Path | None, grid_px: int, pairs: int) -> Entry:
    """Fit the baseline to training pairs: the dataset's, or simulated ones of the configured twin."""
    if dataset is None:
        with simulated_pool(twin_data(config, "mixed", pairs, _BASELINE_SEED, grid_px), cores() if pairs > 100 else 0) as pool:
            method = RidgeBaseline((np.array(frame) for frame in pool.speckle), np.array(pool.phase_rad))
    else:
        training = from_archive(dataset, grid_px, "training")
        method = RidgeBaseline(training.speckle[:pairs], training.phase_rad[:pairs])
        pairs = min(pairs, training.ready)
    return Entry(method, method.parameters, note=f"{pairs} training pairs; ridge by leave-one-out over them")


def few_pair(config: InstrumentConfig, dataset: Path | None, grid_px: int) -> list[Entry]:
    """Prepare what works from reference pairs: training pairs of the dataset, or shown on the configured twin."""
    reference_pairs = _twin_references(config) if dataset is None else _dataset_references(dataset)
    note = "no training; the phase's level is a guess"
    return [
        Entry(FastPairs(reference_pairs, grid_px), note=note),
        Entry(ProbablePairs(reference_pairs), note=f"{note}; evaluations are steps"),
    ]


def retrieval(response: FibreResponse, exposure_s: float) -> Entry:
    """Prepare descent through a calibrated fibre."""
    note = f"calibrated with {response.probe_patterns} probes; no training; the phase's level is a guess; evaluations are steps"
    return Entry(Descent(response, exposure_s), response.transmission().size * 2, note=note)


def _twin_references(config: InstrumentConfig) -> ReferencePairs:
    """Show reference patterns on the configured twin, on virtual time."""
    rig: Rig = open_rig(config.model_copy(update={"camera": "simulated", "slm": "simulated"}), VirtualClock())[0]
    try:
        return retune.fit(retune.acquire(rig, REFERENCES, config.phase_range_rad))
    finally:
        rig.close()


def _dataset_references(dataset: Path) -> ReferencePairs:
    pairs = SpecklePairs(dataset, "train")
    chosen = [pairs[index] for index in np.linspace(0, len(pairs) - 1, min(REFERENCES, len(pairs))).astype(int)]
    frames = tuple(speckle[0].numpy() for speckle, _ in chosen)
    phases = tuple(phase[0].numpy() for _, phase in chosen)
    placed = register_pairs(frames, phases)
    warped = tuple(placed.warp(phase, fill=None) for phase in phases)
    return ReferencePairs(np.mean(frames, axis=0, dtype=np.float32), frames, warped, placed, 1.0)
