"""What every camera and SLM is: frames, patterns, device protocols and the error tree.

Data are frozen dataclasses with read-only arrays, so a frame can be handed to several threads without copying.
Images are ``(H, W)``; units stand in the names.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)


class SpeckleScopeError(Exception):
    """Anything SpeckleScope can explain: the message names the cause, the value and the remedy."""


class DeviceError(SpeckleScopeError):
    """A camera or SLM did not do what it was asked."""


class DeviceTimeoutError(DeviceError):
    """A device did not answer before its deadline."""


class DeviceLostError(DeviceError):
    """A device disappeared (unplugged, powered off, driver gone) and has to be opened again."""


class FrameFailedError(DeviceError):
    """The camera delivered a buffer that it declares incomplete; its pixels must not be used."""


class TriggerIgnoredError(DeviceError):
    """A trigger was sent while the camera could not take it, so no frame will answer it."""


class WrongPatternError(DeviceError):
    """A pattern does not fit the SLM (shape, dtype or range)."""


def frozen_array(array: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return a contiguous array that nobody can write to; copies all but a read-only array that owns its memory."""
    # A read-only view verifies nothing: whoever holds the array or buffer beneath it may still write there.
    if array.flags.writeable or not array.flags.c_contiguous or array.base is not None:
        array = np.array(array, order="C", copy=True)
        array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image and the facts that came with it.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W)
        Raw counts, right-justified: the largest possible value is ``2**bit_depth - 1``.
    index : int
        The camera's own frame counter, starting at 0 when it is armed.
    t_ns : int
        End of exposure on the host's monotonic clock (``time.monotonic_ns``), in nanoseconds.
    exposure_s : float
        Exposure time in seconds.
    bit_depth : int
        Number of significant bits (8, 10, 12 or 16).
    pattern_id : str, optional
        Content hash of the pattern that was displayed and settled during the whole exposure, where known.
    device_ns : int, optional
        The camera's own time stamp in nanoseconds of its own clock, where it has one.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    index: int
    t_ns: int
    exposure_s: float
    bit_depth: int = 8
    pattern_id: str | None = None
    device_ns: int | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a frame is (H, W) uint8 or uint16, got {pixels.shape} {pixels.dtype}")
        object.__setattr__(self, "pixels", frozen_array(pixels))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape
        return height, width

    @property
    def full_scale(self) -> int:
        """The count at which the camera saturates."""
        return int(2**self.bit_depth - 1)

    def saturated_fraction(self) -> float:
        """Fraction of pixels at full scale."""
        return float(np.count_nonzero(self.pixels >= self.full_scale)) / self.pixels.size

    def labelled(self, pattern_id: str) -> Frame:
        """Return the same frame, known to have been exposed under ``pattern_id``."""
        return replace(self, pattern_id=pattern_id)


@dataclass(frozen=True, eq=False)
class Pattern:
    """A phase image for the SLM's active area.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (H, W)
        Phase in radians, not wrapped. Grey levels exist only at the SLM's edge, through its LUT.
    name : str
        For people: where the pattern came from. Not part of its identity.
    """

    phase_rad: NDArray[np.float32]
    name: str = ""

    def __post_init__(self) -> None:
        phase = np.asarray(self.phase_rad)
        if phase.ndim != 2 or phase.dtype != np.float32:
            raise WrongPatternError(f"a pattern is (H, W) float32 radians, got {phase.shape} {phase.dtype}")
        if not np.isfinite(phase).all():
            raise WrongPatternError(f"pattern {self.name!r} holds values that are not finite; check its source image")
        object.__setattr__(self, "phase_rad", frozen_array(phase))

    @cached_property
    def id(self) -> str:
        """Content hash: 16 hexadecimal digits of SHA-256 over shape and values."""
        digest = hashlib.sha256(repr(self.phase_rad.shape).encode())
        digest.update(self.phase_rad.tobytes())
        return digest.hexdigest()[:16]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in SLM pixels."""
        height, width = self.phase_rad.shape
        return height, width


class TriggerMode(enum.StrEnum):
    """What starts an exposure."""

    FREE_RUN = "free_run"
    SOFTWARE = "software"
    HARDWARE = "hardware"


@dataclass(frozen=True)
class CameraCapabilities:
    """What a camera is and can do; fixed while it is open.

    ``trigger_delay_s`` passes between an edge on its line and the exposure, in hardware mode.
    """

    model: str
    serial: str
    shape: tuple[int, int]
    bit_depths: tuple[int, ...]
    exposure_range_s: tuple[float, float]
    readout_s: float
    trigger_delay_s: float = 0.0


@dataclass(frozen=True)
class SlmCapabilities:
    """What an SLM is and how long it takes; a camera must not expose before ``latency_s + settle_s``.

    ``latency_s`` is the longest time from :meth:`Slm.show` to the first new light, ``settle_s`` the liquid crystal's.
    """

    model: str
    serial: str
    shape: tuple[int, int]
    refresh_s: float
    latency_s: float
    settle_s: float


@dataclass(frozen=True)
class CameraCounters:
    """Counts since the camera was armed. ``triggers == frames + failed + pending`` on a healthy camera.

    In hardware mode a trigger is an edge that the camera is known to have taken.
    """

    triggers: int
    frames: int
    failed: int


class _Device(Protocol):
    def close(self) -> None:
        """Release the device; safe to call twice and after it was lost."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@runtime_checkable
class Camera(_Device, Protocol):
    """A camera that delivers frames one by one, in order, and says when it could not.

    No call blocks longer than its deadline. Only the thread that armed the camera talks to it.
    """

    @property
    def capabilities(self) -> CameraCapabilities:
        """What the camera can do; constant while it is open."""

    @property
    def counters(self) -> CameraCounters:
        """Triggers, frames and failures since arming."""

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds, as the camera has it."""

    @property
    def bit_depth(self) -> int:
        """Significant bits of the frames to come, one of ``capabilities.bit_depths``."""

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time; raises DeviceError outside ``capabilities.exposure_range_s``."""

    def arm(self, trigger: TriggerMode) -> None:
        """Empty the queue, set counters to zero and wait for triggers or edges on the line (or run freely)."""

    def trigger(self) -> None:
        """Start one exposure now.

        Raises TriggerIgnoredError when the camera is not ready, DeviceError in free run and while it waits for its line.
        """

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame in order.

        Raises DeviceTimeoutError after ``timeout_s``, FrameFailedError for a buffer that the driver declares bad, and
        DeviceLostError when the camera is gone.
        """

    def disarm(self) -> None:
        """Stop exposing and drop what is queued."""

    def reconnect(self) -> None:
        """Open the same device again after DeviceLostError, with its settings restored and disarmed."""


@runtime_checkable
class Slm(_Device, Protocol):
    """A phase SLM that knows what it shows and how long that takes."""

    @property
    def capabilities(self) -> SlmCapabilities:
        """What the SLM can do; constant while it is open."""

    @property
    def shown(self) -> Pattern | None:
        """The pattern most recently asked for, or None before the first."""

    def show(self, pattern: Pattern) -> int:
        """Queue ``pattern`` and return the monotonic time in ns from which it is displayed and settled.

        Raises WrongPatternError when it does not fit, DeviceLostError when the display is gone.
        """

    def check(self) -> None:
        """Raise DeviceLostError when the display is known to be gone; an exposure that ended just now is then worthless."""

    def reconnect(self) -> None:
        """Open the same display again after DeviceLostError."""


@runtime_checkable
class GreySlm(Slm, Protocol):
    """An SLM that is a display: what it was sent last can be looked at, and it takes grey images past calibration."""

    @property
    def panel_shape(self) -> tuple[int, int]:
        """Height and width of its display in pixels."""

    @property
    def grey(self) -> NDArray[np.uint8] | None:
        """The very bytes shown last, (H, W) of the panel's native shape, or None before the first image."""

    def show_grey(self, grey: NDArray[np.uint8]) -> int:
        """Show grey levels as they are, for test cards and blanking; ``shown`` is None afterwards.

        Returns and raises what :meth:`Slm.show` does; raises WrongPatternError unless ``grey`` is uint8 of the panel's shape.
        """
