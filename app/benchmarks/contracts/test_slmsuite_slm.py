"""slmsuite's simulated SLM through our driver."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

from drivers.base import DeviceLostError
from drivers.clock import RealClock
from drivers.slmsuite.sdk_thread import NOT_INSTALLED
from drivers.testing.slm_contract import SlmContract, Subject
from drivers.testing.slmsuite_devices import SHAPE, FaultySlm

pytestmark = pytest.mark.skipif(find_spec("slmsuite") is None, reason=NOT_INSTALLED)


class TestSlmsuiteSlm(SlmContract):
    """Patterns, time and loss."""

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        """Return the SLM; its SDK raises what it raises for a lost device."""
        faulty = FaultySlm(settle_time_s=0.01)
        with faulty.opened() as slm:

            def unplug() -> None:
                # slmsuite reports a loss only when it is called.
                faulty.broken = True
                with pytest.raises(DeviceLostError):
                    slm.show_grey(np.zeros(SHAPE, np.uint8))
                faulty.broken = False

            yield Subject(slm, RealClock(), unplug)
