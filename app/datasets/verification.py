"""Verification of anything that the program has stored: what it is follows from the path, and what is damaged is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import DATA, JOURNAL, Archive
from acquisition.archive.recording_faults import markers
from acquisition.archive.rows import StorageError
from acquisition.exchange.check_sums import NO_CHECK_SUMS
from acquisition.exchange.verify_export import verify_export
from reconstruction.base import ReconstructionError
from reconstruction.models.model import CARD, WEIGHTS, load_model
from reconstruction.training.checkpoint import CHECKPOINT, has_check_sums, read_checkpoint

ROWS_UNPROTECTED = "rows unprotected: this journal of version 0.1.0 has no check sums of its rows"

#: Why a dataset whose images are verified gets no certificate.
NO_PLAN = "no certificate of its pairs: it has no capture plan, because it was imported or written by a script"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found.

    Parameters
    ----------
    content : str
        What it is.
    images : int
        Images that were read and compared.
    damaged : tuple of str
        What is damaged: each text names the file, and the row or image.
    notes : tuple of str
        What else the operator has to know.
    has_check_sums : bool
        Whether there was something to compare with.
    facts : dict
        How a recording or dataset ended.
    """

    content: str
    images: int = 0
    damaged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    has_check_sums: bool = True
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def verified(self) -> bool:
        """Whether everything was compared with a check sum and is intact."""
        return self.has_check_sums and not self.damaged


def verify(path: Path, progress: Callable[[int], None] = lambda done: None) -> Verification:
    """Read everything at ``path`` and compare it with its check sums.

    Parameters
    ----------
    path : Path
        Folder of a recording, a dataset or a model; a checkpoint of a training; or an export, a file or folder.
    progress : callable
        Called with the number of rows of an archive that were read.

    Raises
    ------
    SpeckleScopeError
        It cannot be read at all, or is none of these.
    """
    if is_archive(path):
        return _verify_archive(path, progress)
    if path.name == CHECKPOINT or (path / CHECKPOINT).is_file():
        return _verify_checkpoint(path if path.name == CHECKPOINT else path / CHECKPOINT)
    if (path / CARD).is_file() or (path / WEIGHTS).is_file():
        return _verify_model(path)
    check = verify_export(path)
    notes = () if check.has_check_sums else (f"{NO_CHECK_SUMS}: {path.name}",)
    return Verification(
        content=check.format.value if check.format else "references",
        images=check.images,
        damaged=check.damaged,
        notes=notes,
        has_check_sums=check.has_check_sums,
    )


def is_acquired(path: Path) -> bool:
    """Whether the folder is a dataset with a capture plan, intact but for its images: its pairs can be certified."""
    if not is_archive(path):
        return False
    try:
        archive = Archive.open(path)
        archive.check_intact()
        return archive.kind is ArchiveKind.DATASET and _has_plan(archive)
    except StorageError:
        return False


def _has_plan(archive: Archive) -> bool:
    """Whether the dataset was acquired: a script may write something of its own under the name ``plan``."""
    return isinstance(archive.metadata.get("plan"), Mapping) and "plan_hash" in archive.metadata


def row_notes(archive: Archive) -> tuple[str, ...]:
    """Return what has to be said about the rows of a journal."""
    return () if archive.rows_protected else (ROWS_UNPROTECTED,)


def is_archive(path: Path) -> bool:
    """Whether the folder is, or was, a recording or dataset."""
    return (path / JOURNAL).is_file() or (path / DATA).is_dir()


def _verify_archive(path: Path, progress: Callable[[int], None]) -> Verification:
    archive = Archive.open(path)
    report = archive.verify(progress)
    results, unreadable = archive.results()
    damaged = [*report.damage(), *unreadable, *(text for result in results for text in result.damage())]
    try:
        content, verdict = archive.kind.value, archive.status.get("verdict", "not finished")
        texts = [f"{one.text} ({one.utc}, frame {one.frame_index})" for one in markers(archive)]
        marked: dict[str, object] = {"markers": texts} if texts else {}
    except StorageError as error:
        content, verdict, marked = "archive", str(error), {}
    notes = row_notes(archive)
    if content == ArchiveKind.DATASET.value and not damaged and not _has_plan(archive):
        notes = (*notes, NO_PLAN)
    facts = {"rows": report.count, "rows_protected": report.rows_protected, "verdict": verdict, **marked}
    return Verification(
        content=content,
        images=len(archive.intact_rows()) * len(archive.arrays),
        damaged=tuple(damaged),
        notes=notes,
        facts=facts,
    )


def _verify_checkpoint(path: Path) -> Verification:
    try:
        read_checkpoint(path)
        protected = has_check_sums(path)
    except ReconstructionError as error:
        return Verification(content="checkpoint", damaged=(str(error),))
    return Verification(content="checkpoint", notes=() if protected else (NO_CHECK_SUMS,), has_check_sums=protected)


def _verify_model(path: Path) -> Verification:
    try:
        protected = bool(load_model(path).card.weights_sha256)
    except ReconstructionError as error:
        return Verification(content="model", damaged=(str(error),))
    return Verification(content="model", notes=() if protected else (NO_CHECK_SUMS,), has_check_sums=protected)
