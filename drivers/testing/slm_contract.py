"""What every SLM must do: the docstrings of :class:`drivers.base.Slm` as tests.

Inherit from the class and provide the fixture ``subject``, as the modules of ``app/benchmarks/contracts`` do. The tests never
wait, so simulated and real SLMs pass the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from drivers.base import DeviceLostError, Pattern, Slm, WrongPatternError
from drivers.clock import Clock

#: A busy computer may delay a call, but not every one of so many.
CALLS = 5


@dataclass
class Subject:
    """One SLM under test; ``unplug`` disconnects it."""

    slm: Slm
    clock: Clock
    unplug: Callable[[], None]


def flat(phase_rad: float, shape: tuple[int, int]) -> Pattern:
    return Pattern(np.full(shape, phase_rad, np.float32), f"{phase_rad} rad")


class SlmContract:
    """For every SLM."""

    def test_is_an_slm_that_makes_sense(self, subject: Subject) -> None:
        assert isinstance(subject.slm, Slm)
        capabilities = subject.slm.capabilities
        assert capabilities.model
        assert capabilities.serial
        assert min(capabilities.shape) > 0
        assert 0 < capabilities.refresh_s <= capabilities.latency_s
        assert capabilities.settle_s >= 0

    def test_returns_the_time_at_which_the_pattern_is_settled(self, subject: Subject) -> None:
        capabilities = subject.slm.capabilities
        delay_ns = round((capabilities.latency_s + capabilities.settle_s) * 1e9)
        for _ in range(CALLS):
            called_ns = subject.clock.now_ns()
            settled_ns = subject.slm.show(flat(1.0, capabilities.shape))
            returned_ns = subject.clock.now_ns()
            # The time counts from some moment during the call. Rounding changes it by a nanosecond.
            assert called_ns + delay_ns - 2 <= settled_ns <= returned_ns + delay_ns + 2
            if settled_ns > returned_ns:
                return
        pytest.fail(f"show returned only after the pattern was settled, {CALLS} times")

    def test_keeps_the_last_pattern(self, subject: Subject) -> None:
        assert subject.slm.shown is None
        shape = subject.slm.capabilities.shape
        for pattern in (flat(1.0, shape), flat(2.0, shape), flat(1.0, shape)):
            subject.slm.show(pattern)
            assert subject.slm.shown is pattern

    def test_refuses_a_pattern_that_does_not_fit_and_keeps_what_it_shows(self, subject: Subject) -> None:
        height, width = subject.slm.capabilities.shape
        good = flat(1.0, (height, width))
        subject.slm.show(good)
        for shape in {(width, height), (height, width + 1), (1, 1), (2 * height, 2 * width)} - {(height, width)}:
            with pytest.raises(WrongPatternError, match="resize"):
                subject.slm.show(flat(2.0, shape))
            assert subject.slm.shown is good

    def test_a_pattern_that_is_not_finite_never_reaches_it(self, subject: Subject) -> None:
        phase = np.zeros(subject.slm.capabilities.shape, np.float32)
        phase[0, 0] = np.nan
        with pytest.raises(WrongPatternError, match="not finite"):
            subject.slm.show(Pattern(phase))
        assert subject.slm.shown is None

    def test_reports_its_loss_comes_back_and_can_be_closed_at_any_time(self, subject: Subject) -> None:
        pattern = flat(1.0, subject.slm.capabilities.shape)
        subject.slm.show(pattern)
        subject.slm.check()
        subject.unplug()
        with pytest.raises(DeviceLostError, match="reconnect"):
            subject.slm.check()
        with pytest.raises(DeviceLostError, match="reconnect"):
            subject.slm.show(flat(2.0, subject.slm.capabilities.shape))
        assert subject.slm.shown is pattern
        subject.slm.close()
        subject.slm.reconnect()
        assert subject.slm.show(pattern) > subject.clock.now_ns()
        subject.slm.close()
        subject.slm.close()

    def test_the_context_manager_gives_the_slm_itself(self, subject: Subject) -> None:
        with subject.slm as slm:
            assert slm is subject.slm
