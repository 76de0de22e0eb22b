"""slmsuite's simulated camera and SLM, with faults to inject."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from drivers.clock import RealClock
from drivers.displays.panel import Panel
from drivers.slmsuite.camera import SlmsuiteCamera, SlmsuiteCameraConfig
from drivers.slmsuite.sdk_thread import load_class
from drivers.slmsuite.slm import SlmsuiteSlm, SlmsuiteSlmConfig

#: Height and width of the panel; not square, so that an exchange of the two is noticed.
SHAPE = (24, 40)
SIMULATED_SLM = "slmsuite.hardware.slms.simulated.SimulatedSLM"
SIMULATED_CAMERA = "slmsuite.hardware.cameras.simulated.SimulatedCamera"
#: How late a busy computer may be, in seconds.
GRACE_S = 1.0


def simulated_slm(**settings: Any) -> Any:
    """Return one of slmsuite's simulated SLMs of ``SHAPE``."""
    return load_class(SIMULATED_SLM, "SLM")(SHAPE[::-1], **settings)


class FaultyCamera:
    """slmsuite's simulated camera in front of its simulated SLM. An image takes as long as its exposure.

    ``camera`` is slmsuite's object, ``calls`` the number of images it was asked for. ``fault`` is applied to every image:
    it returns another image or raises.
    """

    def __init__(self, slm: Any = None, **settings: Any) -> None:
        self.slm = simulated_slm() if slm is None else slm
        self.calls = 0
        self.fault: Callable[[np.ndarray], Any] = lambda image: image
        self._healthy = threading.Event()
        self._healthy.set()
        faulty = self

        class Timed(load_class(SIMULATED_CAMERA, "Camera")):  # type: ignore[misc]
            def _get_image_hw(self, timeout_s: float) -> Any:
                # slmsuite also asks for one image while it makes the camera.
                if hasattr(self, "last_image"):
                    faulty.wait_for_exposure(self.exposure_s)
                return faulty.fault(super()._get_image_hw(timeout_s))

        self.camera = Timed(self.slm, gain=2000, **settings)

    def wait_for_exposure(self, exposure_s: float) -> None:
        """Count a call, and return after an exposure, or later while the camera hangs."""
        self.calls += 1
        RealClock().wait_until(time.monotonic_ns() + round(exposure_s * 1e9))
        self._healthy.wait()

    def hang(self) -> None:
        """Block every image from now on."""
        self._healthy.clear()

    def heal(self) -> None:
        """Let the blocked image and all later ones come."""
        self._healthy.set()


@contextmanager
def opened(faulty: FaultyCamera | None = None, **settings: Any) -> Iterator[tuple[SlmsuiteCamera, FaultyCamera]]:
    """Open our driver on a simulated camera; ``settings`` are those of SlmsuiteCameraConfig."""
    faulty = faulty or FaultyCamera()
    settings = {"triggered": True, "exposure_s": 0.002, "timeout_s": 0.1, **settings}
    camera = SlmsuiteCamera.wrap(faulty.camera, SlmsuiteCameraConfig(**settings))
    try:
        yield camera, faulty
    finally:
        faulty.heal()
        camera.close()


class FaultySlm:
    """slmsuite's simulated SLM, with a list of what its panel was sent.

    While ``healthy`` is not set an image blocks; while ``broken`` is true it raises as a lost USB device does.
    """

    def __init__(self, **settings: Any) -> None:
        self.sent: list[np.ndarray] = []
        self.healthy = threading.Event()
        self.healthy.set()
        self.broken = False
        faulty = self

        class Recorded(load_class(SIMULATED_SLM, "SLM")):  # type: ignore[misc]
            def _set_phase_hw(self, display: Any) -> None:
                faulty.healthy.wait()
                if faulty.broken:
                    raise OSError("USB device\nnot found")
                faulty.sent.append(np.array(display))

        self.slm = Recorded(SHAPE[::-1], **settings)
        self.sent.clear()

    def opened(self, panel: Panel | None = None, **settings: Any) -> SlmsuiteSlm:
        """Open our driver on it; ``settings`` are those of SlmsuiteSlmConfig."""
        return SlmsuiteSlm.wrap(self.slm, SlmsuiteSlmConfig(**{"timeout_s": GRACE_S, **settings}), panel)
