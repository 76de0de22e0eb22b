"""A snapshot: what is on screen now, as files that any program opens."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

from app.status import LiveView
from drivers.base import SpeckleScopeError


def write_snapshot(root: Path, view: LiveView) -> Path:
    """Write frame (PNG), phase (TIFF, float32 radians) and labels (PNG), as far as there are, into a new folder; return it.

    Raises
    ------
    SpeckleScopeError
        The folder or a file cannot be written; nothing is left behind.
    """
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}_snapshot_{view.frame.index}"
    made = view.reconstruction
    images: dict[str, NDArray[Any]] = {"speckle.png": view.frame.pixels}
    if made is not None:
        images["phase_rad.tif"] = made.phase_rad
        if made.labels is not None:
            images["labels.png"] = made.labels
    try:
        folder.mkdir(parents=True)
        for name, image in images.items():
            if not cv2.imwrite(str(folder / name), image):
                raise OSError(f"{name} could not be written")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise SpeckleScopeError(f"no snapshot in {root}: {error.strerror or error}; check the disk") from error
    return folder
