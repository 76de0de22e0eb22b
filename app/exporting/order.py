"""What is exported, and what it will take: frames, frames without a phase, size, and what stands in the way."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path

import numpy as np

from acquisition.archive.folder import free_bytes
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.exchange.export import ExportFormat, FormatOptions, exported_names
from acquisition.exchange.export_base import ExportError
from acquisition.exchange.formats.excerpt import Excerpt, FrameRange, Part, frames_between, offered_layers, result_of
from app.exporting.facts import exported_facts
from drivers.base import SpeckleScopeError

#: A film for viewing has about so many bytes for each pixel.
_VIEWING_BYTES = 0.15
#: Free space that stays, as a part of what is written.
_MARGIN = 1.05
_WITH_EVERYTHING = {
    ExportFormat.OME_TIFF,
    ExportFormat.OME_ZARR,
    ExportFormat.HDF5,
    ExportFormat.MATLAB,
    ExportFormat.NPZ,
}


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Frames by their time in seconds after the first one.

    Parameters
    ----------
    start_s, end_s : float
        From when to when; both ends count. None for the end of the archive.
    every_nth : int
        Only every so many frames.
    """

    start_s: float = 0.0
    end_s: float | None = None
    every_nth: int = 1


@dataclass(frozen=True, kw_only=True)
class ExportOrder:
    """What is exported.

    Parameters
    ----------
    paths : tuple of Path
        Folders of recordings and datasets.
    formats : tuple of ExportFormat
        Formats, in order.
    out : Path, optional
        Folder of the files; None for the folder ``export`` in each archive.
    frames : FrameRange or Seconds
        Which frames of each.
    layers : tuple of str, optional
        Which layers; None for all. A layer that an archive does not have is left out there.
    result : str
        Folder or name of the result that is exported; empty for what was recorded.
    options : FormatOptions
        Options of single formats.
    displayed : bool
        Also a film as the window displays it, which the window paints.
    overwrite : bool
        Replace files that exist.
    """

    paths: tuple[Path, ...]
    formats: tuple[ExportFormat, ...]
    out: Path | None = None
    frames: FrameRange | Seconds = field(default_factory=FrameRange)
    layers: tuple[str, ...] | None = None
    result: str = ""
    options: FormatOptions = field(default_factory=FormatOptions)
    displayed: bool = False
    overwrite: bool = False

    def folder_of(self, path: Path) -> Path:
        """Return the folder of the files of an archive."""
        return self.out or path / "export"

    def displayed_film(self, path: Path) -> Path:
        """Return the film as displayed of an archive."""
        return self.folder_of(path) / f"{path.name}_displayed.mp4"


class Subject(Enum):
    """What a problem is about, so that it is told beside it."""

    ARCHIVE = "archive"
    FORMATS = "formats"
    LAYERS = "layers"
    FRAMES = "frames"
    FOLDER = "folder"


@dataclass(frozen=True)
class Problem:
    """Why an order cannot be carried out.

    Parameters
    ----------
    subject : Subject
        What it is about.
    text : str
        A sentence.
    """

    subject: Subject
    text: str


class OrderedArchive:
    """One archive of an order; it is opened, but no image is read.

    Parameters
    ----------
    path : Path
        Its folder.

    Raises
    ------
    SpeckleScopeError
        It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archive = Archive.open(path)
        if not len(self.archive):
            raise ExportError(f"{path.name} holds no images; there is nothing to export")
        self.rows = self.archive.rows()
        self.is_recording = self.archive.kind is ArchiveKind.RECORDING
        results, self.damaged_results = self.archive.results()
        self.results = tuple(results)
        self.duration_s = max(0.0, (self.rows[-1].t_ns - self.rows[0].t_ns) * 1e-9)
        self.layers = self.archive.arrays
        self.facts: Mapping[str, object] = exported_facts(self.archive)

    def frames_of(self, order: ExportOrder) -> FrameRange:
        """Return the frames that an order names; raises ExportError where there are none."""
        frames = order.frames
        if isinstance(frames, Seconds):
            frames = frames_between(self.archive, frames.start_s, frames.end_s, frames.every_nth)
        frames.numbers(len(self.rows))
        return frames

    def excerpt(self, order: ExportOrder, on_read: Callable[[], None] = lambda: None) -> Excerpt:
        """Return the part of this archive that an order names; raises ExportError where there is no such part."""
        frames = self.frames_of(order)
        result = result_of(self.archive, order.result) if order.result else None
        layers = order.layers
        if layers is not None:
            layers = tuple(name for name in offered_layers(self.archive, result) if name in layers)
        part = Part(frames=frames, layers=layers, result=result, facts=self.facts, on_read=on_read)
        return Excerpt(self.archive, part)


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """What an order will take.

    Parameters
    ----------
    frames, without_phase : int
        Frames that are exported, and how many of them have no phase.
    expected_bytes : int
        About how large the files will be; films are estimated.
    free_bytes : int
        Free space where they go.
    existing : tuple of Path
        Files that are there already.
    problems : tuple of Problem
        What stands in the way; nothing where it can begin.
    """

    frames: int = 0
    without_phase: int = 0
    expected_bytes: int = 0
    free_bytes: int = 0
    existing: tuple[Path, ...] = ()
    problems: tuple[Problem, ...] = ()

    def problem(self, subject: Subject) -> str:
        """Return the first sentence about a subject; empty where there is none."""
        return next((one.text for one in self.problems if one.subject is subject), "")


class Opened:
    """The archives of an order, each opened once, so that a plan follows every change of the order at once.

    Parameters
    ----------
    paths : tuple of Path
        Their folders.

    Attributes
    ----------
    problems : dict of Path to str
        Why one cannot be exported.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self.archives: list[OrderedArchive] = []
        self.problems: dict[Path, str] = {}
        for path in paths:
            try:
                self.archives.append(OrderedArchive(path))
            except (SpeckleScopeError, OSError, ValueError) as error:
                self.problems[path] = _sentence(error)

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Every layer that one of them has, recorded or computed later."""
        names = [name for one in self.archives for name in one.layers]
        names += [name for one in self.archives for result in one.results for name in result.layers]
        return tuple(dict.fromkeys(names))

    def plan(self, order: ExportOrder) -> ExportPlan:
        """Return what an order for these archives will take."""
        problems = [Problem(Subject.ARCHIVE, text) for text in self.problems.values()]
        if not order.formats and not order.displayed:
            problems.append(Problem(Subject.FORMATS, "Choose at least one format"))
        parts: list[Excerpt] = []
        for one in self.archives:
            subject = Subject.FRAMES
            try:
                one.frames_of(order)
                subject = Subject.LAYERS
                parts.append(one.excerpt(order))
            except SpeckleScopeError as error:
                problems.append(Problem(subject, _sentence(error)))
        files: list[Path] = []
        for part in parts:
            named, refused = _files(part, order)
            files += named
            problems += refused
        expected = sum(expected_bytes(part, target, order.options) for part in parts for target in order.formats)
        expected += sum(_film_bytes(part, order.options) for part in parts) if order.displayed else 0
        existing = [file for file in files if file.exists()]
        free, folder_problem = _room(order, self.archives, expected, existing)
        problems += [Problem(Subject.FOLDER, folder_problem)] if folder_problem else []
        return ExportPlan(
            frames=sum(map(len, parts)),
            without_phase=sum(map(_without_phase, parts)),
            expected_bytes=expected,
            free_bytes=free,
            existing=tuple(existing),
            problems=tuple(dict.fromkeys(problems)),
        )


def _without_phase(part: Excerpt) -> int:
    """Return how many frames of a part have no phase; 0 where no phase is exported, and for a dataset."""
    if part.kind is not ArchiveKind.RECORDING or "phase" not in part.arrays:
        return 0
    return sum(ROW_NOT_RECONSTRUCTED in row.extra for row in part.rows())


def _files(part: Excerpt, order: ExportOrder) -> tuple[list[Path], list[Problem]]:
    """Return the files of an archive, and which formats do not fit it."""
    files, problems = [], []
    for target in order.formats:
        try:
            files += [order.folder_of(part.path) / name for name in exported_names(part, target, order.options)]
        except SpeckleScopeError as error:
            problems.append(Problem(Subject.FORMATS, _sentence(error)))
    if order.displayed:
        files.append(order.displayed_film(part.path))
    return files, problems


def expected_bytes(part: Archive, target: ExportFormat, options: FormatOptions) -> int:
    """Return about how many bytes an export will have; of formats that compress, at most so many."""
    sizes = {name: part.spec(name) for name in part.arrays}
    if target in _WITH_EVERYTHING:
        return len(part) * sum(spec.nbytes for spec in sizes.values())
    if target is ExportFormat.FFV1:
        return len(part) * sizes["speckle"].nbytes if "speckle" in sizes else 0
    if target is ExportFormat.VIEWING_MP4:
        return _film_bytes(part, options)
    pixels = int(np.prod((sizes.get("phase") or next(iter(sizes.values()))).shape))
    speckle = int(np.prod(sizes["speckle"].shape)) if "speckle" in sizes else 0
    return len(part) * (speckle + pixels)


def _film_bytes(part: Archive, options: FormatOptions) -> int:
    layer = next((name for name in (options.film.layer, "phase") if name in part.arrays), part.arrays[0])
    return int(len(part) * np.prod(part.spec(layer).shape) * _VIEWING_BYTES)


def _room(order: ExportOrder, archives: list[OrderedArchive], expected: int, existing: list[Path]) -> tuple[int, str]:
    """Return the free bytes of the folder, and why nothing can be written into it; empty when it can."""
    folders = list(dict.fromkeys(order.folder_of(one.path) for one in archives)) or ([order.out] if order.out else [])
    free = 0
    for folder in folders:
        there = next((one for one in (folder, *folder.parents) if one.exists()), None)
        if there is None or not there.is_dir():
            return 0, f"{there or folder} is no folder; choose another one"
        if not _may_write(there):
            return 0, f"Nothing can be written into {there}: there are no rights to; choose another folder"
        free = free_bytes(there)
    if folders and free < expected * _MARGIN:
        needed, left = expected * _MARGIN / 1e9, free / 1e9
        return free, f"The disk is too small: {needed:.3g} GB are needed (5 % included), {left:.3g} GB are free; free space"
    if existing and not order.overwrite:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        return free, f"{existing[0].name}{more} exists there; choose another folder, or replace files that exist"
    return free, ""


def _may_write(folder: Path) -> bool:
    # os.access says yes on drives that are mounted read-only for us by other means.
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{text[:1].upper()}{text[1:]}"
