"""Dark frames: the camera's counts at its shortest exposure, kept beside a dataset."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_bytes
from acquisition.archive.rows import StorageError
from acquisition.capture.pair_capture import PairCapture, Rig
from drivers.base import TriggerMode

DARK = "dark.tif"


def dark_frame(capture: PairCapture, rig: Rig, count: int) -> NDArray[np.float32]:
    """Return the mean of ``count`` frames at the shortest exposure, shaped as a frame, in counts; the camera is disarmed then.

    There is no shutter. At the shortest exposure almost no light is counted, so offset and read noise remain.
    """
    capture.release()
    camera = rig.camera
    camera.set_exposure(camera.capabilities.exposure_range_s[0])
    camera.arm(TriggerMode.SOFTWARE)
    try:
        total = np.zeros(camera.capabilities.frame_shape, np.float64)
        for _ in range(count):
            camera.trigger()
            total += camera.read(camera.exposure_s + camera.capabilities.readout_s + 0.25).pixels
    finally:
        camera.disarm()
    return (total / count).astype(np.float32)


def write_dark(folder: Path, mean: NDArray[np.float32]) -> None:
    """Write the dark frame as ``dark.tif`` into a dataset's folder; raises StorageError when that fails."""
    content = io.BytesIO()
    tifffile.imwrite(content, mean)
    write_bytes(folder / DARK, content.getvalue(), "check the disk", StorageError)
