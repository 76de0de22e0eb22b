"""``specklescope train``: train a model."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from app.cli.options import Config, Count, CountOrZero, Instrument, InstrumentOptions, Json, Positive, Response
from app.cli.output import progress_bars, publish
from app.signals import InterruptionError, kept_on_interruption
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from app.training.train import Job
    from reconstruction.training.config import TrainConfig
    from reconstruction.training.distributed import World

#: What is trained unless --kind or --from states it.
_USUAL_KIND = "referenced"
#: The kind that is no reconstructor: a segmenter, trained on reconstructions of synthetic cells.
_SEGMENTATION = "segmentation"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What is trained.

    Parameters
    ----------
    kind
        Kind of reconstructor, or segmentation for a segmenter: it learns from what the model of the instrument file makes of
        --pairs pictures of synthetic cells. An unknown kind is answered with a list of all kinds. [default: referenced, or
        that of --from]
    set_
        An option of the network, as name=value; may be given several times.
    from_
        Start with the weights of this model: the name of a shipped model, or a model folder.
    through
        For a segmenter: learn from what this model reconstructs; may be given several times, and each gets its share of the
        pictures. [default: the model of the instrument file]
    front_end
        Short for --set front_end=...
    base_channels
        Short for --set base_channels=...
    """

    kind: str | None = None
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None
    from_: Annotated[str | None, Parameter(name="--from")] = None
    through: list[str] | None = None
    front_end: Literal["ridge", "correlate", "fold", "shrink"] | None = None
    base_channels: Count | None = None

    def assignments(self) -> list[str]:
        """Return all options of the network as ``name=value``."""
        short = {"front_end": self.front_end, "base_channels": self.base_channels}
        return [f"{name}={value}" for name, value in short.items() if value is not None] + (self.set_ or [])


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What the model learns from.

    Parameters
    ----------
    dataset
        A captured dataset. Without it, pairs are simulated on the twin.
    source
        Patterns of the simulated pairs.
    pairs
        Number of simulated pairs.
    """

    dataset: Path | None = None
    source: str = "mixed"
    pairs: Count = 6000


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How the model is trained.

    Parameters
    ----------
    steps
        Number of training steps.
    minutes
        Time to train, in minutes, instead of a number of steps.
    batch
        Pairs per step.
    rate
        Highest learning rate. [default: that of the kind, or a tenth of it with --from]
    schedule
        How the learning rate falls. cosine: to zero at the end. plateau: when validation stops getting better.
    validate_every
        Steps between two validations on held-out pairs. Each writes a checkpoint and a model that can be used.
    early_stop
        End after this many validations without progress, with the weights of the best one. 0 never ends early.
    seed
        Seed of patterns, noise and initial weights.
    resume
        Continue the run in FOLDER that was stopped. All other options must be as at its start.
    """

    steps: Count = 3000
    minutes: Positive | None = None
    batch: Count = 8
    rate: Positive | None = None
    schedule: Literal["cosine", "plateau"] = "cosine"
    validate_every: Count = 250
    early_stop: CountOrZero = 0
    seed: int = 11
    resume: bool = False

    def config(self) -> TrainConfig:
        """Return the same as the training loop takes it."""
        from reconstruction.training.config import Schedule, TrainConfig

        return TrainConfig(
            steps=self.steps,
            minutes=self.minutes,
            batch=self.batch,
            learning_rate=self.rate,
            schedule=Schedule(self.schedule),
            validate_every=self.validate_every,
            early_stop=self.early_stop,
            seed=self.seed,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainedInstrument:
    """The instrument that the model is for, and where the scores are written."""

    response: Response = None
    config: Config = None
    instrument: Instrument = None
    json: Json = None


_NETWORK, _DATA, _TRAINING, _INSTRUMENT = NetworkOptions(), DataOptions(), TrainingOptions(), TrainedInstrument()


def train(
    folder: Path,
    *,
    network: NetworkOptions = _NETWORK,
    data: DataOptions = _DATA,
    training: TrainingOptions = _TRAINING,
    instrument: TrainedInstrument = _INSTRUMENT,
) -> None:
    """Train a model for this fibre and write it to FOLDER with its model card; FOLDER/run holds the record of the run.

    Several processes or GPUs train together with: torchrun --nproc-per-node 2 .venv/bin/specklescope train ...

    Parameters
    ----------
    folder
        Folder for the model; its name becomes the name of the model.
    """
    if network.kind == _SEGMENTATION:
        _train_segmenter(folder, network, data, training, instrument)
        return
    if network.through:
        raise SpeckleScopeError("--through is for a segmenter; give it together with --kind segmentation, or leave it out")
    from app.training.train import SimulatedPairs, train_on_dataset, train_on_twin
    from reconstruction.training.distributed import join
    from reconstruction.training.loop import TrainingStoppedError
    from reconstruction.training.run import sole_trainer

    settings = InstrumentOptions(config=instrument.config, instrument=instrument.instrument).settings()
    with join() as world, progress_bars() if world.first else nullcontext(_silent) as report:
        job = _job(folder, network, training, instrument.response or settings.response, world)
        try:
            alone = sole_trainer(folder, resume=training.resume) if world.first else nullcontext()
            with alone, kept_on_interruption(lambda: _kept(job)):
                if data.dataset is not None:
                    trained = train_on_dataset(settings, data.dataset, job, report)
                else:
                    simulated = SimulatedPairs(data.source, data.pairs, training.seed)
                    trained = train_on_twin(settings, simulated, job, report)
        except (InterruptionError, TrainingStoppedError) as stopped:
            if not world.first:  # only one of the processes speaks
                raise SystemExit(stopped.exit_code if isinstance(stopped, InterruptionError) else 1) from stopped
            if isinstance(stopped, InterruptionError):
                raise
            text = f"another process stopped the training at step {stopped.step}; continue with: {job.resume_command}"
            raise SpeckleScopeError(text) from stopped
    if trained is not None:
        model, scores = trained
        publish("held-out scores", {"model": str(folder), "model_id": model.id, **scores.to_dict()}, instrument.json)


def _train_segmenter(
    folder: Path, network: NetworkOptions, data: DataOptions, training: TrainingOptions, instrument: TrainedInstrument
) -> None:
    """Train a segmenter on synthetic cells, and write it to the folder."""
    from app.training.train_segmenter import SegmenterJob, segmenter_shape, train_segmenter
    from reconstruction.training.run import sole_trainer

    if data.dataset is not None or network.from_ is not None:
        raise SpeckleScopeError(
            "a segmenter learns from synthetic cells and from nothing before; give neither --dataset nor --from"
        )
    settings = InstrumentOptions(config=instrument.config, instrument=instrument.instrument).settings()
    with progress_bars() as report, sole_trainer(folder, resume=training.resume):
        job = SegmenterJob(
            folder=folder,
            scenes=data.pairs,
            models=tuple(network.through or ()),
            training=training.config(),
            command=shlex.join(["specklescope", *sys.argv[1:]]),
            shape=segmenter_shape(network.assignments()),
            resume=training.resume,
        )
        numbers = train_segmenter(settings, job, report)
    publish("segmenter", numbers, instrument.json)


def _job(folder: Path, network: NetworkOptions, training: TrainingOptions, response: Path | None, world: World) -> Job:
    from app.training.network_options import network_options
    from app.training.train import Job
    from reconstruction.models.model import load_model

    start = load_model(network.from_) if network.from_ is not None else None
    kind = network.kind or (start.card.kind if start else _USUAL_KIND)
    return Job(
        folder=folder,
        kind=kind,
        network=network_options(kind, network.assignments()),
        training=training.config(),
        command=shlex.join(["specklescope", *sys.argv[1:]]),
        start=start,
        response=response,
        resume=training.resume,
        world=world,
    )


def _kept(job: Job) -> str:
    """Return what an interrupted training leaves."""
    from app.training.process import can_resume

    if can_resume(job.folder):
        return f"the run in {job.folder} is kept; continue with: {job.resume_command}"
    return f"no step was trained, and {job.folder} holds no run; start it again"


def _silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Report of the processes that report nothing."""
