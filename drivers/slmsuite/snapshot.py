"""What is asked of an slmsuite camera object: what it is, one image, and whether the image is what it should be.

Everything here but :func:`counts` runs on the camera's own thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceError, FrameFailedError


@dataclass(frozen=True)
class Found:
    """What slmsuite tells about a camera: (H, W) of its raw images, bits, and exposure bounds in seconds where it knows."""

    model: str
    serial: str
    shape: tuple[int, int]
    bits: int
    exposure_bounds_s: tuple[float, float] | None


@dataclass(frozen=True)
class Snapshot:
    """What came back from ``get_image``, the exposure it was asked with, and when it was called and returned in ns."""

    image: Any
    exposure_s: float
    started_ns: int
    done_ns: int


def describe(camera: Any) -> Found:
    """Return what a camera is, and stop it from trying a failed capture again.

    Raises
    ------
    DeviceError
        It sums frames or pixels, so that counts are not the sensor's.
    """
    camera.capture_attempts = 1
    bits, kind, bounds = int(camera.bitdepth), type(camera).__name__, camera.exposure_bounds_s
    if camera.bitresolution != 1 << bits:
        raise DeviceError(f"slmsuite's {kind} sums frames or pixels; switch its averaging and its software binning off")
    height, width = camera.transform.inverse.transform_shape(camera.shape)
    return Found(
        model=f"slmsuite {kind}",
        serial=str(camera.name or kind),
        shape=(int(height), int(width)),
        bits=bits,
        exposure_bounds_s=None if bounds is None else (float(bounds[0]), float(bounds[1])),
    )


def capture(camera: Any, exposure_s: float, timeout_s: float) -> Snapshot:
    """Return one raw image, neither turned, averaged nor HDR; slmsuite waits ``timeout_s`` beyond the exposure."""
    started_ns = time.monotonic_ns()
    image = camera.get_image(timeout_s=timeout_s, transform=False, hdr=False, averaging=False)
    return Snapshot(image, exposure_s, started_ns, time.monotonic_ns())


def counts(image: Any, shape: tuple[int, int], bit_depth: int) -> NDArray[Any]:
    """Return an image as uint8 (8 bit) or uint16 counts, new and read-only.

    Raises
    ------
    FrameFailedError
        It is not integer, not of ``shape``, or holds a count that ``bit_depth`` cannot.
    """
    pixels = np.asarray(image)
    if pixels.shape != shape or pixels.dtype.kind not in "iu":
        raise FrameFailedError(
            f"delivered {pixels.dtype} {pixels.shape}, not integer {shape}; reset its window, averaging and HDR and reconnect"
        )
    low, high, full_scale = int(pixels.min()), int(pixels.max()), (1 << bit_depth) - 1
    if low < 0 or high > full_scale:
        raise FrameFailedError(
            f"delivered a count of {low if low < 0 else high}, but {bit_depth} bit end at {full_scale};"
            " correct bit_depth, or make its pixel format right-justified"
        )
    pixels = pixels.astype(np.uint8 if bit_depth == 8 else np.uint16, order="C")
    pixels.flags.writeable = False  # so that a Frame need not copy it again
    return pixels
