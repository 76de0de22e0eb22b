"""Interfaces of cameras and SLMs, the frames and patterns that they exchange, and all device errors.

Frames and patterns are frozen dataclasses with read-only arrays, so several threads may share them without copies.
Images have the shape ``(H, W)``. Names end in their unit.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)


class SpeckleScopeError(Exception):
    """An error that SpeckleScope can explain: its message names the cause, the value and the remedy."""


class DeviceError(SpeckleScopeError):
    """A camera or SLM did not do what was requested."""


class DeviceTimeoutError(DeviceError):
    """A device did not answer before its deadline."""


class DeviceLostError(DeviceError):
    """A device disappeared (unplugged, powered off, driver ended) and must be opened again."""


class FrameFailedError(DeviceError):
    """The camera delivered an image that it declares incomplete; the pixels must not be used."""


class TriggerIgnoredError(DeviceError):
    """A trigger was sent while the camera could not accept it, so no frame follows."""


class WrongPatternError(DeviceError):
    """A pattern does not fit the SLM (shape, dtype or values)."""


def frozen_array(array: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return a contiguous read-only array. It is a copy unless ``array`` is contiguous, read-only and owns its memory."""
    # A read-only view is not enough: the owner of its memory may still write there.
    if array.flags.writeable or not array.flags.c_contiguous or array.base is not None:
        array = np.array(array, order="C", copy=True)
        array.flags.writeable = False
    return array


def channel_count(shape: Sequence[int]) -> int:
    """Return the number of colours or planes of a frame of this shape, (H, W) or (C, H, W); 1 for a grey frame."""
    return 1 if len(shape) == 2 else shape[0]


def named_or_numbered(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return the names of so many channels, or numbers where the names are not of so many."""
    return tuple(names) if len(names) == count else tuple(f"channel {number}" for number in range(1, count + 1))


def in_grey(pixels: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return the pixels of a frame (H, W) or (C, H, W) as one picture (H, W) of the same type: the mean of its channels."""
    if pixels.ndim == 2:
        return pixels
    mean = pixels.mean(0)
    return np.asarray(mean if np.issubdtype(pixels.dtype, np.floating) else np.rint(mean)).astype(pixels.dtype)


class FrameMark(enum.StrEnum):
    """What is wrong with a frame."""

    #: Its reconstruction has values that are not numbers.
    NAN = "nan"
    #: It has next to no light.
    DARK = "dark"
    #: Too many of its pixels are at full scale.
    SATURATED = "saturated"
    #: It is the frame before once more: the same camera counter, or the same bytes from a camera that has noise.
    FROZEN = "frozen"
    #: It has nothing in common with the reference any more.
    DECORRELATED = "decorrelated"


#: Significant bits of a pixel that cameras have.
BIT_DEPTHS = (8, 9, 10, 11, 12, 13, 14, 15, 16)


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image with its number, time and exposure.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (H, W) or (C, H, W)
        Raw counts, right-justified: the largest possible value is ``2**bit_depth - 1``. ``C`` is the number of colours or
        planes of a camera that has several.
    index : int
        The camera's own frame counter, starting at 0 when it is armed.
    t_ns : int
        End of exposure on the host's monotonic clock (``time.monotonic_ns``), in nanoseconds.
    exposure_s : float
        Exposure time in seconds.
    bit_depth : int
        Number of significant bits, one of :data:`BIT_DEPTHS`.
    pattern_id : str, optional
        ``Pattern.id`` of the pattern that was displayed and settled during the whole exposure, where known.
    device_ns : int, optional
        The camera's own time stamp, in nanoseconds of its own clock, if it has one.
    marks : tuple of FrameMark
        What is wrong with it; empty as long as nobody has judged it.
    readable : bool
        Whether its speckle still shows the object. If not, a segmentation of its reconstruction would be one of noise.
    recorded_index : int, optional
        Number of the recorded frame that a replay repeats.

    Raises
    ------
    ValueError
        ``pixels`` has another shape or dtype.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    index: int
    t_ns: int
    exposure_s: float
    bit_depth: int = 8
    pattern_id: str | None = None
    device_ns: int | None = None
    marks: tuple[FrameMark, ...] = ()
    readable: bool = True
    recorded_index: int | None = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim not in (2, 3) or not pixels.size or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a frame must be (H, W) or (C, H, W) uint8 or uint16, got {pixels.shape} {pixels.dtype}")
        object.__setattr__(self, "pixels", frozen_array(pixels))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[-2:]
        return height, width

    @property
    def channels(self) -> int:
        """Number of colours or planes; 1 for a grey frame."""
        return channel_count(self.pixels.shape)

    @property
    def grey(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The frame as one picture (H, W): of several channels, their mean."""
        picture: NDArray[Any] = in_grey(self.pixels)
        return picture

    @property
    def full_scale(self) -> int:
        """Largest possible count, at which the camera saturates."""
        return int(2**self.bit_depth - 1)

    def saturated_fraction(self) -> float:
        """Fraction of pixels at full scale."""
        return float(np.count_nonzero(self.pixels >= self.full_scale)) / self.pixels.size

    def marked(self, marks: tuple[FrameMark, ...], *, readable: bool) -> Frame:
        """Return the same frame with further marks, without copying pixels."""
        return replace(self, marks=(*self.marks, *marks), readable=self.readable and readable)

    def labelled(self, pattern_id: str) -> Frame:
        """Return the same frame with ``pattern_id``, without copying pixels."""
        return replace(self, pattern_id=pattern_id)


@dataclass(frozen=True, eq=False)
class Pattern:
    """A phase image for the SLM's active area.

    Parameters
    ----------
    phase_rad : ndarray of float32, shape (H, W)
        Phase in radians, not wrapped. Only the SLM's driver turns it into grey levels, through its look-up table.
    name : str
        Where the pattern came from, for display. It does not affect ``id``.

    Raises
    ------
    WrongPatternError
        ``phase_rad`` has another shape or dtype, or values that are not finite.
    """

    phase_rad: NDArray[np.float32]
    name: str = ""

    def __post_init__(self) -> None:
        phase = np.asarray(self.phase_rad)
        if phase.ndim != 2 or phase.dtype != np.float32:
            raise WrongPatternError(f"a pattern must be (H, W) float32 radians, got {phase.shape} {phase.dtype}")
        if not np.isfinite(phase).all():
            raise WrongPatternError(f"pattern {self.name!r} contains values that are not finite; check its source image")
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


class DeviceState(enum.Enum):
    """Whether a device can be used.

    ::

        OPEN ------- disconnected -------> LOST
        OPEN, LOST ---- close() ---------> CLOSED
        LOST, CLOSED -- reconnect() -----> OPEN
    """

    OPEN = enum.auto()
    LOST = enum.auto()
    CLOSED = enum.auto()


class TriggerMode(enum.StrEnum):
    """What starts an exposure."""

    FREE_RUN = "free_run"
    SOFTWARE = "software"
    HARDWARE = "hardware"


@dataclass(frozen=True, kw_only=True)
class CameraCapabilities:
    """Properties and limits of a camera, constant while it is armed. A new region or binning changes the shape.

    Parameters
    ----------
    model, serial : str
        Name and serial number.
    shape : (int, int)
        Height and width of a frame in pixels.
    bit_depths : tuple of int
        Significant bits that it can deliver.
    exposure_range_s : (float, float)
        Shortest and longest exposure time in seconds.
    readout_s : float
        Longest time from the end of an exposure to the delivered frame, in seconds.
    trigger_delay_s : float
        Time from an edge on the trigger line to the exposure in hardware mode, in seconds.
    channels : tuple of str
        Names of the colours or planes of a frame, in their order; empty for a camera that gives grey frames.
    """

    model: str
    serial: str
    shape: tuple[int, int]
    bit_depths: tuple[int, ...]
    exposure_range_s: tuple[float, float]
    readout_s: float
    trigger_delay_s: float = 0.0
    channels: tuple[str, ...] = ()

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of the pixels of a frame: (H, W), or (C, H, W) with channels."""
        return (len(self.channels), *self.shape) if self.channels else self.shape


@dataclass(frozen=True, kw_only=True)
class SlmCapabilities:
    """Properties of an SLM, constant while it is open.

    A camera must not expose earlier than ``latency_s + settle_s`` after :meth:`Slm.show`.

    Parameters
    ----------
    model, serial : str
        Name and serial number.
    shape : (int, int)
        Height and width of a pattern in pixels.
    refresh_s : float
        Refresh period in seconds.
    latency_s : float
        Longest time from :meth:`Slm.show` to the first light of the new pattern, in seconds.
    settle_s : float
        Settling time of the liquid crystal after that, in seconds.
    """

    model: str
    serial: str
    shape: tuple[int, int]
    refresh_s: float
    latency_s: float
    settle_s: float


@dataclass(frozen=True)
class CameraCounters:
    """Counts since the camera was armed.

    Without faults ``triggers`` is ``frames + failed`` plus the frames that are still to come. In hardware mode ``triggers``
    counts the edges that the camera is known to have accepted.
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
    """A camera that delivers frames one by one, in order, and reports every frame that it loses.

    No call blocks longer than its deadline. Only the thread that armed the camera may call it.
    """

    @property
    def capabilities(self) -> CameraCapabilities:
        """Properties and limits, constant while it is armed."""

    @property
    def counters(self) -> CameraCounters:
        """Triggers, frames and failures since arming."""

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds, as the camera reports it."""

    @property
    def bit_depth(self) -> int:
        """Significant bits of the next frames, one of ``capabilities.bit_depths``."""

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time for the next exposures.

        Raises
        ------
        DeviceError
            ``exposure_s`` lies outside ``capabilities.exposure_range_s``.
        """

    def arm(self, trigger: TriggerMode) -> None:
        """Empty the queue, set the counters to zero, then wait for triggers or for edges on the line, or run freely."""

    def trigger(self) -> None:
        """Start one exposure now.

        Raises
        ------
        TriggerIgnoredError
            The camera is not armed or not ready.
        DeviceError
            It runs freely or waits for edges on its line.
        """

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame in order.

        Raises
        ------
        DeviceTimeoutError
            No frame arrived within ``timeout_s``.
        FrameFailedError
            The driver declares the frame incomplete, or lost it.
        DeviceLostError
            The camera has disappeared.
        """

    def disarm(self) -> None:
        """Stop exposing and discard queued frames."""

    def reconnect(self) -> None:
        """Open the same device again after DeviceLostError, with its settings restored and disarmed."""


@runtime_checkable
class Slm(_Device, Protocol):
    """A phase SLM that reports what it shows and when it is settled."""

    @property
    def capabilities(self) -> SlmCapabilities:
        """Properties, constant while it is open."""

    @property
    def shown(self) -> Pattern | None:
        """The pattern of the last :meth:`show`, or None before the first."""

    def show(self, pattern: Pattern) -> int:
        """Queue ``pattern`` and return the monotonic time in ns from which it is displayed and settled.

        Raises
        ------
        WrongPatternError
            The pattern does not fit the SLM.
        DeviceLostError
            The display has disappeared.
        """

    def check(self) -> None:
        """Raise DeviceLostError when the display has disappeared; the exposure before that must not be used."""

    def reconnect(self) -> None:
        """Open the same display again after DeviceLostError."""


@runtime_checkable
class GreySlm(Slm, Protocol):
    """An SLM that is a display: it also accepts grey images without calibration, and keeps the last one sent."""

    @property
    def panel_shape(self) -> tuple[int, int]:
        """Height and width of its display in pixels."""

    @property
    def grey(self) -> NDArray[np.uint8] | None:
        """The grey levels sent last, (H, W) of the panel's native shape, or None before the first image."""

    def show_grey(self, grey: NDArray[np.uint8]) -> int:
        """Show grey levels unchanged, for test cards and for blanking; ``shown`` is None afterwards.

        Returns and raises as :meth:`Slm.show` does; raises WrongPatternError unless ``grey`` is uint8 of the panel's shape.
        """
