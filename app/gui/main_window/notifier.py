"""Tells the operator on the desktop that a long job has ended, while the window is not in front."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtWidgets import QApplication, QStyle, QSystemTrayIcon, QWidget

from app.status import JobState, JobStatus

_SHOWN_MS = 10_000
#: Jobs shorter than this are not worth a notification, in seconds.
_SHORT_S = 5.0


class Notifier:
    """Shows notifications through the system tray; where there is none, the window asks for attention.

    Parameters
    ----------
    window : QWidget
        The window that the jobs belong to.
    """

    def __init__(self, window: QWidget) -> None:
        self._window = window
        self._tray: QSystemTrayIcon | None = None
        self._running: frozenset[str] = frozenset()
        self.messages: list[str] = []

    def watch(self, jobs: Sequence[JobStatus]) -> None:
        """Tell the end of every job that was running at the last call."""
        running = frozenset(job.name for job in jobs if job.state is JobState.RUNNING)
        for job in jobs:
            if job.name in self._running - running and job.seconds >= _SHORT_S:
                self.tell(f"{job.name}: {job.state}", failed=job.state is JobState.FAILED)
        self._running = running

    def tell(self, text: str, *, failed: bool = False) -> None:
        """Show a notification, unless the operator looks at the window."""
        self.messages.append(text)
        if self._window.isActiveWindow():
            return
        if QSystemTrayIcon.isSystemTrayAvailable():
            kind = QSystemTrayIcon.MessageIcon.Critical if failed else QSystemTrayIcon.MessageIcon.Information
            self._shown_tray().showMessage("SpeckleScope", text, kind, _SHOWN_MS)
        else:
            QApplication.alert(self._window)

    def _shown_tray(self) -> QSystemTrayIcon:
        if self._tray is None:
            style = self._window.style()
            assert style is not None
            self._tray = QSystemTrayIcon(style.standardIcon(QStyle.StandardPixmap.SP_ComputerIcon), self._window)
            self._tray.show()
        return self._tray
