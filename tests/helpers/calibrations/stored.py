"""Calibrations of a small twin: the instrument, what a session tells of it, and stored results without measuring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.capture.pair_capture import Rig
from app.calibrations.kinds import FACTS, Calibration
from app.calibrations.target import CalibrationTarget
from app.instrument.config import InstrumentConfig, TwinConfig
from app.instrument.opening import open_rig
from calibration.stored import Stored, devices_of, save
from drivers.clock import VirtualClock
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlmConfig

#: Numbers that every verdict finds good on the instrument of :func:`small_config`.
GOOD: dict[Calibration, dict[str, Any]] = {
    Calibration.TIMING: {
        "latency_frames_least": 1,
        "latency_frames_most": 2,
        "latency_s": 0.05,
        "settle_s": 0.0138,
        "residual_fraction": 0.01,
    },
    Calibration.LUT: {"slm_range_rad": 6.28, "residual_rad": 0.01},
    Calibration.CAMERA: {"exposure_s": 0.0025, "e_per_count": 41.0, "linearity_percent": 0.4},
    Calibration.REGISTRATION: {"scale": 1.002, "rotation_deg": 0.1, "uncertainty_px": 0.1},
    Calibration.FIBRE: {"phase_scale": 0.99, "correlation": 0.93},
    Calibration.RESPONSE: {"quality": 0.99},
}


def small_config(root: Path, **slm: Any) -> InstrumentConfig:
    """Return a twin of 64 px whose archive lies under ``root``; ``slm`` are settings of its SLM."""
    twin = TwinConfig(optics=OpticsConfig(image_px=64, field_radius_um=14.0), slm=SimulatedSlmConfig(**slm))
    return InstrumentConfig(name="small twin", twin=twin, archive=root / "archive")


def small_target(config: InstrumentConfig, exposure_s: float = 0.002) -> tuple[CalibrationTarget, Rig]:
    """Return what a session tells of an instrument, and the open devices on a virtual clock."""
    rig, fibre = open_rig(config, VirtualClock())
    target = CalibrationTarget(
        config=config,
        fibre=fibre,
        devices=devices_of(rig),
        display=rig.display().capabilities,
        exposure_s=exposure_s,
        frame_s=exposure_s + rig.camera.capabilities.readout_s,
    )
    return target, rig


def stored_as(what: Calibration, target: CalibrationTarget, days: float = 0.0, **values: Any) -> Stored:
    """Return a calibration of this instrument that is good, apart from ``values``."""
    arrays: dict[str, Any] = {}
    if what is Calibration.LUT:
        arrays["phases_rad"] = np.arange(256) / 255 * 2 * np.pi
    numbers = {**GOOD[what], "fibre": target.fibre, **values}
    made = datetime.now(UTC) - timedelta(days=days)
    return Stored(FACTS[what].stored_kind, dict(target.devices), numbers, arrays, made.isoformat(timespec="seconds"))


def save_calibration(what: Calibration, target: CalibrationTarget, name: str = "20261130-020000", **values: Any) -> Path:
    """Store such a calibration where the window looks for it; return its folder."""
    return save(stored_as(what, target, **values), target.root / what / name)
