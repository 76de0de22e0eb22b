"""Why a training cannot be started, in a sentence, before anything begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.training.process import TrainingOrder
from app.training.training_queue import check_folder
from drivers.base import SpeckleScopeError
from reconstruction.models.model import ModelCard

#: Part of a dataset that is for training; a tenth each is for validation and for the scores.
TRAINING_PART: Final = 0.8
#: Kinds that fit the maps of the fibre first, and the pairs that this needs.
_FITTED_KINDS: Final = ("referenced", "mean-flow")
_FITTED_PAIRS: Final = 64
_BATCH: Final = 8


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What is known of the data of a training.

    Parameters
    ----------
    fibre : str
        Fibre of the dataset; empty if it is unknown, or for simulated pairs.
    pairs : int
        Number of pairs, all parts together.
    problem : str
        Why the dataset cannot be read; empty if it can.
    """

    fibre: str = ""
    pairs: int = 0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainedFibre:
    """The fibre that a model is for.

    Parameters
    ----------
    name : str
        Its name; empty if it is unknown.
    simulated : bool
        Whether it is a twin, whose pairs can be simulated.
    """

    name: str
    simulated: bool


def order_problem(order: TrainingOrder, fibre: TrainedFibre, data: TrainingData, start: ModelCard | None) -> str:
    """Return why this training cannot be started, and what to do; empty if it can.

    Parameters
    ----------
    order : TrainingOrder
        What is asked for.
    fibre : TrainedFibre
        The fibre of the instrument.
    data : TrainingData
        Facts about the dataset.
    start : ModelCard, optional
        Card of the model to start from.
    """
    return _data_problem(order, fibre, data) or _pairs_problem(order, data, start) or _folder_problem(order)


def _data_problem(order: TrainingOrder, fibre: TrainedFibre, data: TrainingData) -> str:
    if order.dataset is None:
        if fibre.simulated:
            return ""
        return "Pairs can only be simulated for the simulated fibre. For this instrument, choose a dataset that it has acquired"
    name = order.dataset.name
    if not order.dataset.is_dir():
        return f"{name} is not there any more; plug in its disk again, or choose another dataset"
    if data.problem:
        return f"{name} cannot be used: {data.problem}"
    if data.fibre and fibre.name and data.fibre != fibre.name:
        return (
            f"{name} is a dataset of fibre '{data.fibre}', and this instrument has '{fibre.name}'. "
            "A model of it would not fit; choose another dataset, or open the instrument of that fibre"
        )
    return ""


def _pairs_problem(order: TrainingOrder, data: TrainingData, start: ModelCard | None) -> str:
    pairs = order.pairs if order.dataset is None else round(TRAINING_PART * data.pairs)
    counted = f"{pairs} pairs" if order.dataset is None else f"about {pairs} of its {data.pairs} pairs"
    if start is None and order.kind in _FITTED_KINDS and pairs < _FITTED_PAIRS:
        way = "Use more pairs, or start from a trained model, which needs only a few"
        return f"{counted} are for training, and a new model of this kind needs at least {_FITTED_PAIRS}. {way}"
    if pairs < _BATCH:
        return f"{counted} are for training, and at least {_BATCH} are needed. Use more pairs"
    return ""


def _folder_problem(order: TrainingOrder) -> str:
    if not order.folder.name:
        return "Give the model a name"
    try:
        check_folder(order.folder)
    except SpeckleScopeError as error:
        return str(error)
    return ""
