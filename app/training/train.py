"""Training a model for one fibre, from its twin or from a captured dataset, and the card that says how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from acquisition.archive.writer import Archive
from acquisition.patterns.sources import open_source
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.instrument.responses import find_response, through
from app.signals import stop_on_signal
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
from reconstruction.models.model import Model, ModelCard, save_model
from reconstruction.models.reconstructor import Reconstructor
from reconstruction.models.registry import build, config_of
from reconstruction.training.config import TrainConfig, TrainReport
from reconstruction.training.distributed import World
from reconstruction.training.environment import device_name, environment
from reconstruction.training.loop import Callbacks, Trainer
from reconstruction.training.run import Run

#: Images of the held-out and the validation source of the twin.
TEST_PAIRS = 24
VALIDATION_PAIRS = 24
#: Of the usual learning rate, for weights that are already good.
FINE_TUNING = 0.1
#: Beyond so many evaluations a frame, a deviation takes longer than anybody waits for it here.
MOST_EVALUATIONS = 8
#: Where a card says with which factor its standard deviations are honest, found on validation images.
INTERVAL_SCALE = "interval_scale"

#: ``(stage, done, total, note)``: what is going on and how far it is.
Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class Job:
    """What is to be trained, how, and where it goes.

    ``network`` holds the options of the kind that are not its defaults, or not those of ``start``, a trained model to begin
    with; ``response`` is the calibrated response of the fibre, for kinds that work through it; ``resume`` goes on with the run
    in ``folder``.
    """

    folder: Path
    kind: str
    network: Mapping[str, object]
    training: TrainConfig
    command: str
    start: Model | None = None
    response: Path | None = None
    resume: bool = False
    world: World = field(default_factory=World)


@dataclass(frozen=True)
class TrainingPools:
    """Pairs to learn from, to watch, and to report on; no pattern is in two of them."""

    training: Pairs
    validation: PairPool
    test: PairPool


def twin_data(config: InstrumentConfig, source: str, pairs: int, seed: int, grid_px: int) -> TwinData:
    """Describe simulated pairs of the configured twin."""
    camera = config.twin.camera
    return TwinData(config.twin.optics, camera.sensor, camera.exposure_s, source, pairs, seed, config.phase_range_rad, grid_px)


def train_on_twin(
    config: InstrumentConfig, source: str, pairs: int, seed: int, job: Job, on_progress: Progress
) -> tuple[Model, Evaluation] | None:
    """Simulate ``pairs`` pairs of ``source`` on the configured twin and train on them; None in all but the first process."""
    optics, world = config.twin.optics, job.world
    task = _Task(config, job, fibre_name(optics), optics.image_px, config.phase_range_rad)
    task.open_run({"source": source, "pairs": pairs, "seed": seed})
    grid, truth = task.network.config.grid_px, task.network.truth_px
    data = twin_data(config, source, pairs, seed, truth)
    stream = task.stream(source, pairs, seed)
    simulated = _shared_pool(data, cores(), world, lambda done: on_progress("simulating pairs", done, pairs, ""))
    with (
        nullcontext(stream) if stream else simulated as pool,
        _shared_pool(twin_data(config, "validation", VALIDATION_PAIRS, 1, grid), 0, world) as validation,
        _shared_pool(twin_data(config, "held-out", TEST_PAIRS, 2, grid), 0, world) as test,
    ):
        pools = TrainingPools(pool, validation, test)
        how = "pictures, simulated anew with every batch through the calibrated response" if stream else "simulated pairs"
        description = f"{pairs} {how}, source '{source}', seed {seed}, phase depth {config.phase_range_rad} rad"
        return task.train(pools, description, on_progress)


def train_on_dataset(
    config: InstrumentConfig, dataset: Path, job: Job, on_progress: Progress
) -> tuple[Model, Evaluation] | None:
    """Train on a captured dataset; a tenth of its patterns is watched, another tenth is reported on."""
    archive = Archive.open(dataset)
    metadata = archive.metadata
    phase_range_rad = metadata.get("phase_range_rad")
    if not isinstance(phase_range_rad, int | float):
        raise ReconstructionError(f"the metadata of {dataset} names no phase_range_rad, the phase of white; acquire it again")
    frame_px = archive.read("speckle", archive.rows()[0].index).shape[0]
    task = _Task(config, job, str(metadata.get("fibre", "unknown")), frame_px, float(phase_range_rad))
    grid = task.network.config.grid_px
    validation, test = (from_archive(dataset, grid, part) for part in ("validation", "test"))
    training = from_archive(dataset, task.network.truth_px, "training")
    task.open_run({"dataset": dataset.name, "pairs": training.ready})
    pools = TrainingPools(training, validation, test)
    return task.train(pools, f"{training.ready} pairs captured in {dataset.name}", on_progress)


def field_radius(config: InstrumentConfig) -> float:
    """Radius of the fibre's disc as a fraction of half the frame."""
    optics = config.twin.optics
    return min(1.0, optics.field_radius_um / optics.pixel_um / (optics.image_px / 2))


@contextmanager
def _shared_pool(
    data: TwinData, workers: int, world: World, on_progress: Callable[[int], None] = lambda pairs: None
) -> Iterator[PairPool]:
    """Pairs that the first process simulates and all others read from its file."""
    if not world.first:
        yield open_pool(data, Path(world.broadcast("")))
        return
    with simulated_pool(data, workers, on_progress) as pool:
        world.broadcast(str(folder_of(pool)))
        yield pool


class _Task:
    """One training: the network for this instrument, its run folder, its card."""

    def __init__(self, config: InstrumentConfig, job: Job, fibre: str, frame_px: int, phase_range_rad: float) -> None:
        self.config, self.job, self.fibre = config, job, fibre
        begun = _config_of(job.start, job.kind) if job.start else {}
        known = {"frame_px": frame_px, "field_radius": field_radius(config), "phase_range_rad": phase_range_rad}
        try:
            shape = config_of(job.kind, {**begun, **job.network, **known})
            torch.manual_seed(job.training.seed)
            self.network = build(job.kind, shape)
        except ValueError as error:
            why = f"kind '{job.kind}' does not fit the instrument ({error}); change it with --set"
            raise ReconstructionError(why) from error
        if job.start is not None:
            _begin_with(self.network, job.start)
        self.through: SpeckleResidual | None = None
        self.response_id = ""
        if isinstance(self.network, CalibratedFewStep):
            response = find_response(job.response, fibre)
            self.response_id = response.id
            self.through = through(response, self.network.config.grid_px)
            self.network.attach(self.through)
        own = self.network.learning_rate * (FINE_TUNING if job.start else 1.0)
        self.training = replace(job.training, learning_rate=job.training.learning_rate or own)
        self.run: Run | None = None

    def open_run(self, data: Mapping[str, object]) -> None:
        """Open the run folder; a run that cannot be resumed is refused here, before anything takes time."""
        configuration = {
            "instrument": self.config.model_dump(mode="json"),
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

    def stream(self, source: str, pairs: int, seed: int) -> TwinStream | None:
        """Pairs made while training, for kinds that work through a calibrated fibre: it can simulate itself."""
        if self.through is None:
            return None
        camera, shape = self.config.twin.camera, (self.network.config.frame_px, self.network.config.frame_px)
        patterns = open_source(source, shape, count=pairs, seed=seed, phase_range_rad=self.config.phase_range_rad)
        return TwinStream(patterns, [self.through], camera.sensor, camera.exposure_s)

    def train(self, pools: TrainingPools, description: str, on_progress: Progress) -> tuple[Model, Evaluation] | None:
        """Train, score on the test pairs, and write the model."""
        job, network, run, world = self.job, self.network, self.run, self.job.world
        assert run is not None
        fitted = job.start is not None and job.start.card.fibre == self.fibre
        if run.checkpoint is None and world.first and not fitted:
            network.prepare(pools.training, lambda done, total: on_progress("fitting in closed form", done, total, ""))
        card = self._card(description)
        note = ""

        def validated(average: Reconstructor, report: TrainReport) -> None:
            nonlocal note
            scores = report.validation[-1][1]
            note = f"validation SSIM {scores.ssim:.3f}, correlation {scores.correlation:.3f}"
            # A run that is cut short leaves the model of its last validation.
            save_model(job.folder, average, replace(card, seconds=report.seconds, scores={"stopped_at_step": report.steps}))

        def progress(report: TrainReport, loss: float) -> None:
            minutes = job.training.minutes
            done = (report.steps, job.training.steps) if minutes is None else (int(report.seconds), int(60 * minutes))
            on_progress("training", *done, note or f"loss {loss:.3f}")

        with run.open(), stop_on_signal() as stop:
            callbacks = Callbacks(progress, validated, stop.is_set)
            trainer = Trainer(network, self.training, run=run, callbacks=callbacks, world=world)
            network, report = trainer.train(pools.training, pools.validation)
        if not world.first:
            return None
        model = save_model(job.folder, network, replace(card, seconds=report.seconds))
        if self.through is not None and isinstance(model.network, CalibratedFewStep):
            model.network.attach(self.through)
        result = evaluate(model, TorchEngine(model), pools.test)
        card = replace(card, seconds=report.seconds, scores={**result.to_dict(), "steps": report.steps})
        if (scale := _interval_scale(model, pools.validation)) is not None:
            card = replace(card, training={**card.training, INTERVAL_SCALE: scale})
        saved = save_model(job.folder, network, card)
        remember(saved, CheckFrames.of_pool(pools.validation))
        return saved, result

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


def _interval_scale(model: Model, validation: PairPool) -> float | None:
    """Return the factor that makes 90 % intervals hold 90 % of validation pixels; None for models that know no deviation."""
    if model.network.evaluations > MOST_EVALUATIONS:
        return None
    estimates = []
    with torch.inference_mode():
        for index in range(validation.ready):
            pair = validation.batch(np.array([index]))
            both = model.network.deviation(pair.frames, pair.reference)
            if both is None:
                return None
            estimates.append(Estimate(*(image[0, 0].numpy() for image in (*both, pair.phase_rad))))
    return round(interval_scale(estimates, model.mask), 4)


def _config_of(start: Model, kind: str) -> dict[str, object]:
    """Shape of a trained model, which has to be of the right kind."""
    if start.card.kind != kind:
        name, its = start.card.name, start.card.kind
        raise ReconstructionError(f"model {name!r} is of kind '{its}', not '{kind}'; leave --kind out, or --from")
    return start.network.config.to_dict()


def _begin_with(network: Reconstructor, start: Model) -> None:
    """Take the weights of a trained model.

    Raises
    ------
    ReconstructionError
        They belong to another shape of network, or to frames of another size.
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
            "leave --set out, or --from"
        ) from error
