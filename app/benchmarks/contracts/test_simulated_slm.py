"""The simulated SLM on a virtual and on the real clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.clock import Clock, RealClock, VirtualClock
from drivers.testing.slm_contract import SlmContract, Subject
from drivers.twin.slm import SimulatedSlm


class TestSimulatedSlm(SlmContract):
    """Patterns, time and loss."""

    @pytest.fixture(params=[VirtualClock, RealClock], ids=["virtual time", "real time"])
    def subject(self, request: pytest.FixtureRequest) -> Iterator[Subject]:
        """Return an SLM of 6 x 8 pixels."""
        clock: Clock = request.param()
        with SimulatedSlm((6, 8), clock=clock) as slm:
            yield Subject(slm, clock, slm.unplug)
