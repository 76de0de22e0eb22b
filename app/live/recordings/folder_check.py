"""Whether a folder can hold a recording, asked before the recording begins: a refused one changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from acquisition.archive.folder import free_bytes
from app.live.recordings.options import RecordingOptionsError

#: A disk with less room takes no recording: its first frames would not fit.
_LEAST_BYTES = 16_000_000


def check_folder(folder: Path) -> None:
    """Make a folder for recordings, if it is not there yet.

    Raises
    ------
    RecordingOptionsError
        It cannot be made, nothing can be written there, or its disk is full. The message says what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingOptionsError(
            f"cannot record into {folder}: {error.strerror}; choose another folder, or free space on its disk"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RecordingOptionsError(f"cannot record into {folder}: you have no right to write there; choose another folder")
    room = free_bytes(folder)
    if room < _LEAST_BYTES:
        raise RecordingOptionsError(
            f"cannot record into {folder}: its disk is full ({room / 1e6:.3g} MB free); delete files, or choose another folder"
        )
