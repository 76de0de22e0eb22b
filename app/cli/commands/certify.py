"""``specklescope certify``: verify a dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from app.cli.options import Json
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError


def certify(path: Path, *, json: Json = None) -> None:
    """Verify every pair of a dataset from the files on disk; write certificate, contact sheet, split and report.

    Parameters
    ----------
    path
        Folder of the dataset.
    """
    from app.datasets.quality_report import REPORT, finish_dataset

    with progress_bars() as report:
        certificate = finish_dataset(path, lambda done: report("checking pairs", done, done))
    numbers = {key: value for key, value in asdict(certificate).items() if key != "drift"}
    verdicts = {"complete": certificate.complete, "verified": certificate.verified}
    publish("certificate", {**numbers, **verdicts, "report": str(path / REPORT)}, json)
    if not certificate.verified:
        raise SpeckleScopeError(f"verification of the pairs failed; read {path / REPORT} before you use them")
    if not certificate.complete:
        raise SpeckleScopeError(
            f"only {certificate.pairs} of {certificate.requested} pairs are on disk, and they are verified; "
            f"continue with: specklescope acquire --resume {path}"
        )
