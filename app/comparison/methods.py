"""The methods that are compared: the baseline, every model that fits the fibre, and methods without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from acquisition.capture.pair_capture import Rig
from app.comparison.sampled_mean import MEAN_OF, SampledMean, has_mean, mean_name
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
from reconstruction.engines.base import Counts, Engine
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.choose import open_engine
from reconstruction.evaluation.comparison import Entry
from reconstruction.evaluation.ridge_baseline import RidgeBaseline
from reconstruction.few_pair.few_pair import FewPair
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import CARD, SHIPPED, Model, load_model, shipped_models
from reconstruction.retrieval.gradient import RetrievalConfig, retrieve

Phase = NDArray[np.float32]

#: Number of reference pairs of the methods that need no training.
REFERENCES = 8
#: Seed of the baseline's training pairs. They come from the source that models train on, never from the held-out source.
_BASELINE_SEED = 11
#: From this number of pairs on, simulating them in several processes is faster.
_MANY_PAIRS = 100
_MEAN_UNKNOWN = "no training; the mean phase is not measured"
_COUNTS_STEPS = "each step is one evaluation"


class NetworkMethod:
    """A model on the fastest engine that can run it.

    Parameters
    ----------
    model : Model
        The number of steps of its ``network`` is changed if ``steps`` is not 0.
    name : str
        Name in the comparison.
    steps : int
        Sampler steps; 0 keeps the model's own number.
    frames : CheckFrames, optional
        Real frames for checking the engine.
    engine : Engine, optional
        Runs the model; without it the fastest one is chosen.
    """

    def __init__(
        self,
        model: Model,
        name: str,
        steps: int = 0,
        frames: CheckFrames | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.model = model
        self.name = name
        if steps:
            model.network.set_steps(steps)
        self.evaluations = model.network.evaluations
        self.through_fibre = isinstance(model.network, CalibratedFewStep)
        chosen = engine or open_engine(model, frames=frames)
        self.engine = chosen.name
        self.run = chosen.run

    def deviation(self, frame: Counts, reference: Phase) -> tuple[Phase, Phase] | None:
        """Return phase and standard deviation, (grid, grid) in radians each; None if the network gives no deviation."""
        with torch.inference_mode():
            inputs = (torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference))
            both = self.model.network.deviation(*inputs)
        return None if both is None else (both[0][0, 0].numpy(), both[1][0, 0].numpy())

    def samples(self, frame: Counts, reference: Phase, count: int) -> NDArray[np.float32] | None:
        """Return ``count`` pictures of a frame, (count, grid, grid) in radians; None if the network gives only one."""
        network = self.model.network
        if not network.gives_samples:
            return None
        inputs = [torch.from_numpy(np.array(image, np.float32))[None, None] for image in (frame, reference)]
        with torch.inference_mode():
            # One after another: a batch of large pictures does not fit the processor's cache.
            drawn = [network.sample(inputs[0], inputs[1], [seed]).numpy() for seed in range(count)]
        return np.stack([each.reshape(each.shape[-2:]) for each in drawn])


class FastPairs:
    """The fast few-pair estimate: integrated displacements of the speckle against reference pairs."""

    engine = "displacements"
    evaluations = 1

    def __init__(self, reference_pairs: ReferencePairs, grid_px: int) -> None:
        method = PairsMethod(reference_pairs, grid_px)
        self.name = f"{method.name}, fast"
        self.run = method.run


class ProbablePairs:
    """The few-pair reconstruction: the most probable phase, given reference pairs."""

    engine = "torch fp32"

    def __init__(self, reference_pairs: ReferencePairs) -> None:
        self.name = f"{len(reference_pairs.frames)} reference pairs, most probable"
        self._pairs = FewPair(reference_pairs.frames, reference_pairs.phases_rad)
        self.evaluations = self._pairs.config.steps

    def run(self, frame: Counts, reference: Phase) -> Phase:
        """Return the phase on the camera's pixels, in radians."""
        del reference  # the reference pairs are used instead
        return self._pairs.reconstruct(frame)


class Descent:
    """Gradient descent through the calibrated fibre.

    Parameters
    ----------
    response : FibreResponse
        The calibrated fibre.
    exposure_s : float
        Exposure of the frames in seconds.
    steps : int
        Number of steps.
    """

    name = "gradient retrieval through the response"
    engine = "torch fp32"

    def __init__(self, response: FibreResponse, exposure_s: float, steps: int = 150) -> None:
        noise_rad = response.core_noise_rad if len(response.core_gain) > 1 else 0.0
        self._config = RetrievalConfig(steps=steps, core_noise_rad=noise_rad)
        self._optics = response.optics()
        self._background = response.background
        self._exposure_s = exposure_s
        self.evaluations = self._config.steps

    def run(self, frame: Counts, reference: Phase) -> Phase:
        """Return the phase on the camera's pixels, in radians."""
        del reference  # the calibrated response is used instead
        counts_per_s = np.asarray(frame / self._exposure_s, np.float32)
        return retrieve(counts_per_s, self._optics, self._background, self._config).phase_rad


def model_folders(more: Path | None) -> list[Path]:
    """Return the folders of the shipped models, then those of one folder of models, by name.

    Parameters
    ----------
    more : Path, optional
        A model folder, or a folder of model folders.

    Raises
    ------
    ReconstructionError
        ``more`` holds no model.
    """
    folders = [SHIPPED / name for name in shipped_models()]
    if more is not None:
        others = sorted(card.parent for card in [*more.glob(CARD), *more.glob(f"*/{CARD}")])
        if not others:
            raise ReconstructionError(f"no model folder in {more}; give a model, or the folder that holds models")
        folders += others
    return folders


@dataclass(frozen=True)
class Requirements:
    """What a model must fit: the fibre, the side of the frames in pixels."""

    fibre: str
    frame_px: int


def models(
    folders: Iterable[Path], config: InstrumentConfig, needed: Requirements, sampler_steps: int = 0
) -> tuple[list[Entry], list[str]]:
    """Load every model that fits.

    Parameters
    ----------
    folders : iterable of Path
        Model folders.
    config : InstrumentConfig
        Names the calibrated response, which some models need.
    needed : Requirements
        Fibre and frame.
    sampler_steps : int
        Models with more steps are cut to so many; 0 cuts none.

    Returns
    -------
    (list of Entry, list of str)
        The models, and for each other folder the reason why it was skipped.
    """
    entries: list[Entry] = []
    skipped: list[str] = []
    names: set[str] = set()
    for folder in folders:
        try:
            model = load_model(folder)
            model.check_frame((needed.frame_px, needed.frame_px))
            model.check_fibre(needed.fibre)
            attach(model, config.response, needed.fibre)
        except ReconstructionError as error:
            skipped.append(str(error))
            continue
        name = model.card.name if model.card.name not in names else f"{model.card.name} ({model.id})"
        names.add(name)
        entries.append(_model_entry(model, name, sampler_steps, frames_for(model, config)))
        if has_mean(model):
            note = f"mean of {MEAN_OF} samples of {name}"
            entries.append(replace(entries[-1], method=SampledMean(load_model(folder), mean_name(name)), note=note))
    return entries, skipped


def _model_entry(model: Model, name: str, sampler_steps: int, frames: CheckFrames | None) -> Entry:
    network = model.network
    note, steps = f"kind {model.card.kind}", 0
    if sampler_steps and network.most_steps != 0 and network.evaluations > sampler_steps + 1:
        note, steps = f"{note}; {sampler_steps} steps instead of {network.evaluations}, to save time", sampler_steps
    parameters = sum(parameter.numel() for parameter in network.parameters())
    minutes = model.card.seconds / 60 if model.card.seconds else None
    seed = model.card.training.get("seed")
    return Entry(
        NetworkMethod(model, name, steps, frames),
        parameters,
        model.id,
        note,
        minutes,
        seed if isinstance(seed, int) else None,
    )


def baseline(config: InstrumentConfig, dataset: Path | None, grid_px: int, pairs: int) -> Entry:
    """Fit the linear baseline to training pairs of the dataset, or to simulated pairs of the configured twin."""
    if dataset is None:
        data, workers = twin_data(config, "mixed", pairs, _BASELINE_SEED, grid_px), cores() if pairs > _MANY_PAIRS else 0
        with simulated_pool(data, workers) as pool:
            method = RidgeBaseline((np.array(frame) for frame in pool.speckle), np.array(pool.phase_rad))
    else:
        training = from_archive(dataset, grid_px, "training")
        method = RidgeBaseline(training.speckle[:pairs], training.phase_rad[:pairs])
        pairs = min(pairs, training.ready)
    return Entry(method, method.parameters, note=f"{pairs} training pairs; ridge by leave-one-out over them")


def few_pair(config: InstrumentConfig, dataset: Path | None, grid_px: int) -> list[Entry]:
    """Prepare the few-pair methods. Reference pairs are training pairs of the dataset, or shown on the configured twin."""
    reference_pairs = _twin_references(config) if dataset is None else _dataset_references(dataset)
    return [
        Entry(FastPairs(reference_pairs, grid_px), note=_MEAN_UNKNOWN),
        Entry(ProbablePairs(reference_pairs), note=f"{_MEAN_UNKNOWN}; {_COUNTS_STEPS}"),
    ]


def retrieval(response: FibreResponse, exposure_s: float) -> Entry:
    """Prepare gradient descent through a calibrated fibre."""
    note = f"calibrated with {response.probe_patterns} probe patterns; {_MEAN_UNKNOWN}; {_COUNTS_STEPS}"
    return Entry(Descent(response, exposure_s), response.transmission().size * 2, note=note)


def network_methods(entries: Sequence[Entry]) -> list[NetworkMethod]:
    """Return those methods that are models."""
    return [entry.method for entry in entries if isinstance(entry.method, NetworkMethod)]


def _twin_references(config: InstrumentConfig) -> ReferencePairs:
    """Show reference patterns on the configured twin, in virtual time."""
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
    registration = register_pairs(frames, phases)
    return ReferencePairs(
        reference=np.mean(frames, axis=0, dtype=np.float32),
        frames=frames,
        phases_rad=tuple(registration.warp(phase, fill=None) for phase in phases),
        registration=registration,
        stability=1.0,
    )
