"""Filters that take long run beside the window: one picture at a time, and always the newest."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QThreadPool, pyqtSignal

from app.gui.image_view.contents import Shown

Values = NDArray[np.generic]

log = logging.getLogger(__name__)


class FilterThread(QObject):
    """Filters one picture after another in a thread of Qt's pool.

    Pictures that arrive meanwhile replace each other: the newest is filtered next. After :meth:`forget`, no result of an
    older picture arrives.
    """

    finished = pyqtSignal(object, object)  # the Shown of submit(), and its filtered values
    _done = pyqtSignal(int, object, object)  # from the thread

    def __init__(self) -> None:
        super().__init__()
        self._generation = 0
        self._busy = False
        self._waiting: tuple[Shown, Callable[[], Values]] | None = None
        self._done.connect(self._on_done)

    def submit(self, shown: Shown, work: Callable[[], Values]) -> None:
        """Filter a picture; ``finished`` brings the result in the thread of the window."""
        if self._busy:
            self._waiting = (shown, work)
        else:
            self._start(shown, work)

    def forget(self) -> None:
        """Drop what is filtered now and what waits."""
        self._generation += 1
        self._waiting = None

    def _start(self, shown: Shown, work: Callable[[], Values]) -> None:
        pool = QThreadPool.globalInstance()
        if pool is None:
            return
        self._busy = True
        generation = self._generation

        def run() -> None:
            values: Values | None = None
            try:
                values = work()
            except Exception:  # in a thread of Qt, it would end the program
                log.exception("the filters of a picture failed")
            self._done.emit(generation, shown, values)

        pool.start(run)

    def _on_done(self, generation: int, shown: Shown, values: Values | None) -> None:
        self._busy = False
        if values is not None and generation == self._generation:
            self.finished.emit(shown, values)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._start(*waiting)
