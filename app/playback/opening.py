"""An archive is opened in a thread, because the journal of a long recording takes a while, and a disk may not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from acquisition.streams.channel import Stage
from app.playback.played_archive import PlayedArchive
from drivers.base import SpeckleScopeError


class Opening:
    """Opens one archive.

    Parameters
    ----------
    path : Path
        Its folder.
    wake : callable
        Called in the thread when ``archive`` or ``problem`` is there.

    Attributes
    ----------
    archive : PlayedArchive or None
        The archive, once it is open.
    problem : str
        Why it cannot be opened; empty until that is known.
    """

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        self.path = path
        self.archive: PlayedArchive | None = None
        self.problem = ""
        self._wake = wake
        self.stage = Stage("open archive", self._work)
        self.stage.start()

    @property
    def is_done(self) -> bool:
        """Whether it is known how it ended."""
        return self.archive is not None or bool(self.problem)

    def _work(self, stop: threading.Event) -> None:
        try:
            self.archive = PlayedArchive(self.path)
        except (SpeckleScopeError, OSError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self.problem = f"{reason[:1].upper()}{reason[1:]}"
        self._wake()
