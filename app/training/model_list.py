"""Every model that can be used here, with its card in words: shipped ones, and those that were trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.training.compiled_engines import Compilation, in_text, last_compilation
from app.training.process import KIND_DESCRIPTIONS
from drivers.base import SpeckleScopeError
from reconstruction.models.model import (
    CARD,
    DEFAULT_MODEL,
    SHIPPED,
    WEIGHTS,
    ModelCard,
    model_folder,
    read_card,
    shipped_models,
)

_ID_DIGITS = 12


class ModelOrigin(Enum):
    """Where a model comes from."""

    SHIPPED = "shipped with the program"
    TRAINED = "trained here"


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """A model of the list.

    Parameters
    ----------
    folder : Path
        Its folder.
    origin : ModelOrigin
        Where it comes from.
    card : ModelCard, optional
        Facts about it; None if they cannot be read.
    size_bytes : int
        Size of its weights on the disk.
    problem : str
        Why it cannot be read, for people.
    """

    folder: Path
    origin: ModelOrigin
    card: ModelCard | None = None
    size_bytes: int = 0
    problem: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def reference(self) -> str:
        """What an instrument file says to use it: the name of a shipped model, the path of another one."""
        return self.name if self.origin is ModelOrigin.SHIPPED else str(self.folder)

    @property
    def id(self) -> str:
        """The first digits of the SHA-256 of its weights, as archives name it."""
        return self.card.weights_sha256[:_ID_DIGITS] if self.card else ""

    @property
    def compilation(self) -> Compilation | None:
        """What its last compilation on this computer has measured."""
        return last_compilation(self.id) if self.card else None

    def misfit(self, fibre: str) -> str:
        """Return why it cannot be used for a fibre, as a sentence; empty if it can. An unknown fibre fits."""
        if self.card is None:
            return self.problem
        if fibre and self.card.fibre != fibre:
            return f"It was trained for fibre '{self.card.fibre}'; this instrument has '{fibre}'"
        return ""


def listed_models(folders: Iterable[Path] = ()) -> tuple[ListedModel, ...]:
    """Return the shipped models, then those that lie in some folders.

    Parameters
    ----------
    folders : iterable of Path
        Model folders, and folders that hold model folders. What is not there is left out.
    """
    models = [_listed(SHIPPED / name, ModelOrigin.SHIPPED) for name in shipped_models()]
    models.sort(key=lambda model: model.name != DEFAULT_MODEL)  # the usual one first
    seen = {model.folder.resolve() for model in models}
    for folder in folders:
        for place in _model_folders(folder):
            if place.resolve() not in seen:
                seen.add(place.resolve())
                models.append(_listed(place, ModelOrigin.TRAINED))
    return tuple(models)


def _model_folders(folder: Path) -> list[Path]:
    try:
        return sorted(card.parent for card in (*folder.glob(CARD), *folder.glob(f"*/{CARD}")))
    except OSError:
        return []


def _listed(folder: Path, origin: ModelOrigin) -> ListedModel:
    try:
        card = read_card(folder)
        return ListedModel(folder=folder, origin=origin, card=card, size_bytes=(folder / WEIGHTS).stat().st_size)
    except (SpeckleScopeError, OSError) as error:
        return ListedModel(folder=folder, origin=origin, problem=str(error))


def reference_of(model: str) -> str:
    """Return how :attr:`ListedModel.reference` names the model that an instrument file names."""
    return model if model in shipped_models() else str(Path(model).expanduser().absolute())


def fibre_of(config: InstrumentConfig) -> str:
    """Return the fibre of an instrument, as models name it; empty if it has no name."""
    return fibre_name(config.twin.optics) if config.on_twin else config.fibre


def usable_model(model: str, fibre: str) -> str:
    """Return why a model that was chosen before cannot be used any more, as a sentence; empty if it can.

    Parameters
    ----------
    model : str
        The name of a shipped model, or the path of a model.
    fibre : str
        Name of the fibre; empty if it is unknown.
    """
    try:
        listed = _listed(model_folder(model), ModelOrigin.TRAINED)
    except SpeckleScopeError:
        return f"The model {model} that you chose is not there any more"
    misfit = listed.misfit(fibre)
    return f"The model {listed.name} that you chose cannot be used. {misfit}" if misfit else ""


def card_lines(model: ListedModel) -> tuple[tuple[str, str], ...]:
    """Return the card of a model in words: captions and texts."""
    card = model.card
    if card is None:
        return (("Problem", model.problem),)
    pairs = card.data or "unknown data"
    minutes = f"{card.seconds / 60:.0f} minutes" if card.seconds >= 90 else f"{card.seconds:.0f} seconds"
    return (
        ("What it is", f"{KIND_DESCRIPTIONS.get(card.kind, card.kind)} ({card.kind}), {model.origin.value}"),
        ("Trained on", pairs),
        ("Trained for", f"{minutes} on {card.device or 'an unknown device'}, without the preparation"),
        ("Fibre", f"{card.fibre}. For any other fibre, and after this one was bent, it has to be trained again"),
        ("Scores", scores_text(card)),
        ("Limits", _limits(card)),
        ("Size", f"{_parameters(card)}{model.size_bytes / 1e6:.1f} MB of weights"),
        ("Hash", f"{model.id}, the beginning of the SHA-256 of its weights; recordings and exports name it"),
        ("Speed", in_text(model.compilation)),
        ("Folder", str(model.folder)),
    )


def scores_text(card: ModelCard) -> str:
    """Return the scores of a card in words."""
    scores = card.scores
    if "ssim" not in scores:
        step = scores.get("stopped_at_step")
        return f"none: its training was stopped at step {step}" if step else "none"
    names = (("SSIM", "ssim", ""), ("correlation", "correlation", ""), ("mean absolute error", "mae_rad", " rad"))
    texts = [f"{name} {value:.3f}{unit}" for name, key, unit in names if isinstance(value := scores.get(key), int | float)]
    return f"{', '.join(texts)}; means over {scores.get('images', 'some')} pictures that it had never seen"


def _parameters(card: ModelCard) -> str:
    return f"{card.parameters / 1e6:.2f} million parameters, " if card.parameters else ""


def _limits(card: ModelCard) -> str:
    steps = f" Each frame takes {card.evaluations} evaluations of its network." if card.evaluations > 1 else ""
    return (
        "Speckle depends only weakly on the mean phase, which is estimated from the content of the picture. "
        f"Details below about {7 / 512:.1%} of the width of the picture cannot be resolved.{steps}"
    )
