"""What a finished dataset is given: its pairing certificate, a contact sheet, its parts, and a report to read."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.reader import Archive
from acquisition.capture.certificate import Certificate, certify, write_certificate
from acquisition.capture.preflight import contact_sheet
from acquisition.capture.runner import plan_of
from app.reporting.html import page, picture, table
from app.reporting.svg import line_plot
from drivers.base import SpeckleScopeError
from reconstruction.data.pairs import part_of

REPORT, SHEET, PARTS = "report.html", "contact_sheet.png", "parts.csv"
_SHOWN = 16
_REMEDY = "check the disk; the pairs themselves are safe"


def finish_dataset(path: Path, progress: Callable[[int], None] = lambda done: None) -> Certificate:
    """Certify a dataset and write certificate, contact sheet, parts and report into its folder.

    Raises
    ------
    SpeckleScopeError
        It is no dataset, or a file cannot be written.
    """
    archive = Archive.open(path)
    certificate = certify(archive, progress)
    write_certificate(path, certificate)
    sheet = _sheet(archive)
    if not cv2.imwrite(str(path / SHEET), sheet):
        raise SpeckleScopeError(f"cannot write {path / SHEET}; {_REMEDY}")
    _write_parts(archive)
    write_whole(path / REPORT, _page(archive, certificate, sheet), _REMEDY)
    return certificate


def _write_parts(archive: Archive) -> None:
    """Say which pair teaches, validates and tests: by pattern, so that all frames of one go together."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["pair", "pattern", "part"])
    for row in archive.rows():
        part = "reference" if row.pattern_name == "blank" else part_of(row.pattern_id)
        table.writerow([row.index, row.pattern_id, part])
    write_whole(archive.path / PARTS, text.getvalue(), _REMEDY)


def _sheet(archive: Archive) -> np.ndarray:
    """Patterns over their frames, spread over the whole run."""
    rows = archive.rows()
    chosen = sorted({int(n) for n in np.linspace(0, max(0, len(rows) - 1), min(_SHOWN, len(rows)))})
    halves = [[archive.read(name, index) for index in chosen] for name in ("phase", "speckle")]
    columns = min(8, max(1, len(chosen)))
    pieces = []
    for start in range(0, len(chosen), columns):
        for half in halves:
            part = half[start : start + columns]
            pieces.append(contact_sheet(part + [np.zeros((1, 1), np.uint8)] * (columns - len(part)), columns))
    return np.vstack(pieces) if pieces else np.zeros((4, 4), np.uint8)


def _page(archive: Archive, certificate: Certificate, sheet: np.ndarray) -> str:
    plan, rows, metadata = plan_of(archive), archive.rows(), archive.metadata
    verified = "verified" if certificate.verified else "NOT verified"
    verdict = f"{certificate.pairs} of {certificate.requested} pairs, {verified}"
    facts: dict[str, object] = {
        "Instrument": metadata.get("instrument", ""),
        "Fibre": metadata.get("fibre", ""),
        "Begun": archive.status.get("created_utc", ""),
        "Patterns": f"{plan.source}, seed {plan.seed}, {plan.phase_range_rad} rad, {plan.order}",
        "Exposure": f"{1e3 * plan.exposure_s:g} ms",
    }
    checks: dict[str, object] = {
        "Images by check sum": f"{certificate.images_checked} read, {certificate.pairs_damaged} pairs damaged",
        "Shots in order": "yes" if certificate.shots_in_order else "NO",
        "Patterns by content hash": "as shown" if certificate.patterns_hashed else "NOT as shown",
        "Patterns drawn again from the plan": "as planned" if certificate.patterns_as_planned else "NOT as planned",
        "Repeated frames": certificate.frames_repeated,
        "Sentinels": f"{certificate.reference_checks}, lowest correlation {certificate.lowest_reference_correlation:.3f}",
        "Sync checks": f"{certificate.sync_checks} passed, smallest margin {certificate.smallest_sync_margin:.3f}",
        "Sync preambles": ", ".join(f"{margin:.3f}" for margin in certificate.sync_margins) or "none",
        "Camera clock against host": _clocks(certificate),
        "Withdrawn and taken again": certificate.withdrawn,
    }
    parts = Counter("reference" if row.pattern_name == "blank" else part_of(row.pattern_id) for row in rows)
    start = rows[0].t_ns if rows else 0
    hours = [(row.t_ns - start) / 3.6e12 for row in rows]
    correlations = [float(row.extra.get("correlation", np.nan)) for row in rows]
    drift = line_plot(
        [number for number, _ in certificate.drift],
        [value for _, value in certificate.drift],
        "pair",
        "sentinel's correlation",
        plan.min_reference_correlation,
    )
    step = max(1, len(rows) // 2000)
    every = line_plot(
        range(0, len(rows), step), correlations[::step], "pair", "frame's correlation", plan.min_frame_correlation
    )
    rate = line_plot(hours[::step], list(range(0, len(rows), step)), "hours", "pairs")
    body = f"""<p class="{"good" if certificate.verified and certificate.complete else "bad"}">{verdict}</p>
{table(facts)}
<h2>What was checked</h2>{table(checks)}
<h2>Drift</h2><p>Correlation of the flat pattern's frames with the first of them; the run takes pairs back below the line.</p>
{drift}
<h2>Every frame against the reference</h2>{every}
<h2>Progress</h2>{rate}
<h2>Faults met and retaken</h2>{table(certificate.faults) if certificate.faults else "<p>none</p>"}
<h2>Parts, by pattern</h2>{table(dict(sorted(parts.items())))}
<h2>Patterns and their frames</h2>{picture(sheet, "contact sheet")}"""
    return page(archive.path.name, body)


def _clocks(certificate: Certificate) -> str:
    if not certificate.intervals_checked:
        return "the camera has no clock of its own"
    return f"{certificate.intervals_checked} intervals, at most {1e3 * certificate.interval_error_s:.2f} ms apart"
