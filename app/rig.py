"""From configuration to devices: the rig of an instrument and the name of its fibre."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict

from acquisition.capture import Rig
from app.config import InstrumentConfig
from drivers.base import Camera, DeviceError
from drivers.clock import Clock, RealClock
from drivers.optics import FibreOptics, OpticsConfig
from drivers.simulated_camera import SimulatedCamera
from drivers.simulated_slm import SimulatedSlm

#: Starts the screen SLM's window. By name: no driver may import the window's package.
SCREEN_COMMAND = (sys.executable, "-m", "app.gui.slm_screen")
#: What changes from shot to shot or from day to day, but not which fibre it is.
_PASSING = ("drift_rad", "drift_seed", "phase_noise_rad")


def open_rig(config: InstrumentConfig, clock: Clock | None = None) -> tuple[Rig, str]:
    """Open the devices of an instrument; return them and the fibre's name.

    Raises
    ------
    DeviceError
        A device or its library is missing, or refuses a setting.
    """
    clock = clock or RealClock()
    optics = FibreOptics(config.twin.optics)
    n = config.twin.optics.image_px
    slm = SimulatedSlm((n, n), config.twin.slm, clock)
    sensor = SimulatedCamera(slm, optics, config.twin.camera, config.twin.faults, clock)
    camera = sensor if config.camera == "simulated" else _through_pylon(sensor)
    return Rig(camera, slm, clock), fibre_name(config.twin.optics)


def _through_pylon(sensor: SimulatedCamera) -> Camera:
    try:
        from drivers.basler_emulator import TwinFedBasler
    except ImportError as error:
        raise DeviceError(f"pylon cannot be loaded ({error}); install it: pip install pypylon") from error
    return TwinFedBasler(sensor)


def fibre_name(optics: OpticsConfig) -> str:
    """Name a simulated fibre by its seed and a hash of everything that fixes it."""
    fixed = {key: value for key, value in asdict(optics).items() if key not in _PASSING}
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return f"twin {optics.seed} ({digest})"
