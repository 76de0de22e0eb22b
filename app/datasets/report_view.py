"""What is known about the pairs of one dataset, for a page that shows it: the certificate, or what a verification has found."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StorageError
from acquisition.capture.certificate import Certificate, read_certificate
from app.datasets.quality_report import SHEET, check_rows, contact_sheet_of, finish_dataset, remove_reports
from app.jobs.job_list import Progress
from app.jobs.result_job import JobStoppedError
from drivers.pictures import PictureError, read_picture

if TYPE_CHECKING:
    from app.datasets.verification import Verification
    from app.reporting.rendering import Rows


@dataclass(frozen=True, eq=False, kw_only=True)
class DatasetReport:
    """What is known about the pairs of a dataset.

    Parameters
    ----------
    path : Path
        Its folder.
    verdict : str
        The result in one line.
    good : bool
        Whether nothing speaks against the pairs, and all of them are there.
    rows : rows of (name, value)
        What was checked, and what was found.
    problems, notes : tuple of str
        What is damaged, and what else the operator should know.
    faults : mapping of str to int
        How many faults of each kind were met; their pairs were captured again.
    drift : tuple of (int, float)
        Shot number of every reference check, and its correlation with the first reference.
    sheet : ndarray of uint8, shape (H, W), optional
        The contact sheet: patterns above their frames.
    """

    path: Path
    verdict: str
    good: bool
    rows: Rows = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: Mapping[str, int] = field(default_factory=dict)
    drift: tuple[tuple[int, float], ...] = ()
    sheet: NDArray[np.uint8] | None = None


def stored_report(path: Path) -> DatasetReport | None:
    """Return what the last verification has found; None where a dataset was not verified yet.

    Raises
    ------
    StorageError
        The certificate cannot be read.
    """
    certificate = read_certificate(path)
    return None if certificate is None else _of_certificate(path, certificate)


def verified_report(path: Path, progress: Progress, stop: threading.Event) -> DatasetReport:
    """Verify a dataset from its files, as ``specklescope certify`` does, and return what was found.

    Parameters
    ----------
    path : Path
        Folder of the dataset.
    progress : callable
        Called with the pairs that were read, and their number.
    stop : threading.Event
        Ends the verification when it is set.

    Raises
    ------
    JobStoppedError
        It was stopped; an older report stays.
    SpeckleScopeError
        The dataset cannot be read, or is being written.
    """
    from app.datasets.verification import is_acquired, verify  # it loads the readers of all formats, and of models

    total = len(Archive.open(path))

    def on_progress(done: int) -> None:
        progress(done, total)
        if stop.is_set():
            raise JobStoppedError(f"the verification of {path.name} was stopped after {done} of {total} pairs")

    if is_acquired(path):
        certificate = finish_dataset(path, on_progress)
        damaged = verify(path).damaged if certificate.pairs_damaged else ()
        return _of_certificate(path, certificate, damaged)
    check = verify(path, on_progress)
    if check.damaged:
        remove_reports(path)
    return _of_verification(path, check)


def _of_certificate(path: Path, certificate: Certificate, problems: tuple[str, ...] = ()) -> DatasetReport:
    verified = "verified" if certificate.verified else "NOT verified: do not use them before you have read what failed"
    now = _pairs_now(path)
    notes = (
        (f"the certificate is of {certificate.pairs} pairs, and {now} are on disk now; verify the dataset again",)
        if now not in (None, certificate.pairs)
        else ()
    )
    return DatasetReport(
        path=path,
        verdict=f"{certificate.pairs} of {certificate.requested} pairs, {verified}",
        good=certificate.verified and certificate.complete and not notes,
        rows=check_rows(certificate),
        problems=problems,
        notes=notes,
        faults=certificate.faults,
        drift=tuple(certificate.drift),
        sheet=_stored_sheet(path),
    )


def _of_verification(path: Path, check: Verification) -> DatasetReport:
    verdict = f"{len(check.damaged)} damaged" if check.damaged else "every image is as it was written"
    return DatasetReport(
        path=path,
        verdict=f"{check.images} images, {verdict}",
        good=check.verified,
        rows=[(str(name).replace("_", " "), value) for name, value in check.facts.items()],
        problems=check.damaged,
        notes=check.notes,
        sheet=_drawn_sheet(path),
    )


def _pairs_now(path: Path) -> int | None:
    try:
        return len(Archive.open(path))
    except StorageError:
        return None


def _stored_sheet(path: Path) -> NDArray[np.uint8] | None:
    try:
        return read_picture(path / SHEET).pixels.astype(np.uint8)
    except (OSError, PictureError):
        return None


def _drawn_sheet(path: Path) -> NDArray[np.uint8] | None:
    try:
        archive = Archive.open(path)
        return contact_sheet_of(archive) if {"speckle", "phase"} <= set(archive.arrays) else None
    except StorageError:
        return None
