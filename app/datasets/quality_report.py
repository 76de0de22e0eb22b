"""What a finished dataset gets: its certificate, a contact sheet, the split into parts, and a report."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import image_bytes, write_together
from acquisition.archive.folder import WriterLock
from acquisition.archive.reader import JOURNAL, Archive
from acquisition.archive.rows import StorageError, StoredRow
from acquisition.capture.certificate import CERTIFICATE, Certificate, certificate_text, certify
from acquisition.capture.dataset_archive import plan_of
from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import contact_sheet
from app.reporting.images import Picture
from app.reporting.plots import Limit, line_plot
from app.reporting.rendering import Page, Rows, Section, Verdict, render, utc_text
from drivers.base import SpeckleScopeError, in_grey
from reconstruction.data.pairs import part_of

REPORT, SHEET, PARTS = "report.html", "contact_sheet.png", "parts.csv"
#: Pairs on the contact sheet, and pairs side by side.
_SHOWN, _COLUMNS = 16, 8
#: Points of a plot over all pairs.
_MOST_POINTS = 2000
#: Units of time and their length in seconds, the longest first.
_UNITS_S = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
_REMEDY = "check the disk; the pairs themselves are safe"


def finish_dataset(path: Path, progress: Callable[[int], None] = lambda done: None) -> Certificate:
    """Certify a dataset, and then write certificate, contact sheet, parts and report into its folder, all or none.

    An older certificate and report do not survive a verification that fails. A dataset that is being written is refused.

    Parameters
    ----------
    path : Path
        Folder of the dataset.
    progress : callable
        Called with the number of pairs that were checked.

    Raises
    ------
    StorageError
        The folder holds no dataset, it cannot be read, or another process writes to it.
    SpeckleScopeError
        A file cannot be written.
    """
    with WriterLock(path) if (path / JOURNAL).is_file() else nullcontext():
        return _finish(path, progress)


def _finish(path: Path, progress: Callable[[int], None]) -> Certificate:
    try:
        archive = Archive.open(path)
        certificate = certify(archive, progress)
    except StorageError:
        remove_reports(path)
        raise
    if not certificate.verified:
        remove_reports(path)
    sheet = contact_sheet_of(archive)
    files = {
        path / SHEET: image_bytes(sheet),
        path / PARTS: _parts_text(archive).encode("utf-8"),
        path / REPORT: render(_page(archive, certificate, sheet)).encode("utf-8"),
        path / CERTIFICATE: certificate_text(certificate).encode("utf-8"),
    }
    write_together(files, _REMEDY)
    _check_written(path, files)
    return certificate


def _check_written(path: Path, files: Mapping[Path, bytes]) -> None:
    """Look for the files before anybody is told that the pairs are verified; without one of them, no report stays."""
    for file, content in files.items():
        if not file.is_file() or file.read_bytes() != content:
            remove_reports(path)
            raise SpeckleScopeError(f"{file} was deleted or changed while the report was written; {_REMEDY}")


def remove_reports(path: Path) -> None:
    """Remove what an earlier verification wrote: it may say that the pairs are verified.

    Raises
    ------
    SpeckleScopeError
        A file cannot be removed.
    """
    try:
        for name in (REPORT, CERTIFICATE):
            (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise SpeckleScopeError(
            f"verification of {path} failed, and its older report cannot be removed: {error.strerror or error}; remove it"
        ) from error


def _part(row: StoredRow) -> str:
    """Return the part of a pair. It follows from the pattern, so all frames of one pattern belong to one part."""
    return "reference" if row.pattern_name == "blank" else part_of(row.pattern_id)


def _parts_text(archive: Archive) -> str:
    """Return as CSV which pairs are for training, for validation and for the test."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["pair", "pattern", "part"])
    for row in archive.rows():
        table.writerow([row.index, row.pattern_id, _part(row)])
    return text.getvalue()


def contact_sheet_of(archive: Archive) -> NDArray[np.uint8]:
    """Return patterns above their frames, from equal steps over a whole dataset, as one grey picture (H, W)."""
    rows = archive.rows()
    chosen = sorted({int(n) for n in np.linspace(0, max(0, len(rows) - 1), min(_SHOWN, len(rows)))})
    halves = [[_image(archive, name, index) for index in chosen] for name in ("phase", "speckle")]
    columns = min(_COLUMNS, max(1, len(chosen)))
    strips = []
    for start in range(0, len(chosen), columns):
        for half in halves:
            part = half[start : start + columns]
            strips.append(contact_sheet(part + [np.zeros((1, 1), np.uint8)] * (columns - len(part)), columns))
    return np.vstack(strips) if strips else np.zeros((4, 4), np.uint8)


def _image(archive: Archive, name: str, index: int) -> NDArray[Any]:
    """Return an image, or a black one where it is damaged: the certificate counts those."""
    try:
        return in_grey(archive.read(name, index))
    except StorageError:
        spec = archive.spec(name)
        return np.zeros(spec.shape[-2:], spec.dtype)


def _page(archive: Archive, certificate: Certificate, sheet: NDArray[np.uint8]) -> Page:
    plan, rows = plan_of(archive), archive.rows()
    verified = "verified" if certificate.verified else "NOT verified"
    faults = sorted(certificate.faults.items())
    parts = Counter(_part(row) for row in rows)
    return Page(
        title=archive.path.name,
        verdict=Verdict(
            f"{certificate.pairs} of {certificate.requested} pairs, {verified}",
            good=certificate.verified and certificate.complete,
        ),
        rows=_facts(archive, plan),
        sections=[
            Section(title="What was checked", rows=check_rows(certificate)),
            *_plots(certificate, plan, rows),
            Section(title="Faults, and how many", rows=faults, text="" if faults else "No faults."),
            Section(title="Parts, by pattern, and number of pairs", rows=sorted(parts.items())),
            Section(
                title="Patterns and their frames",
                pictures=[[Picture(sheet, "contact sheet: each row of patterns is above the row of its frames")]],
            ),
        ],
    )


def _facts(archive: Archive, plan: CapturePlan) -> Rows:
    return [
        ("Instrument", archive.metadata.get("instrument", "")),
        ("Fibre", archive.metadata.get("fibre", "")),
        ("Started", utc_text(archive.status.get("created_utc", ""))),
        ("Patterns", f"{plan.source}, seed {plan.seed}, {plan.phase_range_rad} rad, {plan.order}"),
        ("Exposure", f"{1e3 * plan.exposure_s:g} ms"),
    ]


def check_rows(certificate: Certificate) -> Rows:
    """Return what was checked, and what was found, as a table for people."""
    lowest, smallest = certificate.lowest_reference_correlation, certificate.smallest_sync_margin
    return [
        ("Images, by checksum", f"{certificate.images_checked} read, {certificate.pairs_damaged} pairs damaged"),
        ("Shots in order", "yes" if certificate.shots_in_order else "NO"),
        ("Patterns, by content hash", "as shown" if certificate.patterns_hashed else "NOT as shown"),
        ("Patterns, drawn again from the plan", "as planned" if certificate.patterns_as_planned else "NOT as planned"),
        ("Repeated frames", certificate.frames_repeated),
        ("Reference checks", f"{certificate.reference_checks}, lowest correlation {lowest:.3f}"),
        ("Sync checks", f"{certificate.sync_checks} passed, smallest margin {smallest:.3f}"),
        ("Sync check at the start of each run, margin", ", ".join(f"{it:.3f}" for it in certificate.sync_margins) or "none"),
        ("Camera clock against the computer's clock", _clocks(certificate)),
        ("Pairs withdrawn and captured again", certificate.withdrawn),
    ]


def _clocks(certificate: Certificate) -> str:
    if not certificate.intervals_checked:
        return "the camera has no clock of its own"
    return f"{certificate.intervals_checked} intervals, largest difference {1e3 * certificate.interval_error_s:.2f} ms"


def _correlation(row: StoredRow) -> float:
    """Return the correlation with the first reference that a row states; NaN where it states none."""
    stated = row.extra.get("correlation", np.nan)
    return np.nan if isinstance(stated, str) else float(stated)


def _plots(certificate: Certificate, plan: CapturePlan, rows: Sequence[StoredRow]) -> list[Section]:
    step = max(1, len(rows) // _MOST_POINTS)
    pairs, some = range(0, len(rows), step), rows[::step]
    drift = line_plot(
        [number for number, _ in certificate.drift],
        [value for _, value in certificate.drift],
        "pair",
        "correlation of reference checks",
        Limit(plan.min_reference_correlation, "smallest accepted value"),
    )
    frames = line_plot(
        pairs,
        [_correlation(row) for row in some],
        "pair",
        "correlation of the frames",
        Limit(plan.min_frame_correlation, "smallest accepted value"),
    )
    seconds = [(row.t_ns - rows[0].t_ns) / 1e9 for row in some]
    unit, unit_s = next(((name, size) for name, size in _UNITS_S if seconds and seconds[-1] >= size), _UNITS_S[-1])
    progress = line_plot([time / unit_s for time in seconds], pairs, f"time since the first pair, {unit}", "pairs")
    text = (
        "Correlation of the flat pattern's frames with the first of them. "
        "Below the line, the run withdraws the last pairs and captures them again."
    )
    return [
        Section(title="Drift", text=text, plots=[drift]),
        Section(title="Correlation of every frame with the first reference", plots=[frames]),
        Section(title="Progress", plots=[progress]),
    ]
