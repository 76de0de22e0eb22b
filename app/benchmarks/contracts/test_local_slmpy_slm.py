"""The SLM in an slmPy window of this computer. The window's process is real; slmPy and wxPython are small stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.clock import RealClock
from drivers.displays.slmpy_local import LocalSlmPySlm, SlmPyWindowConfig
from drivers.testing.slm_contract import SlmContract, Subject
from drivers.testing.slmpy_checkout import kill, window_process, write_checkout


class TestLocalSlmPy(SlmContract):
    """Patterns, time and loss."""

    @pytest.fixture
    def subject(self, tmp_path: Path) -> Iterator[Subject]:
        """Return the SLM; its window's process is killed."""
        checkout = write_checkout(tmp_path, (6, 8))
        with LocalSlmPySlm(SlmPyWindowConfig(sys.executable, str(checkout))) as slm:
            yield Subject(slm, RealClock(), lambda: kill(window_process(checkout)))
