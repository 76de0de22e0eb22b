"""From configuration to devices: the rig of an instrument, the name of its fibre, and the model that fits both."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.instrument.devices import open_camera, open_slm
from app.instrument.responses import attach
from calibration.stored import CalibrationError
from drivers.base import Camera, DeviceError, TriggerMode
from drivers.clock import Clock, RealClock
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm
from reconstruction.base import ReconstructionError
from reconstruction.models.model import Model, load_model

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
    trigger = TriggerMode(config.trigger)
    if config.on_twin:
        optics = FibreOptics(config.twin.optics)
        n = config.twin.optics.image_px
        slm = SimulatedSlm((n, n), config.twin.slm, clock)
        sensor = SimulatedCamera(slm, optics, config.twin.camera, config.twin.faults, clock)
        camera = sensor if config.camera == "simulated" else _through_pylon(sensor)
        return Rig(camera, slm, clock, trigger), fibre_name(config.twin.optics)
    camera = open_camera(config, clock)
    try:
        rig = Rig(camera, open_slm(config), clock, trigger)
    except BaseException:
        camera.close()
        raise
    return rig, config.fibre or f"unnamed fibre at {camera.capabilities.model} {camera.capabilities.serial}"


def open_instrument(config: InstrumentConfig) -> tuple[Rig, str, Model | None, str]:
    """Open the devices and the model; return rig, fibre, model and, where there is no model, words about why.

    Raises
    ------
    SpeckleScopeError
        A device or the model is missing, or, on the twin, they do not fit. A real fibre may have no model yet.
    """
    model = load_model(config.model)
    rig, fibre = open_rig(config)
    try:
        model.check_frame(rig.camera.capabilities.shape)
        model.check_fibre(fibre)
        attach(model, config.response, fibre)
    except (ReconstructionError, CalibrationError) as error:
        if not config.on_twin:
            return rig, fibre, None, f"{error}; until then only the camera is shown"
        rig.close()
        raise
    return rig, fibre, model, ""


def _through_pylon(sensor: SimulatedCamera) -> Camera:
    try:
        from drivers.basler.emulator import TwinFedBasler
    except ImportError as error:
        raise DeviceError(f"pylon cannot be loaded ({error}); install it: pip install pypylon") from error
    return TwinFedBasler(sensor)


def fibre_name(optics: OpticsConfig) -> str:
    """Name a simulated fibre by its seed and a hash of everything that fixes it."""
    fixed = {key: value for key, value in asdict(optics).items() if key not in _PASSING}
    if not optics.flip:
        del fixed["flip"]  # fibres without a mirror keep the name they had before there was one
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return f"twin {optics.seed} ({digest})"
