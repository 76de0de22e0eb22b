"""Read the properties of an slmsuite camera, capture one image, and check its counts.

All functions except :func:`counts` run on the camera's own thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, FrameFailedError


@dataclass(frozen=True, kw_only=True)
class CameraFacts:
    """Properties that slmsuite reports: (H, W) of raw images, bits, and exposure bounds in seconds or None."""

    model: str
    serial: str
    shape: tuple[int, int]
    bits: int
    exposure_bounds_s: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Result of ``get_image``, the exposure it was called with, and the times of call and return in ns."""

    image: Any
    exposure_s: float
    started_ns: int
    done_ns: int


def describe(camera: Any) -> CameraFacts:
    """Return the properties of a camera, and stop it from repeating a failed capture.

    Raises
    ------
    DeviceError
        It sums frames or pixels, so its counts are not those of the sensor.
    """
    camera.capture_attempts = 1
    bits, kind, bounds = int(camera.bitdepth), type(camera).__name__, camera.exposure_bounds_s
    if camera.bitresolution != 1 << bits:
        raise DeviceError(f"slmsuite's {kind} sums frames or pixels; switch off its averaging and its software binning")
    height, width = camera.transform.inverse.transform_shape(camera.shape)
    return CameraFacts(
        model=f"slmsuite {kind}",
        serial=str(camera.name or kind),
        shape=(int(height), int(width)),
        bits=bits,
        exposure_bounds_s=None if bounds is None else (float(bounds[0]), float(bounds[1])),
    )


def capture(camera: Any, exposure_s: float, timeout_s: float) -> Snapshot:
    """Capture one raw image, without rotation, averaging or HDR; slmsuite waits ``timeout_s`` longer than the exposure."""
    started_ns = time.monotonic_ns()
    image = camera.get_image(timeout_s=timeout_s, transform=False, hdr=False, averaging=False)
    return Snapshot(image=image, exposure_s=exposure_s, started_ns=started_ns, done_ns=time.monotonic_ns())


def counts(image: Any, shape: tuple[int, int], bit_depth: int) -> NDArray[Any]:
    """Return an image as a new, read-only array of uint8 (8 bit) or uint16 counts.

    Raises
    ------
    FrameFailedError
        The image is not integer, does not have ``shape``, or has a count outside ``bit_depth``.
    """
    pixels = np.asarray(image)
    if pixels.shape != shape or pixels.dtype.kind not in "iu":
        raise FrameFailedError(
            f"delivered {pixels.dtype} {pixels.shape}, not integer {shape}; reset its window, averaging and HDR, then reconnect"
        )
    low, high, full_scale = int(pixels.min()), int(pixels.max()), (1 << bit_depth) - 1
    if low < 0 or high > full_scale:
        raise FrameFailedError(
            f"delivered a count of {low if low < 0 else high}, but {bit_depth} bit end at {full_scale};"
            " correct bit_depth, or choose a right-justified pixel format"
        )
    pixels = pixels.astype(np.uint8 if bit_depth == 8 else np.uint16, order="C")
    pixels.flags.writeable = False  # then a Frame does not copy it
    return pixels
