"""Trains one model of the experiment in this process, on one core; a training that was stopped goes on where it was."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import torch

from app.benchmarks.papers.handwriting import write_digits
from app.benchmarks.papers.plan import BATCH, FINE_TUNING_STEPS, HANDWRITING, PairsPlan, PaperModel, Stage
from app.calibrations.kinds import Calibration
from app.calibrations.measure import MEASURE, Task
from app.calibrations.storing import MeasuredOn, store
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_rig
from app.progress import Report
from app.training.process import can_resume
from app.training.train import TEST_PAIRS, VALIDATION_PAIRS, Job, StoredPairs, train_on_stored, twin_data
from calibration.fibre.response import KIND
from calibration.stored import FILE, devices_of, load
from drivers.base import SpeckleScopeError
from drivers.clock import VirtualClock
from reconstruction.data.pairs import PairPool
from reconstruction.data.simulation import cores, stored_pool
from reconstruction.models.model import CARD, SHIPPED, load_model, read_card
from reconstruction.training.config import TrainConfig
from reconstruction.training.loop import TrainingClock
from reconstruction.training.run import sole_trainer

#: What the card of a trained model names as the command that trained it.
COMMAND = "specklescope bench papers --train {}"
#: Pairs for the scores of validation, and for those in the model card.
_VALIDATION = PairsPlan(source="validation", pairs=VALIDATION_PAIRS, seed=1)
_TEST = PairsPlan(source="held-out", pairs=TEST_PAIRS, seed=2)


@dataclass(frozen=True)
class PapersFolder:
    """The folder that keeps pairs, models and scores of one instrument.

    Parameters
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def response(self) -> Path:
        """Folder of the measured response of the fibre."""
        return self.path / "response"

    @property
    def digits(self) -> Path:
        """Folder of the pictures of digits."""
        return self.path / "digits"

    def place(self, model: PaperModel) -> Path:
        """Return the folder of a model."""
        return self.path / model.shelf.value / model.name

    def stage(self, model: PaperModel, number: int) -> Path:
        """Return the folder of a stage of a model: the last one is the model."""
        last = number == len(model.stages) - 1
        return self.place(model) if last else self.path / "stages" / f"{model.name}-{number + 1}"

    def trained(self, model: PaperModel) -> Path:
        """Return the folder of a trained model: its place, or the shipped weights if it was not trained here."""
        place, shipped = self.place(model), SHIPPED / model.name
        return shipped if not _is_finished(place) and _is_finished(shipped) else place

    def is_trained(self, model: PaperModel) -> bool:
        """Whether a model is trained, here or before it was shipped."""
        return _is_finished(self.trained(model))


def train_model(config: InstrumentConfig, folder: PapersFolder, model: PaperModel, report: Report) -> None:
    """Train a model of the experiment with one thread; nothing happens if it is trained already.

    Parameters
    ----------
    config : InstrumentConfig
        The small fibre.
    folder : PapersFolder
        Where pairs, stages and models are.
    model : PaperModel
        What to train.
    report : Report
        Called with the progress.

    Raises
    ------
    SpeckleScopeError
        Another process trains this model, the model that it starts from is missing, or a file cannot be written.
    InterruptionError
        A signal came; the training goes on when it is started again.
    """
    stored = _pairs_of(config, folder, model, report)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    spent_s, response = 60 * model.base_minutes, None
    if model.needs_response:
        response, spent_s = measured_response(config, folder, report)
    for number, stage in enumerate(model.stages):
        place = folder.stage(model, number)
        if not _is_finished(place):
            job = replace(_job(folder, model, number), response=response, clock=TrainingClock(time.process_time, spent_s))
            with sole_trainer(place, resume=job.resume):
                train_on_stored(config, stored, job, report)
        spent_s = 60 * model.minutes * stage.part


def papers_pool(config: InstrumentConfig, folder: PapersFolder, pairs: PairsPlan, report: Report) -> PairPool:
    """Return pairs of the experiment; they are simulated if the folder does not hold them yet."""
    source = pairs.source
    if pairs == HANDWRITING:
        write_digits(folder.digits, pairs.pairs, report)
        source = str(folder.digits / "training")
    data = twin_data(config, source, pairs.pairs, pairs.seed, config.twin.optics.image_px)
    workers = cores() if pairs.pairs > 1000 else 0

    def progress(done: int) -> None:
        report(f"simulating {pairs.source}", done, pairs.pairs)

    return stored_pool(data, folder.path / "pairs" / pairs.name, workers, progress)


def measured_response(config: InstrumentConfig, folder: PapersFolder, report: Report) -> tuple[Path, float]:
    """Return the folder of the fibre's measured response, and the time of one core that its measurement took, in seconds."""
    place = folder.response
    if not (place / FILE).is_file():
        rig, fibre = open_rig(config, VirtualClock())
        started_s = time.process_time()
        try:
            measured = MEASURE[Calibration.RESPONSE](Task(rig=rig, settings=config, report=report))
            on = MeasuredOn(devices=devices_of(rig), fibre=fibre, seconds=time.process_time() - started_s)
        finally:
            rig.close()
        store(Calibration.RESPONSE, measured, on, place)
    return place, float(str(load(place, KIND).values["seconds"]))


def _pairs_of(config: InstrumentConfig, folder: PapersFolder, model: PaperModel, report: Report) -> StoredPairs:
    plan = model.data
    training = papers_pool(config, folder, plan, report)
    if model.few:
        training = replace(training, ready=model.few)
    described = f"{training.ready} simulated pairs, source '{plan.source}', seed {plan.seed}"
    return StoredPairs(
        training=training,
        validation=papers_pool(config, folder, _VALIDATION, report),
        test=papers_pool(config, folder, _TEST, report),
        description=f"{described}, phase range {config.phase_range_rad} rad",
        facts={"source": plan.source, "pairs": training.ready, "seed": plan.seed},
    )


def _job(folder: PapersFolder, model: PaperModel, number: int) -> Job:
    stage, place = model.stages[number], folder.stage(model, number)
    before = folder.stage(model, number - 1) if number else _base(folder, model) if model.base else None
    return Job(
        folder=place,
        kind=model.kind,
        network={**model.network, **stage.network},
        training=_training(model, stage),
        command=COMMAND.format(model.name),
        start=load_model(before) if before else None,
        resume=can_resume(place),
        command_resumes=True,
        counts_fit=True,
    )


def _base(folder: PapersFolder, model: PaperModel) -> Path:
    """Return the folder of the model that a training starts from."""
    base = replace(model, name=model.base)
    if not folder.is_trained(base):
        raise SpeckleScopeError(f"{model.name} starts from {base.name}, which is not trained yet; train that first")
    return folder.trained(base)


def _training(model: PaperModel, stage: Stage) -> TrainConfig:
    return TrainConfig(
        steps=FINE_TUNING_STEPS,
        minutes=None if model.few else model.minutes * stage.part,
        batch=min(BATCH, model.few or BATCH),
        learning_rate=stage.rate,
        seed=model.seed,
        validate_every=stage.validate_every,
        checkpoint_every=500,
    )


def _is_finished(place: Path) -> bool:
    """Whether a folder holds a model with its scores, which are the last that is written."""
    return (place / CARD).is_file() and "steps" in read_card(place).scores
