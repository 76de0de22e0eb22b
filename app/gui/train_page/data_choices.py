"""The datasets of an archive that a model can be trained on; they are looked for in a thread."""

from __future__ import annotations

import threading
from pathlib import Path

from acquisition.streams.channel import Stage
from app.library.entry import Entry, EntryKind
from app.library.library import Library
from drivers.base import SpeckleScopeError


class DatasetSearch:
    """One search at a time; the window asks for its results."""

    def __init__(self) -> None:
        self.problem = ""  # why the archive cannot be read, as a sentence
        self._library: Library | None = None
        self._stage: Stage | None = None
        self._shown: tuple[Entry, ...] | None = None

    def look(self, archive: Path) -> None:
        """Begin to look through an archive, unless this is being done."""
        if self._library is None or self._library.root != archive:
            self._library = Library(archive)
            self._shown = None
        elif self._stage is not None and self._stage.running:
            return
        library = self._library
        self._stage = Stage("datasets for training", lambda stop: self._work(library, stop))
        self._stage.start()

    def end(self) -> None:
        """Stop looking."""
        if self._stage is not None:
            self._stage.request_stop()

    def poll(self) -> tuple[Entry, ...] | None:
        """Return the datasets if they have changed since the last call; None otherwise."""
        if self._library is None:
            return None
        datasets = tuple(entry for entry in self._library.entries if entry.kind is EntryKind.DATASET)
        if datasets == self._shown:
            return None
        self._shown = datasets
        return datasets

    def _work(self, library: Library, stop: threading.Event) -> None:
        if not library.root.is_dir():
            self.problem = ""  # nothing was acquired yet
            return
        try:
            library.load()
            library.scan(stop=stop)
            self.problem = ""
        except SpeckleScopeError as error:
            self.problem = str(error)
