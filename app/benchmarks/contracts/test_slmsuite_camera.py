"""slmsuite's simulated camera through our driver: 8 and 12 bit with triggers, and 8 bit in free run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from drivers.base import DeviceLostError, TriggerMode
from drivers.clock import RealClock
from drivers.slmsuite.sdk_thread import NOT_INSTALLED
from drivers.testing.camera_contract import CameraContract, FreeRunOnlyContract, LostContract, Subject, TriggerContract
from drivers.testing.slmsuite_devices import GRACE_S, FaultyCamera, opened

pytestmark = pytest.mark.skipif(find_spec("slmsuite") is None, reason=NOT_INSTALLED)


class _Simulated:
    BIT_DEPTH = 8
    TRIGGERED = True

    @pytest.fixture
    def subject(self) -> Iterator[Subject]:
        mode = TriggerMode.SOFTWARE if self.TRIGGERED else TriggerMode.FREE_RUN
        faulty = FaultyCamera(bitdepth=self.BIT_DEPTH)
        with opened(faulty, triggered=self.TRIGGERED, timeout_s=GRACE_S / 2) as (camera, _):

            def unplug() -> None:
                faulty.hang()
                if mode is TriggerMode.SOFTWARE:
                    camera.trigger()
                with pytest.raises(DeviceLostError):
                    camera.read(10.0)
                faulty.heal()

            yield Subject(camera, RealClock(), mode, GRACE_S, unplug)


class TestTriggered(_Simulated, CameraContract, TriggerContract, LostContract):
    """8 bit: frames, software triggers and loss."""


@pytest.mark.slow
class TestTriggered12Bit(TestTriggered):
    """12 bit: frames, software triggers and loss."""

    BIT_DEPTH = 12


class TestFreeRun(_Simulated, CameraContract, FreeRunOnlyContract):
    """A class of slmsuite that may return an older image, so that it takes no triggers."""

    TRIGGERED = False
