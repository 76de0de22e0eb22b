"""Which model the operator has chosen for each instrument; the window remembers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QSettings

_KEY: Final = "train/models"
_MOST_INSTRUMENTS: Final = 200


class ModelChoices:
    """The chosen models. A choice ends when the instrument file names another model than it did then.

    Parameters
    ----------
    store : QSettings, optional
        Where they are stored; None forgets them at the end.
    """

    def __init__(self, store: QSettings | None) -> None:
        self._store = store
        self._choices = _read(store)

    def of(self, instrument: Path | None, file_model: str) -> str:
        """Return the model that was chosen for an instrument; empty if there is none.

        Parameters
        ----------
        instrument : Path, optional
            Instrument file; None is the simulated instrument.
        file_model : str
            The model that the file names.
        """
        chosen, over = self._choices.get(_name(instrument), ("", ""))
        return chosen if over == file_model and chosen != file_model else ""

    def remember(self, instrument: Path | None, file_model: str, model: str) -> None:
        """Store that ``model`` was chosen over the one that the instrument file names."""
        name = _name(instrument)
        self._choices.pop(name, None)
        self._choices[name] = (model, file_model)  # the newest last
        self._choices = dict(list(self._choices.items())[-_MOST_INSTRUMENTS:])
        if self._store is not None:
            self._store.setValue(_KEY, json.dumps(self._choices))


def _name(instrument: Path | None) -> str:
    return str(instrument.absolute()) if instrument is not None else ""


def _read(store: QSettings | None) -> dict[str, tuple[str, str]]:
    text = store.value(_KEY, "") if store is not None else ""
    try:
        content = json.loads(text) if isinstance(text, str) and text else {}
        return {str(name): (str(model), str(over)) for name, (model, over) in content.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}  # a damaged entry: the model of the file is used
