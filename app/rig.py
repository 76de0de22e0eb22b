"""From configuration to devices: the rig of an instrument and the name of its fibre."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from acquisition.capture import Rig
from app.config import InstrumentConfig
from drivers.clock import Clock, RealClock
from drivers.optics import FibreOptics, OpticsConfig
from drivers.simulated_camera import SimulatedCamera
from drivers.simulated_slm import SimulatedSlm

#: What changes from shot to shot or from day to day, but not which fibre it is.
_PASSING = ("drift_rad", "drift_seed", "phase_noise_rad")


def open_rig(config: InstrumentConfig, clock: Clock | None = None) -> tuple[Rig, str]:
    """Open the devices of an instrument; return them and the fibre's name."""
    clock = clock or RealClock()
    optics = FibreOptics(config.twin.optics)
    n = config.twin.optics.image_px
    slm = SimulatedSlm((n, n), config.twin.slm, clock)
    camera = SimulatedCamera(slm, optics, config.twin.camera, config.twin.faults, clock)
    return Rig(camera, slm, clock), fibre_name(config.twin.optics)


def fibre_name(optics: OpticsConfig) -> str:
    """Name a simulated fibre by its seed and a hash of everything that fixes it."""
    fixed = {key: value for key, value in asdict(optics).items() if key not in _PASSING}
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return f"twin {optics.seed} ({digest})"
