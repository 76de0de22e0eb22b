"""The SLM on another computer through slmPy's protocol, over a real socket to a small server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.clock import RealClock
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.slmpy import SlmPyConfig, SlmPySlm
from drivers.testing.slm_contract import SlmContract, Subject
from drivers.testing.slmpy_server import SlmPyServer

SHAPE = (6, 8)


class TestSlmPy(SlmContract):
    """Patterns, time and loss."""

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        """Return the client; its connection is cut by the server."""
        with SlmPyServer(SHAPE) as server, SlmPySlm(SlmPyConfig(port=server.port), Panel(PanelConfig(SHAPE))) as slm:
            yield Subject(slm, RealClock(), server.cut)
