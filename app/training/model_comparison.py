"""A new model beside the present one, on held-out pictures: the pictures themselves, their scores, and a verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.instrument.config import InstrumentConfig
from app.instrument.responses import attach
from app.training.model_list import fibre_of
from app.training.train import twin_data
from app.training.verdict import Judgement, PictureScores, judge_pictures
from drivers.base import SpeckleScopeError
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool, from_archive
from reconstruction.data.simulation import simulated_pool
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.evaluation.comparison import Entry, HeldOut, Row, compare
from reconstruction.models.model import Model, load_model

#: Pictures that are compared, unless a model is too slow for so many.
PICTURES: Final = 12
#: Time for one model over all pictures, in seconds.
_BUDGET_S: Final = 60.0
_SEED: Final = 2

Phase = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ComparedPicture:
    """One held-out picture: arrays (grid, grid) in radians, NaN outside the fibre's disc.

    Parameters
    ----------
    truth_rad, new_rad : ndarray of float32
        What was displayed, and what the new model has reconstructed.
    present_rad : ndarray of float32, optional
        What the present model has reconstructed; None without one.
    new, present : PictureScores
        The scores of both.
    """

    truth_rad: Phase
    new_rad: Phase
    present_rad: Phase | None
    new: PictureScores
    present: PictureScores | None


@dataclass(frozen=True, kw_only=True)
class ComparisonOrder:
    """What is compared.

    Parameters
    ----------
    new, present : str
        Names of shipped models, or paths of models.
    config : InstrumentConfig
        The instrument.
    dataset : Path, optional
        The dataset whose held-out pictures are used; None simulates them.
    """

    new: str
    present: str
    config: InstrumentConfig
    dataset: Path | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelComparison:
    """A new model beside the present one.

    Parameters
    ----------
    order : ComparisonOrder
        What was compared.
    new_name, present_name : str
        Their names; ``present_name`` is empty without a present model.
    new_id : str
        Hash of the new model.
    pictures : tuple of ComparedPicture
        The held-out pictures.
    phase_range_rad : float
        Phase of white.
    pairs : str
        Where the pictures come from, for people.
    judgement : Judgement
        The verdict.
    note : str
        Why there is no present model to compare with; empty if there is one.
    """

    order: ComparisonOrder
    new_name: str
    present_name: str
    new_id: str
    pictures: tuple[ComparedPicture, ...]
    phase_range_rad: float
    pairs: str
    judgement: Judgement
    note: str = ""


class _Method:
    """A model in torch, so that no engine has to be compiled first."""

    def __init__(self, model: Model) -> None:
        self._engine = TorchEngine(model)
        self.name = f"{model.card.name} {model.id}"
        self.engine = self._engine.name
        self.evaluations = model.network.evaluations
        self.run = self._engine.run


class _StoppedError(SpeckleScopeError):
    """The comparison was stopped."""


def compare_models(order: ComparisonOrder, report: Callable[[int, int], None], stop: threading.Event) -> ModelComparison:
    """Reconstruct the held-out pictures with both models, and score them.

    Parameters
    ----------
    order : ComparisonOrder
        What is compared.
    report : callable
        Called with the number of pictures done, and how many there are.
    stop : threading.Event
        Ends the comparison with an error when it is set.

    Raises
    ------
    SpeckleScopeError
        The new model or the pictures cannot be used, or it was stopped.
    """
    new = _loaded(order.new, order.config)
    present, note = _present_model(order, new)
    with _held_out(order, new) as pool:
        new.check_frame(pool.reference.shape)

        def progress(done: int, name: str) -> None:
            if stop.is_set():
                raise _StoppedError("the comparison was stopped")
            report(done, pool.ready)

        entries = [Entry(_Method(model)) for model in (new, present) if model is not None]
        held_out = HeldOut(pool, new.mask, new.card.phase_range_rad)
        rows, refused = compare(entries, held_out, _BUDGET_S, progress)
        if refused:
            raise ReconstructionError(refused[0])
        pictures = _pictures(pool, new.mask, rows)
    judgement = judge_pictures([one.new for one in pictures], [one.present for one in pictures if one.present is not None])
    return ModelComparison(
        order=order,
        new_name=new.card.name,
        present_name=present.card.name if present else "",
        new_id=new.id,
        pictures=pictures,
        phase_range_rad=new.card.phase_range_rad,
        pairs=f"the test part of {order.dataset.name}" if order.dataset else "simulated pairs that no training uses",
        judgement=judgement,
        note=note,
    )


def _loaded(name: str, config: InstrumentConfig) -> Model:
    model = load_model(name)
    attach(model, config.response, model.card.fibre)
    return model


def _present_model(order: ComparisonOrder, new: Model) -> tuple[Model | None, str]:
    """Return the present model if it can be compared with the new one; otherwise why not."""
    try:
        present = _loaded(order.present, order.config)
        present.check_fibre(new.card.fibre)
        present.check_frame(new.frame_shape)
    except SpeckleScopeError as error:
        return None, f"There is no present model to compare with: {error}"
    if present.id == new.id:
        return None, "This is the model in use"
    return present, ""


@contextmanager
def _held_out(order: ComparisonOrder, new: Model) -> Iterator[PairPool]:
    if order.dataset is not None:
        pool = from_archive(order.dataset, new.grid_px, "test")
        pool.ready = min(pool.ready, PICTURES)
        yield pool
        return
    if new.card.fibre != fibre_of(order.config) or not order.config.on_twin:
        raise ReconstructionError(
            f"pictures of fibre '{new.card.fibre}' cannot be simulated here; choose a dataset of this fibre to compare on"
        )
    with simulated_pool(twin_data(order.config, "held-out", PICTURES, _SEED, new.grid_px), 0) as pool:
        yield pool


def _pictures(pool: PairPool, mask: NDArray[np.bool_], rows: list[Row]) -> tuple[ComparedPicture, ...]:
    new, present = rows[0], rows[1] if len(rows) > 1 else None
    count = min(len(row.phases_rad) for row in rows)  # a slow model has only the first pictures
    return tuple(
        ComparedPicture(
            truth_rad=_inside(np.asarray(pool.phase_rad[index], np.float32), mask),
            new_rad=_inside(new.phases_rad[index], mask),
            present_rad=_inside(present.phases_rad[index], mask) if present else None,
            new=_scores(new, index),
            present=_scores(present, index) if present else None,
        )
        for index in range(count)
    )


def _inside(phase_rad: Phase, mask: NDArray[np.bool_]) -> Phase:
    return np.where(mask, phase_rad, np.float32(np.nan)).astype(np.float32)


def _scores(row: Row, index: int) -> PictureScores:
    scores = row.per_image[index]
    return PictureScores(scores.ssim, scores.correlation, scores.mae_rad)
