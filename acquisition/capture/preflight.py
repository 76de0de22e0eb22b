"""Checks before a run of many hours: disk space, time, light, trigger, and the age of the calibration files."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.folder import free_bytes
from acquisition.capture.pair_capture import CaptureError, FrameLimits, PairCapture, Rig
from acquisition.capture.plan import CapturePlan
from drivers.base import DeviceError, Pattern, TriggerMode

#: Calibration files older than this should be measured again, in days.
OLD_DAYS = 30.0
_THUMBNAIL_PX = 96


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Time and disk space that a plan needs.

    Parameters
    ----------
    shots : int
        Number of shots, references included.
    seconds_per_pair, seconds : float
        Time for one pair and for all, counting only settling, exposure and readout.
    bytes_raw, bytes_free : int
        Uncompressed size of the dataset, and free space on the disk.
    """

    shots: int
    seconds_per_pair: float
    seconds: float
    bytes_raw: int
    bytes_free: int

    @property
    def fits(self) -> bool:
        """Whether the dataset and 5 % more fit on the disk."""
        return self.bytes_free >= 1.05 * self.bytes_raw


def pair_seconds(rig: Rig, plan: CapturePlan) -> float:
    """Return the shortest time for one pair in seconds: the pattern settles, the exposure, and the camera's readout."""
    slm, camera = rig.display().capabilities, rig.camera.capabilities
    if rig.trigger is TriggerMode.HARDWARE:
        return slm.latency_s + camera.trigger_delay_s + plan.exposure_s + camera.readout_s
    return slm.latency_s + slm.settle_s + plan.exposure_s + camera.readout_s


def estimate(rig: Rig, plan: CapturePlan, root: Path) -> Estimate:
    """Return the time and the disk space that a plan needs on this rig, for a dataset under ``root``."""
    rows, columns = rig.display().capabilities.shape
    pixels = math.prod(rig.camera.capabilities.frame_shape)
    pair_bytes = pixels * (1 if rig.camera.bit_depth <= 8 else 2) + rows * columns * 4
    folder = root.absolute()
    while not folder.exists():
        folder = folder.parent
    seconds_per_pair = pair_seconds(rig, plan)
    return Estimate(
        shots=len(plan),
        seconds_per_pair=seconds_per_pair,
        seconds=seconds_per_pair * len(plan),
        bytes_raw=pair_bytes * len(plan),
        bytes_free=free_bytes(folder),
    )


def preflight(rig: Rig, plan: CapturePlan, calibration: tuple[Path, ...] = ()) -> list[str]:
    """Check all pictures of the plan, then trigger and light with the flat pattern and the first objects.

    Parameters
    ----------
    rig : Rig
        Devices; the camera is disarmed afterwards.
    plan : CapturePlan
        Gives the patterns, the exposure and the limits of a frame.
    calibration : tuple of Path
        Calibration files that the rig uses; their age is reported.

    Returns
    -------
    list of str
        One line for each result.

    Raises
    ------
    PatternError
        A picture cannot be shown; the message names it.
    CaptureError
        The trigger does not work, or a frame is useless at this exposure; the message says what to change.
    """
    plan.patterns(rig.display().capabilities.shape).check()
    rig.camera.set_exposure(plan.exposure_s)
    capture = PairCapture(rig, FrameLimits(plan.max_saturated, plan.min_mean_fraction))
    try:
        brightest = 0.0
        make = plan.maker(rig.display().capabilities.shape)
        for number in range(min(3, len(plan))):
            frame = capture.capture(make(number).pattern)
            brightest = max(brightest, float(np.percentile(frame.pixels, 99.9)) / frame.full_scale)
    except DeviceError as error:
        raise CaptureError(f"pre-flight: {error}") from error
    finally:
        capture.release()
    results = ["trigger: no frame came without a trigger, and one frame with each"]
    better_s = plan.exposure_s * 0.8 / max(brightest, 1e-3)
    hint = f"; {1e3 * better_s:.3g} ms would fill 80 %" if not 0.3 < brightest < 0.95 else ""
    results.append(f"light: the brightest pixels reach {100 * brightest:.0f} % at {1e3 * plan.exposure_s:.3g} ms{hint}")
    for file in calibration:
        days = (time.time() - file.stat().st_mtime) / 86_400 if file.exists() else float("inf")
        results.append(f"calibration {file.name}: {days:.0f} days old{'; measure it again' if days > OLD_DAYS else ''}")
    return results


def contact_sheet(images: list[NDArray[np.floating] | NDArray[np.integer]], columns: int = 8) -> NDArray[np.uint8]:
    """Return small images side by side on one sheet, shape (H, W).

    Each image is stretched to its own range, without the darkest and the brightest 0.5 % of its pixels.
    """
    import cv2

    side = _THUMBNAIL_PX
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (side + 2) + 2, columns * (side + 2) + 2), 32, np.uint8)
    for place, image in enumerate(images):
        values = np.asarray(image, np.float32)
        low, high = (float(limit) for limit in np.percentile(values, (0.5, 99.5)))
        scaled = np.clip(255 * (values - low) / max(high - low, 1e-9), 0, 255)
        scale = side / max(values.shape)
        size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
        small = cv2.resize(scaled, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        top, left = 2 + place // columns * (side + 2), 2 + place % columns * (side + 2)
        sheet[top : top + size[1], left : left + size[0]] = small
    return sheet


def first_patterns(rig: Rig, plan: CapturePlan, count: int = 32) -> list[Pattern]:
    """Return the first patterns of a plan, for a contact sheet."""
    make = plan.maker(rig.display().capabilities.shape)
    return [make(number).pattern for number in range(min(count, len(plan)))]
