"""Carries out an order for an export: with progress, stopped at any frame, and with nothing half-done left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from acquisition.exchange.export import ExportFormat, exported_files
from acquisition.exchange.export_base import ExportError
from acquisition.exchange.formats.excerpt import Excerpt
from app.exporting.order import ExportOrder, Opened, OrderedArchive
from app.jobs.job_list import Progress
from app.library.in_use import kept_in_place
from drivers.base import SpeckleScopeError


class ExportStoppedError(SpeckleScopeError):
    """The export was asked to stop; the file that it was writing is removed."""


@dataclass(frozen=True)
class ExportReport:
    """What an export has written.

    Parameters
    ----------
    files : tuple of Path
        The new files and folders.
    failed : tuple of str
        Why something was not exported, each as a sentence.
    stopped : bool
        Whether it was asked to stop before its end.
    """

    files: tuple[Path, ...]
    failed: tuple[str, ...] = ()
    stopped: bool = False


#: Paints and writes the film as displayed of an archive to a path; it is told to call something for each frame.
FilmWriter = Callable[[OrderedArchive, ExportOrder, Callable[[], None]], None]


class _Counter:
    """Counts images that were read, reports them, and ends the export when it shall stop."""

    def __init__(self, progress: Progress, stop: threading.Event, total: int) -> None:
        self._progress = progress
        self._stop = stop
        self._total = max(1, total)
        self._least_done = 0
        self._done = 0

    def step(self) -> None:
        if self._stop.is_set():
            raise ExportStoppedError("the export was stopped; complete files stay")
        self._done += 1
        # The levels of a film are found in frames that are read twice.
        self._progress(min(self._done, self._total - 1), self._total)

    def close(self, images: int) -> None:
        self._least_done += images
        self._done = self._least_done
        self._progress(min(self._least_done, self._total), self._total)


def carry_out(
    opened: Opened,
    order: ExportOrder,
    progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
    write_film: FilmWriter | None = None,
) -> ExportReport:
    """Export what is ordered; a format or an archive that fails does not stop the others.

    Parameters
    ----------
    opened : Opened
        The archives of the order.
    order : ExportOrder
        What is exported.
    progress : callable
        Called with how many images are written, and how many there are.
    stop : threading.Event, optional
        Ends the export at the next image.
    write_film : callable, optional
        Writes the film as displayed, where it is ordered.

    Raises
    ------
    ExportError
        The disk is too small, a file exists, or the folder cannot be written: nothing is begun.
    """
    plan = opened.plan(order)
    if plan.problems:
        raise ExportError(plan.problems[0].text)
    run = _Run(order, progress, stop or threading.Event(), write_film if order.displayed else None)
    return run.all_of(opened.archives)


class _Run:
    """One order that is being carried out."""

    def __init__(self, order: ExportOrder, progress: Progress, stop: threading.Event, write_film: FilmWriter | None) -> None:
        self._order = order
        self._report = progress
        self._stop = stop
        self._write_film = write_film
        self._files: list[Path] = []
        self._failed: list[str] = []

    def all_of(self, archives: Sequence[OrderedArchive]) -> ExportReport:
        self._counter = _Counter(self._report, self._stop, sum(map(self._images, archives)))
        stopped = False
        for one in archives:
            try:
                with kept_in_place(one.path):
                    self._formats_of(one)
            except ExportStoppedError:
                stopped = True
                break
            except SpeckleScopeError as error:
                self._failed.append(str(error))
        return ExportReport(tuple(self._files), tuple(self._failed), stopped=stopped)

    def _images(self, one: OrderedArchive) -> int:
        part = one.excerpt(self._order)
        films = len(part) if self._write_film is not None else 0
        return films + sum(_images_of(target, part) for target in self._order.formats)

    def _formats_of(self, one: OrderedArchive) -> None:
        order, counter = self._order, self._counter
        part = one.excerpt(order, counter.step)
        for target in order.formats:
            written = exported_files(part, order.folder_of(one.path), [target], order.options, overwrite=order.overwrite)
            try:
                with closing(written):
                    for file in written:
                        self._files += [file] if file not in self._files else []
            except ExportStoppedError:
                raise
            except SpeckleScopeError as error:
                self._failed.append(f"{target}: {error}")
            counter.close(_images_of(target, part))
        if self._write_film is not None:
            self._write_film(one, order, counter.step)
            self._files.append(order.displayed_film(one.path))
            counter.close(len(part))


def _images_of(target: ExportFormat, part: Excerpt) -> int:
    """Return how many images a format reads; without those from which the levels of a film are found."""
    single = {ExportFormat.FFV1: 1, ExportFormat.VIEWING_MP4: 1, ExportFormat.SPECDIFFUSION: 2}
    return len(part) * single.get(target, len(part.arrays))
