"""The simulated phase SLM: refresh, video latency, settling of the liquid crystal, and a look-up table."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drivers.base import DeviceLostError, Pattern, SlmCapabilities, WrongPatternError
from drivers.clock import Clock, RealClock


@dataclass(frozen=True, kw_only=True)
class SimulatedSlmConfig:
    """A 60 Hz panel on a video cable.

    Parameters
    ----------
    refresh_hz : float
        Refresh rate in hertz.
    latency_frames : (int, int)
        Smallest and largest latency in refresh periods; it is drawn for every image.
    time_constant_s : float
        Time constant of the liquid crystal, in seconds.
    settle_s : float
        Time after which the panel reports that it is settled, in seconds.
    slm_range_rad : float
        Phase at grey level 255, in radians.
    lut_gamma : float
        Exponent of the panel's true response.
    assumed_lut_gamma : float
        Exponent that the driver corrects for. If it differs from ``lut_gamma``, the phase is wrong.
    seed : int
        Seed of the drawn latencies.

    Raises
    ------
    ValueError
        A setting is impossible.
    """

    refresh_hz: float = 60.0
    latency_frames: tuple[int, int] = (1, 2)
    time_constant_s: float = 0.003
    settle_s: float = 0.015
    slm_range_rad: float = 2 * np.pi
    lut_gamma: float = 1.0
    assumed_lut_gamma: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.latency_frames[0] <= self.latency_frames[1]:
            raise ValueError(f"latency_frames must be two numbers that do not decrease, 0 or more, got {self.latency_frames}")
        if self.refresh_hz <= 0 or self.time_constant_s < 0 or self.settle_s < 0 or self.slm_range_rad <= 0:
            raise ValueError(
                f"refresh_hz and slm_range_rad must be positive, time_constant_s and settle_s 0 or more, got {self}"
            )


#: Number of images that are always kept, of which the camera may still need the phase.
_HISTORY = 16


@dataclass(frozen=True)
class _Switch:
    t_ns: int
    pattern: Pattern
    phase_rad: NDArray[np.float32]


class SimulatedSlm:
    """A simulated :class:`drivers.base.Slm`.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the panel in pixels.
    config : SimulatedSlmConfig, optional
        Its timing and response.
    clock : Clock, optional
        Real or virtual time.
    """

    def __init__(self, shape: tuple[int, int], config: SimulatedSlmConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or SimulatedSlmConfig()
        self._clock = clock or RealClock()
        self._rng = np.random.default_rng(self.config.seed)
        self._lost = False
        self._lock = threading.Lock()
        self._shown: Pattern | None = None
        dark = Pattern(np.zeros(shape, np.float32), "unlit")
        self._switches: deque[_Switch] = deque([_Switch(0, dark, dark.phase_rad)])
        period = 1 / self.config.refresh_hz
        self.capabilities = SlmCapabilities(
            model="simulated phase SLM",
            serial=f"twin-{self.config.seed}",
            shape=shape,
            refresh_s=period,
            latency_s=(self.config.latency_frames[1] + 1) * period,
            settle_s=self.config.settle_s,
        )

    @property
    def shown(self) -> Pattern | None:
        """The pattern of the last :meth:`show`, or None before the first."""
        return self._shown

    def show(self, pattern: Pattern) -> int:
        """Queue a pattern for the next refresh; see :meth:`drivers.base.Slm.show`."""
        self.check()
        if pattern.shape != self.capabilities.shape:
            raise WrongPatternError(
                f"pattern {pattern.name!r} has the shape {pattern.shape}, but the SLM needs {self.capabilities.shape}; "
                "resize the pattern"
            )
        now = self._clock.now_ns()
        period_ns = round(1e9 / self.config.refresh_hz)
        low, high = self.config.latency_frames
        with self._lock:
            latch = (now // period_ns + 1 + int(self._rng.integers(low, high + 1))) * period_ns
            # A later image cannot overtake an earlier one.
            latch = max(latch, self._switches[-1].t_ns + 1)
            self._switches.append(_Switch(latch, pattern, self.displayed_phase(pattern.phase_rad)))
            # The camera looks back no further than one exposure. The image that the panel shows now must be kept.
            while len(self._switches) > _HISTORY and self._switches[2].t_ns <= now:
                self._switches.popleft()
            self._shown = pattern
        declared = now + round((self.capabilities.latency_s + self.capabilities.settle_s) * 1e9)
        return max(declared, latch + round(self.config.settle_s * 1e9))

    def displayed_phase(self, phase_rad: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase that the panel really shows: wrap, 8-bit grey through the assumed LUT, then the true response."""
        fraction = np.mod(phase_rad, np.float32(2 * np.pi)) / self.config.slm_range_rad
        grey = np.rint(255 * np.clip(fraction, 0, 1) ** (1 / self.config.assumed_lut_gamma))
        response = (np.arange(256) / 255) ** self.config.lut_gamma * self.config.slm_range_rad
        return response.astype(np.float32)[grey.astype(np.uint8)]

    def phase_at(self, t_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Return the phase on the panel at a time, and whether it had settled for ``settle_s``."""
        with self._lock:
            past = [switch for switch in self._switches if switch.t_ns <= t_ns]
        now = past[-1]
        age_ns = t_ns - now.t_ns
        if len(past) == 1 or age_ns >= round(self.config.settle_s * 1e9):
            return now.phase_rad, True
        tau = self.config.time_constant_s
        remaining = np.float32(np.exp(-age_ns * 1e-9 / tau) if tau > 0 else 0.0)
        return now.phase_rad + remaining * (past[-2].phase_rad - now.phase_rad), False

    def lit_between(self, start_ns: int, stop_ns: int) -> tuple[str, ...]:
        """Return the ids of all patterns that were on the panel at any time in an interval, as the truth for tests."""
        with self._lock:
            switches = list(self._switches)
        ids = []
        for switch, following in zip(switches, [*switches[1:], None], strict=True):
            end = following.t_ns if following else stop_ns + 1
            if switch.t_ns <= stop_ns and end > start_ns:
                ids.append(switch.pattern.id)
        return tuple(ids)

    def check(self) -> None:
        """Raise DeviceLostError while it is unplugged."""
        if self._lost:
            raise DeviceLostError("the simulated SLM was unplugged; reconnect it")

    def edges_between(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """Return the times at which its sync output rises, which is for every new image; ``after_ns`` is excluded."""
        with self._lock:
            return tuple(switch.t_ns for switch in self._switches if after_ns < switch.t_ns <= until_ns)

    def unplug(self) -> None:
        """Inject a fault: the display is disconnected until :meth:`reconnect`."""
        self._lost = True

    def reconnect(self) -> None:
        """Connect it again; it still shows the last pattern."""
        self._lost = False

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
