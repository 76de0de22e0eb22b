"""Wakes the window from another thread."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal


class Waker(QObject):
    """Lets the thread of the window do something as soon as it can, however often another thread asks for it meanwhile.

    Parameters
    ----------
    action : callable
        What the thread of the window does.

    Notes
    -----
    It has no parent, so that a thread that still holds it after the page has gone can call it.
    """

    _woken = pyqtSignal()

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self._action: Callable[[], object] | None = action
        self._pending = False
        self._woken.connect(self._act)  # from another thread, Qt queues it

    def wake(self) -> None:
        """Ask for it; any thread may call this."""
        if not self._pending:
            self._pending = True
            self._woken.emit()

    def release(self) -> None:
        """Do nothing from now on, and let go of the action."""
        self._action = None

    def _act(self) -> None:
        self._pending = False  # first: what comes from now on is looked at again
        if self._action is not None:
            self._action()
