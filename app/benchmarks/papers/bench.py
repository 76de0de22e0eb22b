"""The experiment as one command: train what is missing, and score all of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from acquisition.archive.atomic_files import write_whole
from app.benchmarks.papers.background import train_missing
from app.benchmarks.papers.own_experiments import score_handwriting, score_transfer
from app.benchmarks.papers.plan import PaperModel, Shelf, paper_models
from app.benchmarks.papers.trainings import PapersFolder, measured_response, papers_pool, train_model
from app.comparison.comparison import evaluate_all
from app.instrument.config import InstrumentConfig, load_config, shipped_file
from app.instrument.kinds import InstrumentName
from app.progress import Report
from drivers.base import SpeckleScopeError
from reconstruction.models.model import read_card

Numbers = dict[str, object]

#: What the iterative row is, and how FAST differs (Sun et al., Light Sci. Appl. 11, 204 (2022), and its published code).
ITERATIVE = (
    "gradient descent on the phase through the calibrated response of the fibre. FAST needs no such response: it measures the "
    "fibre's own phase once, from two speckles at two distances (2500 iterations), and the phase with the object from one more "
    "(40 iterations). Each iteration propagates between facet and far field, with a mask of the fibre and the measured "
    "amplitude. The object's phase is the difference"
)


@dataclass(frozen=True, kw_only=True)
class PapersOptions:
    """How the experiment runs.

    Parameters
    ----------
    instrument : InstrumentName
        The small fibre.
    root : Path, optional
        Folder for pairs, models and scores; None for the user's data.
    processes : int
        Number of trainings at once.
    """

    instrument: InstrumentName = InstrumentName.FIBRE64
    root: Path | None = None
    processes: int = 1

    @property
    def config(self) -> InstrumentConfig:
        """The instrument."""
        return load_config(shipped_file(self.instrument))

    @property
    def folder(self) -> PapersFolder:
        """Folder of the experiment on this instrument."""
        root = self.root or user_data_path("specklescope", appauthor=False) / "papers"
        return PapersFolder(root.absolute() / self.instrument)

    @property
    def models(self) -> tuple[PaperModel, ...]:
        """All models of the experiment on this instrument."""
        frame_px = self.config.twin.optics.image_px
        return paper_models(self.instrument, frame_px, frame_px // self.config.cell_px)


def train_one(options: PapersOptions, name: str, report: Report) -> Numbers:
    """Train one model of the experiment in this process, and return what its card says.

    Raises
    ------
    SpeckleScopeError
        The experiment has no such model; see also :func:`app.benchmarks.papers.trainings.train_model`.
    """
    models = {model.name: model for model in options.models}
    if name not in models:
        raise SpeckleScopeError(f"the experiment on {options.instrument} has no model {name!r}; it has {', '.join(models)}")
    train_model(options.config, options.folder, models[name], report)
    place = options.folder.place(models[name])
    card = read_card(place)
    return {"model": str(place), "minutes": card.seconds / 60, **card.scores}


def bench_papers(options: PapersOptions, report: Report) -> Numbers:
    """Train the models of the experiment that are missing, in the background, and score all of them.

    Scores are kept in the folder; they are measured again when a model has changed.

    Returns
    -------
    dict
        ``rows`` as in ``evaluate --all``; for the smallest fibre also the scores of handwriting and transfer.
    """
    config, folder, models = options.config, options.folder, options.models
    missing = [model for model in models if not folder.is_trained(model)]
    for pairs in dict.fromkeys(model.data for model in missing):
        papers_pool(config, folder, pairs, report)
    response, _ = measured_response(config, folder, report)
    train_missing(options.instrument, folder, models, options.processes, report)

    def on(*shelves: Shelf) -> list[PaperModel]:
        return [model for model in models if model.shelf in shelves]

    with_response = config.model_copy(update={"response": response})
    numbers: Numbers = {"instrument": str(options.instrument), "folder": str(folder.path), "iterative_method": ITERATIVE}
    numbers |= _kept(folder, "methods", on(Shelf.METHODS), lambda: _rows(with_response, folder, report))
    if handwriting := on(Shelf.HANDWRITING):
        numbers |= _kept(folder, "handwriting", handwriting, lambda: score_handwriting(config, folder, handwriting[0], report))
    if transfer := on(Shelf.TRANSFER):
        numbers |= _kept(folder, "transfer", transfer, lambda: score_transfer(config, folder, transfer, report))
    return numbers


def _rows(config: InstrumentConfig, folder: PapersFolder, report: Report) -> Numbers:
    return evaluate_all(config, report, models=folder.path / Shelf.METHODS.value).numbers


def _kept(folder: PapersFolder, name: str, models: Sequence[PaperModel], measure: Callable[[], Numbers]) -> Numbers:
    """Return numbers that were measured before on the same models; measure them otherwise."""
    path = folder.path / "scores" / f"{name}.json"
    ids = {model.name: read_card(folder.trained(model)).weights_sha256 for model in models}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["models"] == ids:
            return dict(kept["numbers"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    numbers = measure()
    write_whole(path, json.dumps({"models": ids, "numbers": numbers}), "choose another folder with --folder")
    return numbers
