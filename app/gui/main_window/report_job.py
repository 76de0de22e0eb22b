"""Writes the report for whoever helps, in the background, and says where it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Event

from PyQt6.QtCore import QSettings

from acquisition.streams.channel import Stage
from app.diagnostics.report import ReportSource, write_report
from app.gui.widgets.banner import LoggedMessage
from app.jobs.job_list import JobList, JobOrder, Progress
from app.status import Message, MessageLevel, Topic


class ReportJob:
    """The reports of one window, one at a time.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window.
    """

    def __init__(self, jobs: JobList) -> None:
        self._jobs = jobs
        self._running: tuple[Stage, Path] | None = None

    @property
    def running(self) -> bool:
        """Whether a report is being written."""
        return self._running is not None

    def start(self, path: Path, source: ReportSource) -> None:
        """Start to write a report; returns at once."""

        def work(progress: Progress, stop: Event) -> None:
            write_report(path, source)

        self._running = (self._jobs.start(JobOrder(name=f"Report {path.name}", work=work)).stage, path)

    def pop_message(self) -> Message | None:
        """Return how a report ended, once."""
        if self._running is None or self._running[0].running:
            return None
        (stage, path), self._running = self._running, None
        if stage.error is not None:
            return Message(MessageLevel.ERROR, f"The report was not saved: {stage.error}", Topic.COMMAND)
        return Message(MessageLevel.INFO, f"Report saved: {path}. It holds no pictures; send it to whoever helps you")


def messages_of(log: Iterable[LoggedMessage]) -> list[str]:
    """Return the messages of the window as lines."""
    return [f"{entry.time:%Y-%m-%d %H:%M:%S} {entry.message.level}: {entry.message.text}" for entry in log]


def settings_of(store: QSettings | None) -> dict[str, str]:
    """Return what the window remembers, without its place on the screen."""
    return {key: str(store.value(key)) for key in store.allKeys() if key != "geometry"} if store is not None else {}


def suggested_name() -> str:
    """Return a name for the file of a report."""
    return f"specklescope-report-{datetime.now():%Y%m%d-%H%M%S}.zip"
