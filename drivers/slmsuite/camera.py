"""Cameras of slmsuite.

slmsuite's ``get_image`` takes one image at a time. Some of its classes start an exposure for it. Others return the newest
image of a camera that runs freely, which may have been exposed before the call. slmsuite does not report which, so the setting
``triggered`` states it. Without it the camera runs freely and has no trigger.

Properties of slmsuite and what this driver does about them:

- It silently repeats a failed capture up to five times, which would answer a trigger with a later image. This is switched off.
- Averaging sums frames, HDR changes the exposure and the orientation rotates images. All of them are switched off.
- ``bitdepth`` may be that of the pixel format (16 for a 12-bit camera), or the data may be left-justified. Counts are therefore
  compared with the stated bit depth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import KW_ONLY, dataclass, field
from types import TracebackType
from typing import Any, Self

from drivers.base import (
    BIT_DEPTHS,
    CameraCapabilities,
    CameraCounters,
    DeviceError,
    DeviceLostError,
    DeviceState,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    TriggerIgnoredError,
    TriggerMode,
)
from drivers.device_facts import DeviceFact, library_fact
from drivers.slmsuite.sdk_thread import Argument, SdkThread, check_class_path, keywords, load_class, reason_of
from drivers.slmsuite.snapshot import CameraFacts, Snapshot, capture, counts, describe

#: Longest time that a trigger waits for an abandoned snapshot to end, in nanoseconds.
_READY_NS = 200_000_000
#: Number of errors in a row after which the camera is lost: SDKs raise the same errors for a camera that was unplugged.
_LOST_AFTER = 3


@dataclass(frozen=True)
class SlmsuiteCameraConfig:
    """Which of slmsuite's cameras, and the properties that slmsuite does not report.

    Parameters
    ----------
    class_path : str
        Class, such as ``slmsuite.hardware.cameras.thorlabs.ThorCam``; empty only for an object given to ``wrap``.
    arguments : dict
        Arguments of its constructor by name: numbers, texts, lists of numbers.
    triggered : bool
        Whether ``get_image`` always starts a new exposure. If it may return an earlier image, pairs would be wrong.
    exposure_s : float
        Exposure time in seconds.
    exposure_range_s : (float, float)
        Used if slmsuite reports no ``exposure_bounds_s``.
    bit_depth : int
        Significant bits, right-justified: 8 to 16; 0 uses slmsuite's value.
    readout_s : float
        Time from the end of an exposure to the image, in seconds.
    timeout_s : float
        Longest time in seconds for a setting, and for an image in addition to its exposure. After twice this time the camera is
        lost.
    open_timeout_s : float
        Longest time for opening, in seconds.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    class_path: str = ""
    arguments: dict[str, Argument] = field(default_factory=dict, hash=False)
    _: KW_ONLY
    triggered: bool = False
    exposure_s: float = 0.010
    exposure_range_s: tuple[float, float] = (1e-5, 10.0)
    bit_depth: int = 0
    readout_s: float = 0.02
    timeout_s: float = 1.0
    open_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if self.class_path:
            check_class_path(self.class_path)
        object.__setattr__(self, "arguments", keywords(self.arguments))
        low_s, high_s = self.exposure_range_s
        if not (0 < low_s <= high_s and self.exposure_s > 0 and min(self.timeout_s, self.open_timeout_s) > 0):
            raise ValueError(f"exposures and time-outs must be positive and exposure_range_s must rise, got {self}")
        if self.bit_depth not in (0, *BIT_DEPTHS) or self.readout_s < 0:
            raise ValueError(f"bit_depth must be 0 or 8 to 16, and readout_s 0 or more, got {self}")


class SlmsuiteCamera:
    """A :class:`drivers.base.Camera` on slmsuite.

    In free run every :meth:`read` starts the next snapshot. A snapshot that ends after its time-out is returned by the next
    call. With ``triggered`` the time stamp is the start of the snapshot plus the exposure, otherwise the arrival minus the
    readout time.

    Parameters
    ----------
    config : SlmsuiteCameraConfig
        Which camera.

    Raises
    ------
    DeviceError
        slmsuite or the class is missing, the camera cannot be opened, or it sums frames or pixels.
    ValueError
        ``config`` names no class.
    """

    def __init__(self, config: SlmsuiteCameraConfig) -> None:
        if not config.class_path:
            raise ValueError(
                "class_path must name a class of slmsuite.hardware.cameras; use wrap() for an existing camera object"
            )
        maker = load_class(config.class_path, "Camera")
        self._begin(config, lambda: maker(**config.arguments), lambda camera: camera.close())

    @classmethod
    def wrap(cls, camera: Any, config: SlmsuiteCameraConfig | None = None) -> Self:
        """Return an adapter for an existing slmsuite camera, which the caller must close.

        Its ``capture_attempts`` and its exposure are changed. Reconnecting uses the same object on a new thread.

        Parameters
        ----------
        camera : slmsuite.hardware.cameras.camera.Camera
            No other code may use it in the meantime.
        config : SlmsuiteCameraConfig, optional
            ``class_path`` and ``arguments`` are ignored.

        Raises
        ------
        DeviceError
            It sums frames or pixels, or does not answer.
        """
        self = cls.__new__(cls)
        self._begin(config or SlmsuiteCameraConfig(), lambda: camera, lambda _: None)
        return self

    def _begin(self, config: SlmsuiteCameraConfig, make: Callable[[], Any], close: Callable[[Any], None]) -> None:
        self.config = config
        self._make = make
        self._close = close
        self._exposure_s = config.exposure_s
        self._mode: TriggerMode | None = None
        self._state = DeviceState.OPEN
        self._snapshot: Future[Snapshot] | None = None
        self._abandoned: Future[Snapshot] | None = None
        self._hangs_ns = 0
        self._triggers = self._frames = self._failed = self._failed_in_a_row = 0
        self._sdk = self._open()

    @property
    def counters(self) -> CameraCounters:
        """Triggers, frames and failed snapshots since arming."""
        return CameraCounters(self._triggers, self._frames, self._failed)

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds, as slmsuite reports it."""
        return self._exposure_s

    @property
    def bit_depth(self) -> int:
        """Significant bits of a frame."""
        return self.capabilities.bit_depths[0]

    def device_facts(self) -> tuple[DeviceFact, ...]:
        """Return the driver; see :class:`drivers.device_facts.DescribedDevice`."""
        return (library_fact("slmsuite"),)

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time after the current snapshot; raises DeviceError outside the camera's range."""
        self._alive()
        low_s, high_s = self.capabilities.exposure_range_s
        if not low_s <= exposure_s <= high_s:
            raise DeviceError(f"the exposure must be {low_s:g} to {high_s:g} s, got {exposure_s} s")
        try:
            self._exposure_s = self._write_exposure(self._sdk, exposure_s, self._busy_s + self.config.timeout_s)
        except DeviceTimeoutError as error:
            raise self._losing(str(error)) from error

    def arm(self, trigger: TriggerMode) -> None:
        """Discard the current snapshot, then wait for triggers or reads; software triggers need ``triggered``."""
        self.disarm()
        self._alive()
        if trigger is TriggerMode.HARDWARE:
            raise DeviceError(
                f"{self._name} cannot wait for its line, because slmsuite does not support it; choose another driver"
            )
        if trigger is TriggerMode.SOFTWARE:
            self._must_take_triggers()
        self._triggers = self._frames = self._failed = 0
        self._mode = trigger

    def trigger(self) -> None:
        """Start one exposure now; see :meth:`drivers.base.Camera.trigger`."""
        self._alive()
        self._must_take_triggers()
        if self._mode is TriggerMode.FREE_RUN:
            raise DeviceError("the camera runs freely; arm it for software triggers first")
        if self._mode is None:
            raise TriggerIgnoredError("the camera is not armed; arm it before triggering")
        if self._snapshot is not None:
            raise TriggerIgnoredError("the last triggered frame was not read yet; read it before the next trigger")
        if not self._returned(self._abandoned, time.monotonic_ns() + _READY_NS):
            raise TriggerIgnoredError(f"{self._name} is still busy with the last image; trigger again later")
        self._triggers += 1
        self._ask()

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame; see :meth:`drivers.base.Camera.read`.

        An error of the SDK is a failed frame. After three in a row, or when nothing arrives for the exposure plus twice
        ``timeout_s``, the camera is lost.
        """
        self._alive()
        if self._mode is None:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        if self._snapshot is None:
            if self._mode is TriggerMode.SOFTWARE:
                time.sleep(max(0.0, timeout_s))
                raise DeviceTimeoutError(f"no frame from {self._name} within {timeout_s:.3f} s; trigger it first")
            if self._returned(self._abandoned, deadline_ns):
                self._ask()
        snapshot = self._snapshot
        if snapshot is None or not self._returned(snapshot, deadline_ns):
            raise DeviceTimeoutError(
                f"no frame from {self._name} within {timeout_s:.3f} s; wait longer than its exposure, or check the camera"
            )
        self._snapshot = None
        return self._frame(snapshot)

    def disarm(self) -> None:
        """Stop immediately; the current snapshot ends by itself and is not delivered."""
        self._mode = None
        if self._snapshot is not None:
            self._abandoned = self._snapshot
            self._snapshot = None

    def reconnect(self) -> None:
        """Open the camera again on a new thread, with its exposure restored, disarmed.

        Raises
        ------
        DeviceLostError
            It is still disconnected.
        """
        self._release()
        try:
            self._sdk = self._open()
        except DeviceError as error:
            self._state = DeviceState.LOST
            raise DeviceLostError(f"{error}; plug it in and reconnect it") from error
        self._state = DeviceState.OPEN

    def close(self) -> None:
        """Close the camera, except one given to ``wrap``; safe to call twice and after it was lost."""
        if self._state is not DeviceState.CLOSED:
            self._release()
        self._state = DeviceState.CLOSED

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # ---- internal

    @property
    def _name(self) -> str:
        return f"the slmsuite camera {self.config.class_path.rpartition('.')[2]}".rstrip()

    @property
    def _busy_s(self) -> float:
        """Longest time that a working camera may still be busy with a snapshot, in seconds."""
        pending = self._snapshot or self._abandoned
        idle = self._state is DeviceState.LOST or pending is None or pending.done()
        return 0.0 if idle else max(0.0, (self._hangs_ns - time.monotonic_ns()) * 1e-9)

    def _returned(self, snapshot: Future[Snapshot] | None, deadline_ns: int) -> bool:
        """Wait for a snapshot and return whether it has ended; raise DeviceLostError when it hangs."""
        until_ns = min(deadline_ns, self._hangs_ns)
        if snapshot is None or wait([snapshot], max(0.0, (until_ns - time.monotonic_ns()) * 1e-9)).done:
            return True
        if time.monotonic_ns() < self._hangs_ns:
            return False
        raise self._losing(f"{self._name} has not returned an image {self.config.timeout_s:g} s after its own time-out")

    def _open(self) -> SdkThread:
        sdk = SdkThread(self._name, self._make, self._close, self.config.open_timeout_s)
        try:
            facts = sdk.call("describe itself", describe, self.config.timeout_s)
            self.capabilities = self._capabilities(facts)
            low_s, high_s = self.capabilities.exposure_range_s
            exposure_s = min(max(self._exposure_s, low_s), high_s)
            self._exposure_s = self._write_exposure(sdk, exposure_s, self.config.timeout_s)
        except DeviceError:
            sdk.end(0.0)
            raise
        return sdk

    def _capabilities(self, facts: CameraFacts) -> CameraCapabilities:
        depth = self.config.bit_depth or facts.bits
        if depth not in BIT_DEPTHS:
            raise DeviceError(f"{self._name} has {facts.bits} bit according to slmsuite; set bit_depth: 8 to 16")
        return CameraCapabilities(
            model=facts.model,
            serial=facts.serial,
            shape=facts.shape,
            bit_depths=(depth,),
            exposure_range_s=facts.exposure_bounds_s or self.config.exposure_range_s,
            readout_s=self.config.readout_s,
        )

    @staticmethod
    def _write_exposure(sdk: SdkThread, exposure_s: float, timeout_s: float) -> float:
        return round(float(sdk.call("set the exposure", lambda camera: camera.set_exposure(exposure_s), timeout_s)), 9)

    def _ask(self) -> None:
        """Start the next snapshot; only one is under way at a time."""
        exposure_s, timeout_s = self._exposure_s, self.config.timeout_s
        # slmsuite's own time-out ends a snapshot after the exposure plus timeout_s.
        self._hangs_ns = time.monotonic_ns() + round((exposure_s + 2 * timeout_s) * 1e9)
        self._abandoned = None
        self._snapshot = self._sdk.start(lambda camera: capture(camera, exposure_s, timeout_s))

    def _frame(self, snapshot: Future[Snapshot]) -> Frame:
        error = snapshot.exception()
        if error is not None:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= _LOST_AFTER:
                raise self._losing(f"{self._name} failed {_LOST_AFTER} times in a row, {reason_of(error)}") from error
            self._failed += 1
            raise FrameFailedError(
                f"{self._name} could not capture an image, {reason_of(error)}; check cable and power"
            ) from error
        self._failed_in_a_row = 0
        result = snapshot.result()
        try:
            pixels = counts(result.image, self.capabilities.shape, self.bit_depth)
        except FrameFailedError as bad:
            self._failed += 1
            raise FrameFailedError(f"{self._name} {bad}") from None
        stop_ns = result.done_ns - round(self.config.readout_s * 1e9)
        if self.config.triggered:
            stop_ns = min(result.done_ns, result.started_ns + round(result.exposure_s * 1e9))
        index = self._frames
        self._frames += 1
        return Frame(pixels, index, stop_ns, result.exposure_s, self.bit_depth)

    def _must_take_triggers(self) -> None:
        if not self.config.triggered:
            raise DeviceError(
                f"{self._name} cannot be triggered: get_image may return an older image; set triggered if it never does"
            )

    def _alive(self) -> None:
        if self._state is DeviceState.LOST:
            raise DeviceLostError(f"{self._name} is disconnected; plug it in and reconnect it")
        if self._state is DeviceState.CLOSED:
            raise DeviceError(f"{self._name} is closed; open it again")

    def _losing(self, reason: str) -> DeviceLostError:
        self.disarm()
        self._state = DeviceState.LOST
        return DeviceLostError(f"{reason}; plug it in and reconnect it")

    def _release(self) -> None:
        self.disarm()
        self._sdk.end(self._busy_s + self.config.timeout_s)
        self._abandoned = None
        self._failed_in_a_row = 0
