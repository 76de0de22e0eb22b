"""Whether an archive can take a new dataset, asked before anything stops or starts for it."""

from __future__ import annotations

import os
from pathlib import Path

from acquisition.archive.folder import clean_name
from acquisition.archive.rows import StorageError
from acquisition.capture.preflight import Estimate


def start_problem(root: Path, expected: Estimate) -> str:
    """Return why an archive cannot take a dataset, as a sentence; empty when it can.

    Parameters
    ----------
    root : Path
        The archive; it need not exist.
    expected : Estimate
        What the dataset needs.
    """
    folder = root.absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return f"{folder} is a file and no folder; choose another archive on the Rig page"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"you have no right to write into {folder}; choose another archive on the Rig page, or change its permissions"
    if not expected.fits:
        return (
            f"up to {1.05 * expected.bytes_raw / 1e9:.1f} GB are needed, but only {expected.bytes_free / 1e9:.1f} GB are free "
            f"on the disk of {folder}; ask for fewer pairs, delete files, or choose another archive on the Rig page"
        )
    return ""


def name_problem(name: str) -> str:
    """Return why a dataset cannot have a name, as a sentence; empty when it can."""
    if not name:
        return "Type a name for the dataset"
    try:
        clean_name(name)
    except StorageError:
        return "Use letters and digits, and no slash or backslash"
    return ""


def same_name(root: Path, name: str) -> Path | None:
    """Return a dataset of an archive that has this name already; None where there is none, or nothing can be read."""
    try:
        cleaned = clean_name(name)
        return next(iter(sorted(root.glob(f"*_dataset_{cleaned}_????????"), reverse=True)), None)
    except (StorageError, OSError, ValueError):
        return None
