"""The twin's camera: it sees what the simulated SLM sends through the simulated fibre, in time, with faults on demand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

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
from drivers.clock import Clock, RealClock
from drivers.twin.optics import FibreOptics
from drivers.twin.sensor import SensorConfig, expose


@dataclass(frozen=True)
class FaultConfig:
    """Faults to inject. Rates are probabilities per frame; ``*_at`` lists frame numbers since the camera was opened."""

    dropped_rate: float = 0.0
    duplicated_rate: float = 0.0
    late_rate: float = 0.0
    late_s: float = 0.5
    failed_rate: float = 0.0
    hang_at: tuple[int, ...] = ()
    disconnect_at: tuple[int, ...] = ()
    failed_at: tuple[int, ...] = ()
    saturate_at: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        rates = (self.dropped_rate, self.duplicated_rate, self.late_rate, self.failed_rate)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"fault rates must be 0 or more and sum to at most 1, got {rates}")


@dataclass(frozen=True)
class SimulatedCameraConfig:
    """A global-shutter camera that delivers 8, 10 or 12 bit, right-justified. Its line is wired to the SLM's sync output."""

    bit_depth: int = 8
    exposure_s: float = 0.010
    readout_s: float = 0.004
    trigger_delay_s: float = 0.0
    sensor: SensorConfig = field(default_factory=SensorConfig)
    noise_seed: int = 0

    def __post_init__(self) -> None:
        if self.bit_depth not in (8, 10, 12):
            raise ValueError(f"the simulated camera has 8, 10 or 12 bit, got {self.bit_depth}")
        if self.trigger_delay_s < 0:
            raise ValueError(f"a trigger's delay must be 0 s or more, got {self.trigger_delay_s}")


@dataclass(frozen=True)
class _Exposure:
    start_ns: int
    exposure_s: float
    ready_ns: int
    fault: str

    @property
    def stop_ns(self) -> int:
        return self.start_ns + round(self.exposure_s * 1e9)


class Illuminating(Protocol):
    """What a simulated camera looks at: a panel that knows what it shows, and when it did."""

    def phase_at(self, t_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Return the phase (H, W) in radians at a time, and whether it had settled."""

    def lit_between(self, start_ns: int, stop_ns: int) -> tuple[str, ...]:
        """Return names of all that was shown at any time in an interval."""

    def edges_between(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """Return when its sync output rose."""


class SimulatedCamera:
    """A simulated :class:`drivers.base.Camera`.

    Parameters
    ----------
    slm : Illuminating
        What it looks at, such as a :class:`drivers.twin.slm.SimulatedSlm`.
    optics : FibreOptics
        Through which fibre.
    config, faults, clock
        Sensor and timing; faults to inject; real or virtual time.
    """

    EXPOSURE_RANGE_S = (20e-6, 1.0)

    def __init__(
        self,
        slm: Illuminating,
        optics: FibreOptics,
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
        self._mode: TriggerMode | None = None
        self._lost = self._hung = False
        self._queue: deque[_Exposure] = deque()
        self._busy_until_ns = self._edge_ns = 0
        self._triggers = self._frames = self._failed = self._exposed = 0
        self._last_pixels: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        self.injected: dict[str, int] = {}
        self.lit: dict[int, tuple[str, ...]] = {}
        n = optics.config.image_px
        self.capabilities = CameraCapabilities(
            model="simulated camera",
            serial=f"twin-{optics.config.seed}",
            shape=(n, n),
            bit_depths=(8, 10, 12),
            exposure_range_s=self.EXPOSURE_RANGE_S,
            readout_s=self.config.readout_s,
            trigger_delay_s=self.config.trigger_delay_s,
        )

    @property
    def counters(self) -> CameraCounters:
        """Triggers, frames and failed buffers since arming."""
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
        low, high = self.EXPOSURE_RANGE_S
        if not low <= exposure_s <= high:
            raise DeviceError(f"exposure {exposure_s} s is outside {low} .. {high} s of this camera")
        self._exposure_s = exposure_s

    def arm(self, trigger: TriggerMode) -> None:
        """Empty the queue, reset counters, wait for triggers or run freely."""
        self._check_present()
        self.disarm()
        self.lit.clear()
        self._triggers = self._frames = self._failed = 0
        self._hung = False
        self._edge_ns = self._clock.now_ns()
        self._mode = trigger

    def trigger(self) -> None:
        """Start an exposure now."""
        self._check_present()
        if self._mode is None:
            raise TriggerIgnoredError("trigger sent to a camera that is not armed; arm it with TriggerMode.SOFTWARE first")
        if self._mode is not TriggerMode.SOFTWARE:
            doing = "runs freely" if self._mode is TriggerMode.FREE_RUN else "waits for its line"
            raise DeviceError(f"the camera {doing} and takes no triggers; arm it with TriggerMode.SOFTWARE first")
        if self._clock.now_ns() < self._busy_until_ns:
            raise TriggerIgnoredError("trigger sent while the camera was still exposing or reading out; wait for the frame")
        self._triggers += 1
        self._begin_exposure(self._clock.now_ns())

    def read(self, timeout_s: float) -> Frame:
        """Return the next frame; see :meth:`drivers.base.Camera.read`."""
        self._check_present()
        if self._mode is None:
            raise DeviceError("the camera is not armed; arm it before reading frames")
        deadline = self._clock.now_ns() + round(timeout_s * 1e9)
        if self._mode is TriggerMode.FREE_RUN and not self._queue and self._busy_until_ns <= deadline:
            # The twin exposes when asked and never faster than its frame period: its arithmetic is the slow part.
            self._clock.wait_until(self._busy_until_ns)
            self._begin_exposure(self._clock.now_ns())
            self._check_present()
        if self._mode is TriggerMode.HARDWARE:
            self._take_edges(deadline)
        if self._hung or not self._queue or self._queue[0].ready_ns > deadline:
            self._clock.wait_until(deadline)
            raise DeviceTimeoutError(f"no frame within {timeout_s:.3f} s; check trigger, cable and exposure")
        exposure = self._queue.popleft()
        if exposure.fault == "failed":
            self._clock.wait_until(exposure.ready_ns)
            self._failed += 1
            raise FrameFailedError("the camera declared a buffer incomplete; retake it and check cable and bandwidth")
        if self._mode is TriggerMode.FREE_RUN:
            self._clock.wait_until(exposure.ready_ns)
        # Under a trigger the twin's arithmetic happens while it exposes and reads out, as a real camera's physics does.
        pixels = self._expose(exposure)
        self._clock.wait_until(exposure.ready_ns)
        index = self._frames
        self._frames += 1
        return Frame(pixels, index, exposure.stop_ns, exposure.exposure_s, self.config.bit_depth)

    def disarm(self) -> None:
        """Stop exposing and drop what is queued."""
        self._mode = None
        self._queue.clear()
        self._busy_until_ns = 0

    def reconnect(self) -> None:
        """Open the camera again after it was lost."""
        self._lost = self._hung = False
        self.disarm()

    def close(self) -> None:
        """Disarm."""
        self.disarm()

    def unplug(self) -> None:
        """Fault: the camera disappears until :meth:`reconnect`."""
        self._lost = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check_present(self) -> None:
        if self._lost:
            raise DeviceLostError("the simulated camera was unplugged; reconnect it")

    def _take_edges(self, until_ns: int) -> None:
        delay_ns = round(self.config.trigger_delay_s * 1e9)
        for edge_ns in self._slm.edges_between(self._edge_ns, until_ns):
            self._edge_ns = edge_ns
            if edge_ns + delay_ns >= self._busy_until_ns:  # a busy camera takes no edge, and nobody tells
                self._triggers += 1
                self._begin_exposure(edge_ns + delay_ns)
        self._check_present()

    def _begin_exposure(self, start: int) -> None:
        fault = self._draw_fault()
        self._busy_until_ns = start + round((self._exposure_s + self.config.readout_s) * 1e9)
        late_ns = round(self.faults.late_s * 1e9) if fault == "late" else 0
        if fault == "disconnected":
            self._lost = True
        elif fault == "hung":
            self._hung = True
        elif fault != "dropped":
            self._queue.append(_Exposure(start, self._exposure_s, self._busy_until_ns + late_ns, fault))

    def _draw_fault(self) -> str:
        faults, number = self.faults, self._exposed
        self._exposed += 1
        draw = self._rng.random()
        scheduled = {
            "hung": faults.hang_at,
            "disconnected": faults.disconnect_at,
            "failed": faults.failed_at,
            "saturated": faults.saturate_at,
        }
        kind = next((name for name, at in scheduled.items() if number in at), "")
        rates = {
            "dropped": faults.dropped_rate,
            "duplicated": faults.duplicated_rate,
            "late": faults.late_rate,
            "failed": faults.failed_rate,
        }
        for name, rate in rates.items():
            if not kind and draw < rate:
                kind = name
            draw -= rate
        if kind == "duplicated" and self._last_pixels is None:
            kind = ""  # there is no frame yet to repeat
        if kind:
            self.injected[kind] = self.injected.get(kind, 0) + 1
        return kind

    def _expose(self, exposure: _Exposure) -> NDArray[np.uint8] | NDArray[np.uint16]:
        stop_ns = exposure.stop_ns
        self.lit[self._frames] = self._slm.lit_between(exposure.start_ns, stop_ns)
        if exposure.fault == "duplicated" and self._last_pixels is not None:
            self.lit[self._frames] = ()
            return self._last_pixels
        moments = [(exposure.start_ns + stop_ns) // 2]
        if len(self.lit[self._frames]) > 1 or not self._slm.phase_at(exposure.start_ns)[1]:
            span = stop_ns - exposure.start_ns
            moments = [exposure.start_ns + span * part // 8 for part in (1, 3, 5, 7)]
        with torch.inference_mode():
            phase = torch.from_numpy(np.stack([self._slm.phase_at(moment)[0] for moment in moments]))
            noise = self.optics.shot_noise_rad(1, self._generator).expand(len(moments), -1)
            intensity = self.optics.intensity(phase, noise).mean(0) + self.optics.config.background
            if exposure.fault == "saturated":
                intensity = intensity * 50
            pixels = expose(intensity, exposure.exposure_s, self.config.bit_depth, self.config.sensor, self._generator)
        pixels.flags.writeable = False
        self._last_pixels = pixels
        return pixels
