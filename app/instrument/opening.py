"""Opens what an instrument file names: the devices, the name of the fibre, and the model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.instrument.devices import open_camera, open_slm, set_up
from app.instrument.kinds import CameraKind
from app.instrument.responses import attach
from calibration.stored import CalibrationError
from drivers.base import Camera, DeviceError
from drivers.clock import Clock, RealClock
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm
from reconstruction.base import ReconstructionError
from reconstruction.models.model import Model, load_model

#: Parameters that change from frame to frame or from day to day; they do not tell fibres apart.
_VARIABLE = ("drift_rad", "drift_seed", "phase_noise_rad")


def open_rig(config: InstrumentConfig, clock: Clock | None = None) -> tuple[Rig, str]:
    """Open the devices of an instrument; return them and the fibre's name.

    Raises
    ------
    DeviceError
        A device or its library is missing, or it refuses a setting.
    """
    clock = clock or RealClock()
    trigger = config.trigger_mode
    if config.on_twin:
        optics = FibreOptics(config.twin.optics)
        n = config.twin.optics.image_px
        slm = SimulatedSlm((n, n), config.twin.slm, clock)
        sensor = SimulatedCamera(slm, optics, config.twin.camera, config.twin.faults, clock)
        camera = sensor if config.camera is CameraKind.SIMULATED else _through_pylon(sensor)
        return Rig(set_up(camera, config), slm, clock, trigger), fibre_name(config.twin.optics)
    camera = open_camera(config, clock)
    try:
        rig = Rig(camera, open_slm(config), clock, trigger)
    except BaseException:
        camera.close()
        raise
    return rig, config.fibre or f"unnamed fibre at {camera.capabilities.model} {camera.capabilities.serial}"


def open_instrument(config: InstrumentConfig) -> tuple[Rig, str, Model | None, str]:
    """Open the devices and the model. A twin whose camera reads another region has no model either, if none fits.

    Returns
    -------
    tuple
        Devices, name of the fibre, model, and a text: empty, or why there is no model. A real fibre may have no model yet.

    Raises
    ------
    SpeckleScopeError
        A device or the model is missing, or the model does not fit the twin.
    """
    model = load_model(config.model)
    model.network.set_samples(config.live.samples_per_frame)
    rig, fibre = open_rig(config)
    try:
        model.check_frame(rig.camera.capabilities.frame_shape)
        model.check_fibre(fibre)
        attach(model, config.response, fibre)
    except (ReconstructionError, CalibrationError) as error:
        if not config.on_twin or config.camera_settings.changes_shape:
            return rig, fibre, None, str(error)
        rig.close()
        raise
    except BaseException:  # also an interruption
        rig.close()
        raise
    return rig, fibre, model, ""


def _through_pylon(sensor: SimulatedCamera) -> Camera:
    try:
        from drivers.basler.emulator import TwinFedBasler
    except ImportError as error:
        raise DeviceError(f"Basler's pylon cannot be loaded ({error}); install it with: pip install pypylon") from error
    return TwinFedBasler(sensor)


def fibre_name(optics: OpticsConfig) -> str:
    """Name a simulated fibre by its seed and a hash of all parameters that tell fibres apart."""
    fixed = {key: value for key, value in asdict(optics).items() if key not in _VARIABLE}
    if not optics.flip:
        del fixed["flip"]  # fibres without a mirror image keep the name that they had before this parameter existed
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return f"twin {optics.seed} ({digest})"
