"""Training a model for one fibre, on its twin or on a captured dataset, and writing its model card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from acquisition.archive.writer import Archive
from acquisition.patterns.sources import open_source
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import find_response, through
from app.signals import stop_on_signal
from drivers.base import channel_count
from reconstruction.base import ReconstructionError
from reconstruction.calibrated.few_step import CalibratedFewStep
from reconstruction.calibrated.speckle_residual import SpeckleResidual
from reconstruction.calibrated.twin_stream import TwinStream
from reconstruction.data.batch import Pairs
from reconstruction.data.pairs import PairPool, from_archive
from reconstruction.data.simulation import TwinData, cores, folder_of, open_pool, simulated_pool
from reconstruction.engines.check_frames import CheckFrames, remember
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.evaluation.evaluate import Evaluation, evaluate
from reconstruction.evaluation.intervals import Estimate, interval_scale
from reconstruction.models.base import Reconstructor
from reconstruction.models.model import Model, ModelCard, save_model
from reconstruction.models.registry import build, config_of
from reconstruction.training.config import TrainConfig, TrainReport
from reconstruction.training.distributed import World
from reconstruction.training.environment import device_name, environment
from reconstruction.training.loop import Callbacks, Trainer, TrainingClock, TrainingStoppedError
from reconstruction.training.run import Run

#: Number of held-out images and of validation images of the twin.
TEST_PAIRS = 24
VALIDATION_PAIRS = 24
#: Factor of the usual learning rate, for weights that were trained before.
FINE_TUNING = 0.1
#: The uncertainty is skipped above this many evaluations of the network per frame.
MAX_EVALUATIONS = 8
#: Key of a model card: the factor that calibrates its standard deviations, measured on validation images.
INTERVAL_SCALE = "interval_scale"

#: Called with ``(stage, done, total, note)``.
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained, how, and where the model is written.

    Parameters
    ----------
    folder : Path
        Folder of the new model.
    kind : str
        Kind of model, see :data:`reconstruction.models.registry.KINDS`.
    network : mapping
        Options of the kind that differ from its defaults, or from those of ``start``.
    training : TrainConfig
        Steps, batch, learning rate and schedule.
    command : str
        The command line, for the model card and for resuming.
    start : Model, optional
        A trained model to start from; None starts from random weights.
    response : Path, optional
        Calibrated response of the fibre, for kinds that need it.
    resume : bool
        Whether to continue the run in ``folder``.
    command_resumes : bool
        Whether the command continues the run by itself when it is given again.
    world : World
        The processes that train together.
    clock : TrainingClock
        What the minutes count.
    counts_fit : bool
        Whether the time of the fit in closed form, before the first step, counts too.
    """

    folder: Path
    kind: str
    network: Mapping[str, object]
    training: TrainConfig
    command: str
    start: Model | None = None
    response: Path | None = None
    resume: bool = False
    command_resumes: bool = False
    world: World = field(default_factory=World)
    clock: TrainingClock = field(default_factory=TrainingClock)
    counts_fit: bool = False

    @property
    def resume_command(self) -> str:
        """The command line that continues this run after it was stopped."""
        return self.command if self.resume or self.command_resumes else f"{self.command} --resume"


@dataclass(frozen=True)
class SimulatedPairs:
    """Pairs to simulate on the twin: their pattern source, their number, and the seed of patterns and noise."""

    source: str
    pairs: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class StoredPairs:
    """Pairs of the configured twin that were simulated before, with their phase on the finest grid that a model needs.

    Parameters
    ----------
    training, validation, test : PairPool
        No pattern is in two of them.
    description : str
        For the model card.
    facts : mapping
        Plain types that tell these pairs from others; a run is only resumed with the same.
    """

    training: PairPool
    validation: PairPool
    test: PairPool
    description: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class TrainingPools:
    """Pairs for training, for validation, and for the final scores; no pattern is in two of them."""

    training: Pairs
    validation: PairPool
    test: PairPool


def twin_data(config: InstrumentConfig, source: str, pairs: int, seed: int, grid_px: int) -> TwinData:
    """Return the description of simulated pairs of the configured twin."""
    camera = config.twin.camera
    return TwinData(
        optics=config.twin.optics,
        sensor=camera.sensor,
        exposure_s=camera.exposure_s,
        source=source,
        pairs=pairs,
        seed=seed,
        phase_range_rad=config.phase_range_rad,
        grid_px=grid_px,
    )


def train_on_twin(
    config: InstrumentConfig, simulated: SimulatedPairs, job: Job, on_progress: Progress
) -> tuple[Model, Evaluation] | None:
    """Simulate pairs on the configured twin and train on them.

    Returns
    -------
    tuple of (Model, Evaluation), or None
        The model that was written, and its scores; None in all processes but the first.
    """
    world = job.world
    source, pairs, seed = simulated.source, simulated.pairs, simulated.seed
    training = _twin_training(config, job)
    training.open_run({"source": source, "pairs": pairs, "seed": seed})
    grid_px = training.network.config.grid_px
    data = twin_data(config, source, pairs, seed, training.network.truth_px)
    stream = training.stream(simulated)
    pool = _shared_pool(data, cores(), world, lambda done: on_progress("simulating pairs", done, pairs, ""))
    with (
        nullcontext(stream) if stream else pool as training_pairs,
        _shared_pool(twin_data(config, "validation", VALIDATION_PAIRS, 1, grid_px), 0, world) as validation,
        _shared_pool(twin_data(config, "held-out", TEST_PAIRS, 2, grid_px), 0, world) as test,
    ):
        pools = TrainingPools(training_pairs, validation, test)
        how = "pictures, simulated again for every batch through the calibrated response" if stream else "simulated pairs"
        description = f"{pairs} {how}, source '{source}', seed {seed}, phase range {config.phase_range_rad} rad"
        return training.run_on(pools, description, on_progress)


def train_on_stored(
    config: InstrumentConfig, stored: StoredPairs, job: Job, on_progress: Progress
) -> tuple[Model, Evaluation] | None:
    """Train on pairs of the configured twin that were simulated before.

    Returns
    -------
    tuple of (Model, Evaluation), or None
        The model that was written, and its scores; None in all processes but the first.
    """
    training = _twin_training(config, job)
    training.open_run(stored.facts)
    grid_px = training.network.config.grid_px
    pools = TrainingPools(
        stored.training.on_grid(training.network.truth_px), stored.validation.on_grid(grid_px), stored.test.on_grid(grid_px)
    )
    return training.run_on(pools, stored.description, on_progress)


def train_on_dataset(
    config: InstrumentConfig, dataset: Path, job: Job, on_progress: Progress
) -> tuple[Model, Evaluation] | None:
    """Train on a captured dataset. A tenth of its patterns is for validation, another tenth for the final scores.

    Returns
    -------
    tuple of (Model, Evaluation), or None
        The model that was written, and its scores; None in all processes but the first.

    Raises
    ------
    ReconstructionError
        The metadata of the dataset has no phase range.
    """
    archive = Archive.open(dataset)
    metadata = archive.metadata
    phase_range_rad = metadata.get("phase_range_rad")
    if not isinstance(phase_range_rad, int | float):
        raise ReconstructionError(
            f"the metadata of {dataset} has no phase_range_rad (the phase of white, in radians); acquire the dataset again"
        )
    fibre = str(metadata.get("fibre", "unknown"))
    run = _Training(config, job, fibre, archive.spec("speckle").shape, float(phase_range_rad))
    grid_px = run.network.config.grid_px
    validation, test = (from_archive(dataset, grid_px, part) for part in ("validation", "test"))
    training = from_archive(dataset, run.network.truth_px, "training")
    run.open_run({"dataset": dataset.name, "pairs": training.ready})
    pools = TrainingPools(training, validation, test)
    return run.run_on(pools, f"{training.ready} pairs captured in {dataset.name}", on_progress)


def field_radius(config: InstrumentConfig) -> float:
    """Return the radius of the fibre's disc as a fraction of half the frame."""
    optics = config.twin.optics
    return min(1.0, optics.field_radius_um / optics.pixel_um / (optics.image_px / 2))


def _twin_training(config: InstrumentConfig, job: Job) -> _Training:
    """Return a training for the configured twin."""
    optics = config.twin.optics
    return _Training(config, job, fibre_name(optics), (optics.image_px, optics.image_px), config.phase_range_rad)


@contextmanager
def _shared_pool(
    data: TwinData, workers: int, world: World, on_progress: Callable[[int], None] = lambda pairs: None
) -> Iterator[PairPool]:
    """Yield pairs that the first process simulates and the other processes read from its file."""
    if not world.first:
        yield open_pool(data, Path(world.broadcast("")))
        return
    with simulated_pool(data, workers, on_progress) as pool:
        world.broadcast(str(folder_of(pool)))
        yield pool


#: Settings of the instrument that no weight depends on: a run is resumed whatever they are.
_NOT_LEARNED = {
    "live",
    "segmentation",
    "wavelength_um",
    "refractive_increment_um3_per_pg",
    "archive",
    "operator",
    "sample",
    "licence",
}


class _Training:
    """One training: the network for this instrument, its run folder, and its model card."""

    def __init__(
        self, config: InstrumentConfig, job: Job, fibre: str, frame_shape: tuple[int, ...], phase_range_rad: float
    ) -> None:
        frame_px = frame_shape[-1]
        self.config = config
        self.job = job
        self.fibre = fibre
        self.clock = job.clock
        fixed = {"frame_px": frame_px, "field_radius": field_radius(config), "phase_range_rad": phase_range_rad}
        self.network = _network_for(job, fixed, frame_px // config.cell_px)
        channels = channel_count(frame_shape)
        if self.network.channels != channels:
            raise ReconstructionError(
                f"a model of kind '{job.kind}' takes frames with {self.network.channels} channels, these frames have "
                f"{channels}; choose another kind with --kind"
            )
        self.through: SpeckleResidual | None = None
        self.response_id = ""
        if isinstance(self.network, CalibratedFewStep):
            response = find_response(job.response, fibre)
            self.response_id = response.id
            self.through = through(response, self.network.config.grid_px)
            self.network.attach(self.through)
        usual_rate = self.network.learning_rate * (FINE_TUNING if job.start else 1.0)
        self.training = replace(job.training, learning_rate=job.training.learning_rate or usual_rate)
        self.run: Run | None = None

    def open_run(self, data: Mapping[str, object]) -> None:
        """Open the run folder. A run that cannot be resumed is refused here, before the pairs are simulated."""
        configuration = {
            "instrument": self.config.model_dump(mode="json", exclude=_NOT_LEARNED),
            "fibre": self.fibre,
            "kind": self.job.kind,
            "network": self.network.config.to_dict(),
            "from": self.job.start.id if self.job.start else "",
            "response": self.response_id,
            "training": self.training.to_dict(),
            "data": dict(data),
        }
        facts = {**environment(self.job.world.device), "command": self.job.command}
        opener = Run.resume if self.job.resume else Run
        self.run = opener(self.job.folder, configuration, facts)

    def stream(self, simulated: SimulatedPairs) -> TwinStream | None:
        """Return pairs that are simulated during training, for kinds that compute through a calibrated fibre; else None."""
        if self.through is None or not self.network.learns_from_stream:
            return None
        camera, shape = self.config.twin.camera, (self.network.config.frame_px, self.network.config.frame_px)
        patterns = open_source(
            simulated.source, shape, count=simulated.pairs, seed=simulated.seed, phase_range_rad=self.config.phase_range_rad
        )
        return TwinStream(patterns, [self.through], camera.sensor, camera.exposure_s)

    def run_on(self, pools: TrainingPools, description: str, on_progress: Progress) -> tuple[Model, Evaluation] | None:
        """Train, evaluate on the test pairs, and write the model."""
        assert self.run is not None
        job, start, world = self.job, self.job.start, self.job.world
        fitted_before = start is not None and start.card.fibre == self.fibre
        if self.run.checkpoint is None and world.first and not fitted_before:
            started_s = job.clock.now()
            self.network.prepare(pools.training, partial(_report_fit, on_progress))
            if job.counts_fit:
                self.clock = replace(job.clock, spent_s=job.clock.spent_s + job.clock.now() - started_s)
        card = self._card(description)
        training = self.network.encoded_pairs(pools.training, partial(_report_encoding, on_progress))
        network, report = self._train(self.run, replace(pools, training=training), card, on_progress)
        if not world.first:
            return None
        return self._write(network, replace(card, seconds=report.seconds), report.steps, pools)

    def _train(
        self, run: Run, pools: TrainingPools, card: ModelCard, on_progress: Progress
    ) -> tuple[Reconstructor, TrainReport]:
        job = self.job
        note = ""

        def validated(average: Reconstructor, report: TrainReport) -> None:
            nonlocal note
            scores = report.validation[-1][1]
            note = f"validation SSIM {scores.ssim:.3f}, correlation {scores.correlation:.3f}"
            # A run that is interrupted leaves the model of its last validation.
            save_model(job.folder, average, replace(card, seconds=report.seconds, scores={"stopped_at_step": report.steps}))

        def progress(report: TrainReport, loss: float) -> None:
            minutes = job.training.minutes
            done = (report.steps, job.training.steps) if minutes is None else (int(report.seconds), int(60 * minutes))
            on_progress("training", *done, note or f"loss {loss:.3f}")

        with run.open(), stop_on_signal() as stop:
            callbacks = Callbacks(progress, validated, stop.is_set, self.clock)
            trainer = Trainer(self.network, self.training, run=run, callbacks=callbacks, world=job.world)
            kept = "step {} is the last; its checkpoint is in {}; continue with: {}".format
            try:
                network, report = trainer.train(pools.training, pools.validation)
            except TrainingStoppedError as stopped:
                stop.check(kept(stopped.step, run.folder, job.resume_command))
                raise
            stop.check(kept(report.steps, run.folder, job.resume_command))
            return network, report

    def _write(self, network: Reconstructor, card: ModelCard, steps: int, pools: TrainingPools) -> tuple[Model, Evaluation]:
        """Write the model, evaluate it as it is read back, and write it again with its scores."""
        model = save_model(self.job.folder, network, card)
        if self.through is not None and isinstance(model.network, CalibratedFewStep):
            model.network.attach(self.through)
        evaluation = evaluate(model, TorchEngine(model), pools.test)
        card = replace(card, scores={**evaluation.to_dict(), "steps": steps})
        if (scale := _interval_scale(model, pools.validation)) is not None:
            card = replace(card, training={**card.training, INTERVAL_SCALE: scale})
        saved = save_model(self.job.folder, network, card)
        remember(saved, CheckFrames.of_pool(pools.validation))
        return saved, evaluation

    def _card(self, description: str) -> ModelCard:
        job, config = self.job, self.network.config
        start = f", from model '{job.start.card.name}' ({job.start.id})" if job.start else ""
        return ModelCard(
            name=job.folder.name,
            fibre=self.fibre,
            field_radius=config.field_radius,
            phase_range_rad=config.phase_range_rad,
            network=config.to_dict(),
            kind=job.kind,
            data=description + start,
            command=job.command,
            training=self.training.to_dict(),
            parameters=sum(parameter.numel() for parameter in self.network.parameters()),
            evaluations=self.network.evaluations,
            device=f"{job.world.size} x {device_name(job.world.device)}",
        )


def _report_fit(on_progress: Progress, done: int, total: int) -> None:
    on_progress("fitting in closed form", done, total, "")


def _report_encoding(on_progress: Progress, done: int, total: int) -> None:
    on_progress("encoding frames", done, total, "")


def _network_for(job: Job, fixed: Mapping[str, object], grid_px: int) -> Reconstructor:
    """Return the network of a job with its initial weights.

    ``fixed`` are the options that the instrument fixes, ``grid_px`` is the grid of a new network that is given none.

    Raises
    ------
    ReconstructionError
        The options do not fit the instrument, or the weights to start from do not fit the options.
    """
    start_options = _options_of(job.start, job.kind) if job.start else {"grid_px": grid_px}
    try:
        config = config_of(job.kind, {**start_options, **job.network, **fixed})
        torch.manual_seed(job.training.seed)
        network = build(job.kind, config)
    except ValueError as error:
        raise ReconstructionError(f"kind '{job.kind}' does not fit the instrument ({error}); change it with --set") from error
    if job.start is not None:
        _load_weights(network, job.start)
    return network


def _interval_scale(model: Model, validation: PairPool) -> float | None:
    """Return the factor that makes 90 % intervals contain 90 % of the validation pixels; None without uncertainty."""
    if model.network.evaluations > MAX_EVALUATIONS:
        return None
    estimates = []
    with torch.inference_mode():
        for index in range(validation.ready):
            pair = validation.batch(np.array([index]))
            mean_and_deviation = model.network.deviation(pair.frames, pair.reference)
            if mean_and_deviation is None:
                return None
            estimates.append(Estimate(*(image[0, 0].numpy() for image in (*mean_and_deviation, pair.phase_rad))))
    return round(interval_scale(estimates, model.mask), 4)


def _options_of(start: Model, kind: str) -> dict[str, object]:
    """Return the options of the network of a trained model, which must be of the same kind."""
    name, start_kind = start.card.name, start.card.kind
    if start_kind != kind:
        raise ReconstructionError(f"model {name!r} is of kind '{start_kind}', not '{kind}'; omit --kind or --from")
    return start.network.config.to_dict()


def _load_weights(network: Reconstructor, start: Model) -> None:
    """Load the weights of a trained model into a network.

    Raises
    ------
    ReconstructionError
        The model has another shape of network, or needs frames of another size.
    """
    if start.frame_px != network.config.frame_px:
        raise ReconstructionError(
            f"model {start.card.name!r} takes frames of {start.frame_px} px, the instrument gives {network.config.frame_px}; "
            "start from another model"
        )
    try:
        network.load_state_dict(start.network.state_dict())
    except RuntimeError as error:
        raise ReconstructionError(
            f"model {start.card.name!r} has another shape than --set asks for ({str(error).splitlines()[-1].strip()}); "
            "omit --set or --from"
        ) from error
