"""A snapshot: what is on screen now, as files that any program opens."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import cv2

from app.status import LiveView
from drivers.base import SpeckleScopeError


def write_snapshot(root: Path, view: LiveView) -> Path:
    """Write frame (PNG), phase (TIFF, float32 radians) and labels (PNG) into a new folder and return it.

    Raises
    ------
    SpeckleScopeError
        The folder or a file cannot be written; nothing is left behind.
    """
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}_snapshot_{view.frame.index}"
    images = {"speckle.png": view.frame.pixels, "phase_rad.tif": view.reconstruction.phase_rad}
    if view.reconstruction.labels is not None:
        images["labels.png"] = view.reconstruction.labels
    try:
        folder.mkdir(parents=True)
        for name, image in images.items():
            if not cv2.imwrite(str(folder / name), image):
                raise OSError(f"{name} could not be written")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise SpeckleScopeError(f"no snapshot in {root}: {error.strerror or error}; check the disk") from error
    return folder
