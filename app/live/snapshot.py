"""A snapshot: the view on screen, saved as files that any program opens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from acquisition.archive.atomic_files import image_bytes, make_folder, moved_when_complete, write_inside
from app.status import Overlay
from drivers.base import SpeckleScopeError


def write_snapshot(root: Path, overlay: Overlay) -> Path:
    """Write the frame (PNG), the phase (TIFF, float32 radians) and the labels (PNG) into a new folder, and return the folder.

    A view without a reconstruction or without labels gives fewer files.

    Raises
    ------
    SpeckleScopeError
        The folder or a file cannot be written; no partial snapshot is left, and an older one is unchanged.
    """
    view = overlay.view
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}_snapshot_{view.frame.index}"
    reconstruction = view.reconstruction
    images: dict[str, NDArray[Any]] = {"speckle.png": view.frame.pixels}
    if reconstruction is not None:
        images["phase_rad.tif"] = reconstruction.phase_rad
        if overlay.labels is not None:
            images["labels.png"] = overlay.labels
    try:
        make_folder(root)
        # The same frame twice in one second is the same snapshot: the second replaces the first.
        with moved_when_complete(folder) as part:
            part.mkdir()
            for name, image in images.items():
                write_inside(part / name, image_bytes(image, Path(name).suffix))
    except OSError as error:
        reason = error.strerror or error
        raise SpeckleScopeError(f"the snapshot could not be written to {folder}: {reason}; check the disk") from error
    return folder
