"""The simulated camera: it images the simulated SLM through the simulated fibre, with real timing and injected faults."""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from drivers.base import (
    CameraCapabilities,
    CameraCounters,
    DeviceError,
    DeviceLostError,
    DeviceTimeoutError,
    Frame,
    FrameFailedError,
    TriggerIgnoredError,
    TriggerMode,
)
from drivers.camera_settings import (
    CameraSetting,
    Choices,
    NumberRange,
    Roi,
    RoiRange,
    SettingName,
    SettingValue,
    accepted,
    exposure_setting,
)
from drivers.clock import Clock, RealClock
from drivers.twin.sensor import SensorConfig, expose

#: For how many frames the camera remembers which patterns lit them.
_LIT_FRAMES = 1024
#: Limits of its settings: frames per second, decibels, and pixels of the sensor that make one of the frame, along each side.
_LOWEST_RATE_HZ, _HIGHEST_GAIN_DB, _BINNINGS = 0.1, 24.0, (1, 2, 4)
#: Regions start and end at multiples of so many pixels, where the frame has such a size; the smallest region, in pixels.
_ROI_STEP_PX, _ROI_LEAST_PX = 4, 16


class Fault(enum.StrEnum):
    """What can go wrong with a frame."""

    #: The frame never arrives.
    DROPPED = "dropped"
    #: The pixels of the last frame arrive again.
    DUPLICATED = "duplicated"
    #: The frame arrives ``late_s`` later.
    LATE = "late"
    #: The camera declares the frame incomplete.
    FAILED = "failed"
    #: The camera delivers nothing until it is armed again.
    HUNG = "hung"
    #: The camera is disconnected.
    DISCONNECTED = "disconnected"
    #: The frame is 50 times too bright.
    SATURATED = "saturated"


@dataclass(frozen=True, kw_only=True)
class FaultConfig:
    """Faults to inject.

    Parameters
    ----------
    dropped_rate, duplicated_rate, late_rate, failed_rate : float
        Probability of each fault per frame.
    late_s : float
        Delay of a late frame in seconds.
    hang_at, disconnect_at, failed_at, saturate_at, dropped_at, duplicated_at, late_at : tuple of int
        Numbers of the frames with a fault, counted since the camera was opened.
    seed : int
        Seed of the random faults.

    Raises
    ------
    ValueError
        A rate is negative, or their sum exceeds 1.
    """

    dropped_rate: float = 0.0
    duplicated_rate: float = 0.0
    late_rate: float = 0.0
    late_s: float = 0.5
    failed_rate: float = 0.0
    hang_at: tuple[int, ...] = ()
    disconnect_at: tuple[int, ...] = ()
    failed_at: tuple[int, ...] = ()
    saturate_at: tuple[int, ...] = ()
    dropped_at: tuple[int, ...] = ()
    duplicated_at: tuple[int, ...] = ()
    late_at: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        rates = (self.dropped_rate, self.duplicated_rate, self.late_rate, self.failed_rate)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"fault rates must be 0 or more and sum to at most 1, got {rates}")


@dataclass(frozen=True, kw_only=True)
class SimulatedCameraConfig:
    """A global-shutter camera. Its trigger line is connected to the SLM's sync output.

    Parameters
    ----------
    bit_depth : int
        8, 10 or 12 significant bits, right-justified.
    exposure_s, readout_s : float
        Exposure time, and time from its end to the delivered frame, in seconds.
    trigger_delay_s : float
        Time from an edge on the line to the exposure, in seconds.
    sensor : SensorConfig
        The sensor.
    noise_seed : int
        Seed of shot noise and read noise.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    bit_depth: int = 8
    exposure_s: float = 0.010
    readout_s: float = 0.004
    trigger_delay_s: float = 0.0
    sensor: SensorConfig = field(default_factory=SensorConfig)
    noise_seed: int = 0

    def __post_init__(self) -> None:
        if self.bit_depth not in (8, 10, 12):
            raise ValueError(f"bit_depth of the simulated camera must be 8, 10 or 12 bit, got {self.bit_depth}")
        if self.trigger_delay_s < 0:
            raise ValueError(f"trigger_delay_s must be 0 or more, got {self.trigger_delay_s}")


@dataclass(frozen=True, kw_only=True)
class _Exposure:
    number: int
    start_ns: int
    exposure_s: float
    ready_ns: int
    fault: Fault | None

    @property
    def stop_ns(self) -> int:
        return self.start_ns + round(self.exposure_s * 1e9)


@dataclass(frozen=True, kw_only=True)
class InjectedFault:
    """A fault that was injected.

    Parameters
    ----------
    fault : Fault
        What it was.
    exposure : int
        The number of the exposure since the camera was opened.
    start_ns, stop_ns : int
        Start and end of the exposure on the camera's clock, in nanoseconds. A delivered frame has the latter as ``t_ns``.
    """

    fault: Fault
    exposure: int
    start_ns: int
    stop_ns: int


class Illuminating(Protocol):
    """What a simulated camera images: a panel that knows what it showed at which time."""

    def phase_at(self, t_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Return the phase (H, W) in radians at a time, and whether it had settled."""

    def lit_between(self, start_ns: int, stop_ns: int) -> tuple[str, ...]:
        """Return the names of all patterns that were shown at any time in an interval."""

    def edges_between(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """Return the times at which its sync output rose."""


class TwinOptics(Protocol):
    """What lies between a panel, or a sample in its place, and a simulated camera."""

    @property
    def side_px(self) -> int:
        """Side of a frame in pixels."""

    @property
    def serial(self) -> str:
        """What tells this twin from others."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of a frame; empty if it is grey."""

    def seen(self, phase_rad: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the light (n, n) or (c, n, n) of one exposure, in which the phases (m, n, n) are shown one after the other."""


class SimulatedCamera:
    """A simulated :class:`drivers.base.Camera`.

    Parameters
    ----------
    slm : Illuminating
        What it images, such as a :class:`drivers.twin.slm.SimulatedSlm`.
    optics : TwinOptics
        What lies in between, such as a :class:`drivers.twin.optics.FibreOptics`.
    config : SimulatedCameraConfig, optional
        Sensor and timing.
    faults : FaultConfig, optional
        Faults to inject.
    clock : Clock, optional
        Real or virtual time.

    Attributes
    ----------
    injected : dict of Fault to int
        Number of injected faults of each kind.
    injections : list of InjectedFault
        The injected faults in their order.
    lit : dict of int to tuple of str
        For the latest frames since arming, the names of the patterns that were on the panel during their exposure.
    """

    EXPOSURE_RANGE_S = (20e-6, 1.0)

    def __init__(
        self,
        slm: Illuminating,
        optics: TwinOptics,
        config: SimulatedCameraConfig | None = None,
        faults: FaultConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.config = config or SimulatedCameraConfig()
        self.faults = faults or FaultConfig()
        self.optics = optics
        self._slm = slm
        self._clock = clock or RealClock()
        self._generator = torch.Generator().manual_seed(self.config.noise_seed)
        self._rng = np.random.default_rng(self.faults.seed)
        self._exposure_s = self.config.exposure_s
        self._sensor = self.config.sensor
        self._binning = 1
        self._rate_limit_hz = math.inf
        self._mode: TriggerMode | None = None
        self._lost = self._hung = self._removed = False
        self._queue: deque[_Exposure] = deque()
        self._busy_until_ns = self._ready_ns = self._edge_ns = 0
        self._triggers = self._frames = self._failed = self._numbered = self._exposed = 0
        self._last_pixels: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        self.injected: dict[Fault, int] = {}
        self.injections: list[InjectedFault] = []
        self.lit: dict[int, tuple[str, ...]] = {}
        self._roi = self._roi_range().whole
        self.capabilities = CameraCapabilities(
            model="simulated camera",
            serial=optics.serial,
            shape=(self._roi.height, self._roi.width),
            bit_depths=(8, 10, 12),
            exposure_range_s=self.EXPOSURE_RANGE_S,
            readout_s=self.config.readout_s,
            trigger_delay_s=self.config.trigger_delay_s,
            channels=optics.channels,
        )

    @property
    def counters(self) -> CameraCounters:
        """Triggers, frames and failed frames since arming."""
        return CameraCounters(self._triggers, self._frames, self._failed)

    @property
    def exposure_s(self) -> float:
        """Exposure time in seconds."""
        return self._exposure_s

    @property
    def bit_depth(self) -> int:
        """Significant bits of a frame."""
        return self.config.bit_depth

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure time; see :meth:`drivers.base.Camera.set_exposure`."""
        low_s, high_s = self.EXPOSURE_RANGE_S
        if not low_s <= exposure_s <= high_s:
            raise DeviceError(f"the exposure must be {low_s:g} to {high_s:g} s, got {exposure_s} s")
        self._exposure_s = exposure_s

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return exposure, gain, frame rate, region and binning; see :class:`drivers.camera_settings.AdjustableCamera`."""
        fastest_hz = 1 / (self._exposure_s + self.config.readout_s)
        lowest_db = min(0.0, self.config.sensor.gain_db)
        gain, rate = NumberRange(lowest_db, _HIGHEST_GAIN_DB), NumberRange(min(_LOWEST_RATE_HZ, fastest_hz), fastest_hz)
        binnings = Choices(tuple(binning for binning in _BINNINGS if self.optics.side_px % binning == 0))
        return (
            exposure_setting(self),
            CameraSetting(name=SettingName.GAIN, value=self._sensor.gain_db, limits=gain, unit="dB"),
            CameraSetting(name=SettingName.FRAME_RATE_HZ, value=min(self._rate_limit_hz, fastest_hz), limits=rate, unit="Hz"),
            CameraSetting(name=SettingName.ROI, value=self._roi, limits=self._roi_range(), unit="px", live=False),
            CameraSetting(name=SettingName.BINNING, value=self._binning, limits=binnings, live=False),
        )

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Change one setting; see :meth:`drivers.camera_settings.AdjustableCamera.change_setting`."""
        self._check_present()
        value = accepted(self.settings(), name, value, armed=self._mode is not None)
        if isinstance(value, Roi):
            self._read_region(value)
        elif name is SettingName.EXPOSURE_S:
            self.set_exposure(value)
        elif name is SettingName.GAIN:
            self._sensor = replace(self._sensor, gain_db=value)
        elif name is SettingName.FRAME_RATE_HZ:
            self._rate_limit_hz = value
        else:
            self._binning = int(value)
            self._read_region(self._roi_range().whole)

    def arm(self, trigger: TriggerMode) -> None:
        """Empty the queue, set the counters to zero, then wait for triggers or run freely."""
        self._check_present()
        self.disarm()
        self.lit.clear()
        self._triggers = self._frames = self._failed = self._numbered = 0
        self._hung = False
        self._edge_ns = self._clock.now_ns()
        self._mode = trigger

    def trigger(self) -> None:
        """Start an exposure now."""
        self._check_present()
        if self._mode is None:
            raise TriggerIgnoredError("the camera is not armed; arm it before triggering")
        if self._mode is not TriggerMode.SOFTWARE:
            state = "runs freely" if self._mode is TriggerMode.FREE_RUN else "waits for its line"
            raise DeviceError(f"the camera {state}; arm it for software triggers first")
        if self._clock.now_ns() < self._busy_until_ns:
            raise TriggerIgnoredError("the camera is still exposing or reading out; read the frame before the next trigger")
        self._triggers += 1
        self._begin_exposure(self._clock.now_ns())

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame; see :meth:`drivers.base.Camera.read`."""
        self._check_present()
        if self._mode is None:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        deadline_ns = self._clock.now_ns() + round(timeout_s * 1e9)
        if self._mode is TriggerMode.FREE_RUN and not self._queue and self._busy_until_ns <= deadline_ns:
            # It exposes when a frame is read, and never faster than its frame period, because the calculation is slow.
            self._clock.wait_until(self._busy_until_ns)
            self._begin_exposure(self._clock.now_ns())
            self._check_present()
        if self._mode is TriggerMode.HARDWARE:
            self._accept_edges(deadline_ns)
        if self._hung or not self._queue or self._queue[0].ready_ns > deadline_ns:
            self._clock.wait_until(deadline_ns)
            raise DeviceTimeoutError(f"no frame within {timeout_s:.3f} s; check trigger, cable and exposure")
        exposure = self._queue.popleft()
        if exposure.fault is Fault.FAILED:
            self._clock.wait_until(exposure.ready_ns)
            self._failed += 1
            raise FrameFailedError("the camera declared a frame incomplete; capture it again, check cable and bandwidth")
        if self._mode is TriggerMode.FREE_RUN:
            self._clock.wait_until(exposure.ready_ns)
        # With a trigger the calculation takes place during exposure and readout.
        pixels = self._expose(exposure)
        self._clock.wait_until(exposure.ready_ns)
        self._frames += 1
        return Frame(pixels, exposure.number, exposure.stop_ns, exposure.exposure_s, self.config.bit_depth)

    def disarm(self) -> None:
        """Stop exposing and discard queued frames."""
        self._mode = None
        self._queue.clear()
        self._busy_until_ns = 0

    def reconnect(self) -> None:
        """Open the camera again after it was lost; it stays lost while it is removed."""
        if self._removed:
            raise DeviceLostError("the simulated camera is still unplugged; plug it in again")
        self._lost = self._hung = False
        self.disarm()

    def close(self) -> None:
        """Disarm."""
        self.disarm()

    def unplug(self) -> None:
        """Inject a fault: the camera is disconnected until :meth:`reconnect`."""
        self._lost = True

    def remove(self) -> None:
        """Inject a fault: the camera is unplugged and cannot be reconnected before :meth:`put_back`. Any thread may call it."""
        self._removed = True
        self._lost = True

    def put_back(self) -> None:
        """Plug the camera in again after :meth:`remove`; whoever uses it reconnects. Any thread may call it."""
        self._removed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check_present(self) -> None:
        if self._lost:
            raise DeviceLostError("the simulated camera was unplugged; reconnect it")

    def _roi_range(self) -> RoiRange:
        """Return the regions that it can read at its binning."""
        side = self.optics.side_px // self._binning
        step = _ROI_STEP_PX if side % _ROI_STEP_PX == 0 else 1
        sides = NumberRange(min(_ROI_LEAST_PX, side), side, step)
        return RoiRange(width=sides, height=sides, x_step=step, y_step=step)

    def _read_region(self, roi: Roi) -> None:
        self._roi = roi
        self.capabilities = replace(self.capabilities, shape=(roi.height, roi.width))
        self._last_pixels = None  # a frame that is repeated has the present shape

    def _accept_edges(self, until_ns: int) -> None:
        delay_ns = round(self.config.trigger_delay_s * 1e9)
        for edge_ns in self._slm.edges_between(self._edge_ns, until_ns):
            self._edge_ns = edge_ns
            if edge_ns + delay_ns >= self._busy_until_ns:  # a busy camera ignores an edge silently
                self._triggers += 1
                self._begin_exposure(edge_ns + delay_ns)
        self._check_present()

    def _begin_exposure(self, start_ns: int) -> None:
        fault = self._next_fault()
        if fault is not None:
            stop_ns = start_ns + round(self._exposure_s * 1e9)
            self.injected[fault] = self.injected.get(fault, 0) + 1
            self.injections.append(InjectedFault(fault=fault, exposure=self._exposed - 1, start_ns=start_ns, stop_ns=stop_ns))
        period_s = self._exposure_s + self.config.readout_s
        self._ready_ns = start_ns + round(period_s * 1e9)
        if self._mode is TriggerMode.FREE_RUN:
            period_s = max(period_s, 1 / self._rate_limit_hz)
        self._busy_until_ns = start_ns + round(period_s * 1e9)
        if fault is Fault.DISCONNECTED:
            self._lost = True
        elif fault is Fault.HUNG:
            self._hung = True
        else:
            if fault is not Fault.DROPPED:
                self._enqueue(start_ns, fault)
            # As a real camera's, the counter has a gap where a frame was lost on its way, and none where one was incomplete.
            self._numbered += fault is not Fault.FAILED

    def _enqueue(self, start_ns: int, fault: Fault | None) -> None:
        late_ns = round(self.faults.late_s * 1e9) if fault is Fault.LATE else 0
        exposure = _Exposure(
            number=self._numbered,
            start_ns=start_ns,
            exposure_s=self._exposure_s,
            ready_ns=self._ready_ns + late_ns,
            fault=fault,
        )
        self._queue.append(exposure)

    def _next_fault(self) -> Fault | None:
        """Return the fault of the next exposure: a scheduled one, else a random one, else None."""
        fault = self._scheduled_fault(self._exposed)
        self._exposed += 1
        random_fault = self._random_fault()  # always drawn, so that a schedule does not change the later random faults
        fault = fault or random_fault
        if fault is Fault.DUPLICATED and self._last_pixels is None:
            return None  # there is no frame yet to repeat
        return fault

    def _scheduled_fault(self, number: int) -> Fault | None:
        schedule = {
            Fault.HUNG: self.faults.hang_at,
            Fault.DISCONNECTED: self.faults.disconnect_at,
            Fault.FAILED: self.faults.failed_at,
            Fault.SATURATED: self.faults.saturate_at,
            Fault.DROPPED: self.faults.dropped_at,
            Fault.DUPLICATED: self.faults.duplicated_at,
            Fault.LATE: self.faults.late_at,
        }
        return next((fault for fault, numbers in schedule.items() if number in numbers), None)

    def _random_fault(self) -> Fault | None:
        draw = self._rng.random()
        rates = {
            Fault.DROPPED: self.faults.dropped_rate,
            Fault.DUPLICATED: self.faults.duplicated_rate,
            Fault.LATE: self.faults.late_rate,
            Fault.FAILED: self.faults.failed_rate,
        }
        for fault, rate in rates.items():
            if draw < rate:
                return fault
            draw -= rate
        return None

    def _expose(self, exposure: _Exposure) -> NDArray[np.uint8] | NDArray[np.uint16]:
        stop_ns = exposure.stop_ns
        while len(self.lit) >= _LIT_FRAMES:
            del self.lit[next(iter(self.lit))]
        lit = self.lit[exposure.number] = self._slm.lit_between(exposure.start_ns, stop_ns)
        if exposure.fault is Fault.DUPLICATED and self._last_pixels is not None:
            self.lit[exposure.number] = ()
            return self._last_pixels
        moments = [(exposure.start_ns + stop_ns) // 2]
        if len(lit) > 1 or not self._slm.phase_at(exposure.start_ns)[1]:
            span = stop_ns - exposure.start_ns
            moments = [exposure.start_ns + span * part // 8 for part in (1, 3, 5, 7)]
        with torch.inference_mode():
            phase = torch.from_numpy(np.stack([self._slm.phase_at(moment)[0] for moment in moments]))
            intensity = self.optics.seen(phase, self._generator)
            if exposure.fault is Fault.SATURATED:
                intensity = intensity * 50
            sensor = self._sensor.binned(self._binning)
            pixels = expose(self._seen(intensity), exposure.exposure_s, self.config.bit_depth, sensor, self._generator)
        pixels.flags.writeable = False
        self._last_pixels = pixels
        return pixels

    def _seen(self, intensity: torch.Tensor) -> torch.Tensor:
        """Return what the pixels of a frame collect: sums of the sensor's pixels, in the region that is read."""
        if self._binning > 1:
            intensity = avg_pool2d(intensity[None], self._binning)[0] * self._binning**2
        roi = self._roi
        return intensity[..., roi.y : roi.y + roi.height, roi.x : roi.x + roi.width]
