"""``specklescope certify``: verify what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.options import Json
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.capture.certificate import Certificate


def certify(path: Path, *, json: Json = None) -> None:
    """Verify what is stored, from the files on disk, and name everything that is damaged.

    A dataset that was acquired also gets a certificate, a contact sheet, its split and a report.

    Parameters
    ----------
    path
        Folder of a dataset, recording or model; a training checkpoint; or an exported file or folder.
    """
    from app.datasets.quality_report import finish_dataset, remove_reports
    from app.datasets.verification import is_acquired, is_archive, verify

    with progress_bars() as report:
        if is_acquired(path):
            certificate = finish_dataset(path, lambda done: report("checking pairs", done, done))
            damaged = verify(path).damaged if certificate.pairs_damaged else ()
            _publish_certificate(path, certificate, damaged, json)
            return
        check = verify(path, lambda done: report("checking rows", done, done))
    if check.damaged and is_archive(path):
        remove_reports(path)
    numbers = {"path": str(path), "content": check.content, **check.facts, "images_checked": check.images}
    numbers |= {"damaged": list(check.damaged), "notes": list(check.notes), "verified": check.verified}
    publish("verification", numbers, json)
    if check.damaged:
        more = f" (and {len(check.damaged) - 1} more)" if len(check.damaged) > 1 else ""
        raise SpeckleScopeError(f"{path} is damaged: {check.damaged[0]}{more}")
    if not check.verified:
        raise SpeckleScopeError(f"{path} is not verified: {'; '.join(check.notes)}; export or train it again to get check sums")


def _publish_certificate(path: Path, certificate: Certificate, damaged: Sequence[str], json: Path | None) -> None:
    from acquisition.archive.reader import Archive
    from app.datasets.quality_report import REPORT
    from app.datasets.verification import row_notes

    numbers = {key: value for key, value in asdict(certificate).items() if key != "drift"}
    verdicts = {"complete": certificate.complete, "verified": certificate.verified}
    texts = {"damaged": list(damaged), "notes": list(row_notes(Archive.open(path)))}
    publish("certificate", {**numbers, **verdicts, **texts, "report": str(path / REPORT)}, json)
    if not certificate.verified:
        raise SpeckleScopeError(f"verification of the pairs failed; read {path / REPORT} before you use them")
    if not certificate.complete:
        raise SpeckleScopeError(
            f"only {certificate.pairs} of {certificate.requested} pairs are on disk, and they are verified; "
            f"continue with: specklescope acquire --resume {path}"
        )
