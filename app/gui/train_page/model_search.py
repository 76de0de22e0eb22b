"""The models of this computer; they are looked for in a thread, because their weights are read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from acquisition.streams.channel import Stage
from app.training.model_list import ListedModel, listed_models


class ModelSearch:
    """One search at a time; the window asks for its result."""

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._result: tuple[ListedModel, ...] | None = None
        self._again: tuple[Path, ...] | None = None

    def look(self, folders: Iterable[Path]) -> None:
        """Begin to look into these folders; if a search is running, afterwards."""
        wanted = tuple(folders)
        if self._stage is not None and self._stage.running:
            self._again = wanted
            return
        self._stage = Stage("models", lambda stop: self._work(wanted))
        self._stage.start()

    def poll(self) -> tuple[ListedModel, ...] | None:
        """Return the models once after each search; None otherwise."""
        if self._stage is None or self._stage.running:
            return None
        result, self._result = self._result, None
        if self._again is not None:
            wanted, self._again = self._again, None
            self.look(wanted)
        return result

    def _work(self, folders: tuple[Path, ...]) -> None:
        self._result = listed_models(folders)
