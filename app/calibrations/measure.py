"""The calibrations of ``specklescope calibrate``: each measures with the devices and returns numbers, arrays and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import Rig
from app.calibrations.figures import fibre_pictures, registration_pictures, response_pictures
from app.calibrations.plots import camera_plots, lut_plots, timing_plots
from app.instrument.config import InstrumentConfig
from app.instrument.devices import panel_of
from app.progress import Report
from calibration.devices import camera, phase_lut, timing
from calibration.fibre import probe_patterns, reference, response, self_calibration
from calibration.fibre.response import FibreResponse
from calibration.fibre.second_order import SecondOrder
from calibration.registration import gray_code
from calibration.registration.affine import Registration
from calibration.stored import CalibrationError, load
from drivers.twin.optics_config import OpticsConfig

#: A registration is trusted for so long.
REGISTRATION_DAYS = 30.0
#: Frames of each.
_TIMING_STEPS, _CAMERA_FRAMES = 240, 66
_BLOCKS, _REFERENCES, _LOCALITY_PX = 16, 2, 8.5
_PAIRS, _FLATS, _DEPTHS = 16, 6, 5
_SKIPPED = 2
#: Probes that a response needs: from scratch with and without coupling between cores, and after an earlier one.
_PROBE_PATTERNS_RICH, _PROBE_PATTERNS_PLAIN, _PROBE_PATTERNS_AGAIN = 64, 6, 8
#: What the fibre reference's fit starts from.
_USUAL = SecondOrder(1.0, 50.0, 4.0)


@dataclass(frozen=True)
class Task:
    """What a calibration works with.

    Parameters
    ----------
    rig : Rig
        Used by this thread.
    settings : InstrumentConfig
        What the instrument is believed to be.
    report : Report
        Told how far it is.
    levels : int
        Grey levels of a LUT.
    probes : int
        Of a response; 0 takes as many as it usually needs.
    registration : Registration, optional
        Where the camera sees the pattern.
    previous : FibreResponse, optional
        To be tuned to the fibre as it lies now.
    """

    rig: Rig
    settings: InstrumentConfig
    report: Report
    levels: int = 64
    probe_patterns: int = 0
    registration: Registration | None = None
    previous: FibreResponse | None = None

    def shots(self, total: int) -> Callable[[int], None]:
        """Return what is to be called with the number of frames taken."""
        return lambda done: self.report("frames", done, total)


@dataclass(frozen=True)
class Measured:
    """A calibration: its kind, numbers for people, arrays, plots as HTML, and what else has to be stored to read it back."""

    kind: str
    numbers: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    plots: str
    more: Mapping[str, Any] = field(default_factory=dict)


def measure_lut(task: Task) -> Measured:
    """Measure the panel's phase for each grey level."""
    nominal_rad = present_response(task.settings)
    data = phase_lut.acquire(task.rig, nominal_rad, task.levels, task.shots(task.levels))
    found = phase_lut.fit(data)
    change_rad = found.phases_rad - (nominal_rad - nominal_rad[0])
    numbers: dict[str, Any] = {
        "slm_range_rad": float(found.phases_rad[-1]),
        "residual_rad": found.residual_rad,
        "change_rms_rad": float(np.sqrt(np.mean((change_rad - change_rad.mean()) ** 2))),
        "worst_region_rms_rad": float(np.nanmax(found.region_rms_rad)),
    }
    arrays = {"phases_rad": found.phases_rad, "region_rms_rad": found.region_rms_rad}
    return Measured(phase_lut.KIND, numbers, arrays, lut_plots(data, nominal_rad, found))


def measure_timing(task: Task) -> Measured:
    """Measure when a pattern is light, and when it has settled."""
    data = timing.acquire(task.rig, _TIMING_STEPS, progress=task.shots(_TIMING_STEPS))
    found = timing.fit(data)
    least, most = found.latency_frames
    declared = task.rig.display().capabilities
    numbers: dict[str, Any] = {
        "latency_frames_least": least,
        "latency_frames_most": most,
        "latency_s": found.latency_s,
        "settle_s": found.settle_s,
        "declared_latency_s": declared.latency_s,
        "declared_settle_s": declared.settle_s,
        "suggested_trigger_delay_s": found.trigger_delay_s,
        "residual_fraction": found.residual_fraction,
    }
    plots = timing_plots(data, found, declared.latency_s + declared.settle_s)
    return Measured(timing.KIND, numbers, {"delays_s": data.delays_s, "progress": data.progress}, plots)


def measure_camera(task: Task) -> Measured:
    """Measure gain, noise, linearity and bad pixels."""
    before_s = task.rig.camera.exposure_s
    data = camera.acquire(task.rig, progress=task.shots(_CAMERA_FRAMES))
    found = camera.fit(data)
    transfer = found.transfer
    numbers: dict[str, Any] = {
        "exposure_before_s": before_s,
        "exposure_s": found.exposure_s,
        "offset_counts": found.offset_counts,
        "dark_counts": found.dark_counts,
        "dark_noise_counts": found.dark_noise_counts,
        "e_per_count": transfer.e_per_count,
        "e_per_count_error": transfer.counts_per_e_error / transfer.counts_per_e**2,
        "read_noise_e": transfer.read_noise_e,
        "read_noise_error_e": transfer.read_noise_error_e,
        "linearity_percent": found.linearity_percent,
        "linear_to": found.linear_to,
        "hot_pixels": int(found.hot.sum()),
        "stuck_pixels": int(found.stuck.sum()),
        "evaluated_pixels": found.evaluated,
    }
    curve = {"mean_counts": transfer.mean_counts, "variance": transfer.variance, "fitted": transfer.fitted}
    arrays = {"bad": found.bad, "dark": data.dark.mean(axis=0), **curve}
    return Measured(camera.KIND, numbers, arrays, camera_plots(data, found))


def measure_registration(task: Task) -> Measured:
    """Measure where the camera sees each pixel of the pattern."""
    shape = task.rig.display().capabilities.shape
    total = len(gray_code.probe_pattern_masks(shape, _BLOCKS, _LOCALITY_PX)[0]) + _REFERENCES
    data = gray_code.acquire(task.rig, _BLOCKS, _REFERENCES, _LOCALITY_PX, task.shots(total))
    found = gray_code.fit(data)
    stored = found.stored({})
    plots, before = registration_pictures(data, found)
    return Measured(stored.kind, {"correlation_before": before, **stored.values}, stored.arrays, plots)


def measure_fibre(task: Task) -> Measured:
    """Measure the reference speckle and the fibre's second-order model."""
    affine = task.registration.matrix_xy if task.registration else None
    total = _PAIRS + _FLATS + _DEPTHS
    data = reference.acquire(task.rig, _PAIRS, _FLATS, affine, progress=task.shots(total))
    task.report("fit", 0, 1)
    found = reference.fit(data)
    task.report("fit", 1, 1)
    numbers: dict[str, Any] = asdict(found.model) | {f"{name}_sd": value for name, value in found.sd.items()}
    numbers |= {
        "shot_correlation": found.shot_correlation,
        "grain_fwhm_px": found.grain_fwhm_px,
        "centre_row_px": found.centre_px[0],
        "centre_column_px": found.centre_px[1],
        "radius_px": found.radius_px,
        "correlation": found.correlation,
    }
    return Measured(reference.KIND, numbers, {"speckle": found.speckle}, fibre_pictures(data, found, _USUAL))


def measure_response(task: Task) -> Measured:
    """Measure what every core makes of the light it gets."""
    structure = structure_of(task)
    usual = _PROBE_PATTERNS_RICH if structure.coupling_sigma_um > 0 else _PROBE_PATTERNS_PLAIN
    count = task.probe_patterns or (_PROBE_PATTERNS_AGAIN if task.previous else usual)
    data = probe_patterns.acquire(task.rig, count, _SKIPPED, progress=task.shots(count + 2 * _SKIPPED))
    found = self_calibration.fit(
        data, structure, start=task.previous, progress=lambda done, total: task.report("fit", done, total)
    )
    stored = found.stored({})
    plots, before = response_pictures(data, found, task.previous)
    numbers: dict[str, Any] = {
        "probes": found.probe_patterns,
        "cores": found.core_phase_rad.shape[1],
        "correlation_before": before,
        "correlation": found.correlation,
        "ceiling": found.ceiling,
        "quality": found.quality,
        "core_noise_rad": found.core_noise_rad,
        "background": found.background,
    }
    return Measured(stored.kind, numbers, stored.arrays, plots, stored.values)


MEASURE: Mapping[str, Callable[[Task], Measured]] = {
    "lut": measure_lut,
    "timing": measure_timing,
    "camera": measure_camera,
    "registration": measure_registration,
    "fibre": measure_fibre,
    "response": measure_response,
}


def structure_of(task: Task) -> OpticsConfig:
    """Return the structure of the fibre, as the pattern lies on it.

    Raises
    ------
    CalibrationError
        Nobody has told where a real fibre's cores are.
    """
    if task.previous is not None:
        structure = task.previous.config
    elif task.settings.on_twin:
        structure = task.settings.twin.optics
    else:
        raise CalibrationError(
            f"fibre '{task.settings.fibre}' has no known core positions, without which no response can be fitted; "
            "measure 'fibre' instead, which needs none"
        )
    return structure if task.registration is None else registered(structure, task.registration)


def registered(structure: OpticsConfig, lies: Registration) -> OpticsConfig:
    """Return a structure whose pose is the registered one: a similarity, from the camera to the pattern."""
    down, across = lies.to_pattern(np.zeros((1, 2)))[0]
    return replace(
        structure,
        scale=1 / lies.scale,
        rotation_deg=-lies.rotation_deg,
        shift_px=(float(down), float(across)),
        flip=lies.flipped,
    )


def stored_registration(folder: Path, rig: Rig, fibre: str) -> Registration:
    """Read a registration of these devices and this fibre.

    Raises
    ------
    CalibrationError
        It is none, is too old, or belongs to others.
    """
    stored = load(folder, gray_code.KIND, rig, REGISTRATION_DAYS)
    _check_fibre(folder, str(stored.values.get("fibre")), fibre)
    return Registration.from_stored(stored)


def stored_response(folder: Path, rig: Rig, fibre: str) -> FibreResponse:
    """Read an earlier response of these devices and this fibre, of any age.

    Raises
    ------
    CalibrationError
        It is none, or belongs to others.
    """
    stored = load(folder, response.KIND, rig)
    _check_fibre(folder, str(stored.values.get("fibre")), fibre)
    return FibreResponse.from_stored(stored)


def _check_fibre(folder: Path, then: str, now: str) -> None:
    if then != now:
        raise CalibrationError(f"calibration {folder} holds for fibre '{then}', the instrument has '{now}'; calibrate again")


def present_response(config: InstrumentConfig) -> NDArray[np.float64]:
    """Return the phase by which the configured driver asks for each grey level now, (256,) in radians."""
    if config.on_twin:
        twin = config.twin.slm
        return (np.arange(256) / 255) ** twin.assumed_lut_gamma * twin.slm_range_rad
    return panel_of(config).encoder.lut.phases_rad
