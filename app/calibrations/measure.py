"""The calibrations of ``specklescope calibrate``: each measures with the devices and returns numbers, arrays and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import Rig
from app.calibrations.figures import fibre_pictures, registration_pictures, response_pictures
from app.calibrations.kinds import DEFAULT_LEVELS, REGISTRATION_DAYS, Calibration
from app.calibrations.plots import camera_plots, lut_plots, timing_plots
from app.calibrations.shots import (
    BLOCKS,
    CAMERA_FRAMES,
    DEPTHS,
    FLATS,
    HELD_OUT,
    LOCALITY_PX,
    PAIRS,
    REFERENCES,
    TIMING_STEPS,
    usual_probe_patterns,
)
from app.calibrations.target import present_response
from app.instrument.config import InstrumentConfig
from app.progress import Report
from app.reporting.rendering import Section
from calibration.devices import camera, phase_lut, timing
from calibration.fibre import probe_patterns, response, self_calibration, statistics
from calibration.fibre.response import FibreResponse
from calibration.fibre.second_order import SecondOrder
from calibration.registration import gray_code
from calibration.registration.affine import Registration
from calibration.stored import CalibrationError, load
from drivers.twin.optics_config import OpticsConfig

#: Where the fit of the fibre reference starts.
_USUAL = SecondOrder(1.0, 50.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a calibration works with.

    Parameters
    ----------
    rig : Rig
        Used by the calling thread only.
    settings : InstrumentConfig
        The configuration of the instrument.
    report : Report
        Called with the progress.
    levels : int
        Number of grey levels that a look-up table is measured at.
    probe_patterns : int
        Number of probe patterns of a response; 0 uses the usual number.
    registration : Registration, optional
        Where the camera sees the pattern.
    previous : FibreResponse, optional
        An earlier response, to be adapted to the present position of the fibre.
    """

    rig: Rig
    settings: InstrumentConfig
    report: Report
    levels: int = DEFAULT_LEVELS
    probe_patterns: int = 0
    registration: Registration | None = None
    previous: FibreResponse | None = None

    def on_frame(self, total: int) -> Callable[[int], None]:
        """Return a function to call with the number of captured frames."""
        return lambda done: self.report("frames", done, total)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The result of a calibration.

    Parameters
    ----------
    kind : str
        Kind of the stored calibration.
    numbers : mapping
        Results for people, by name with unit.
    arrays : mapping of str to ndarray
        Arrays to store.
    sections : sequence of Section
        Plots and images of the report.
    more : mapping
        Other values to store; :mod:`calibration` needs them to read the result.
    """

    kind: str
    numbers: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    sections: Sequence[Section]
    more: Mapping[str, Any] = field(default_factory=dict)


def measure_lut(task: Task) -> Measured:
    """Measure the phase of the SLM for each grey level."""
    nominal_rad = present_response(task.settings)
    data = phase_lut.acquire(task.rig, nominal_rad, task.levels, task.on_frame(task.levels))
    fit = phase_lut.fit(data)
    change_rad = fit.phases_rad - (nominal_rad - nominal_rad[0])
    numbers: dict[str, Any] = {
        "slm_range_rad": float(fit.phases_rad[-1]),
        "residual_rad": fit.residual_rad,
        "change_rms_rad": float(np.sqrt(np.mean((change_rad - change_rad.mean()) ** 2))),
        "worst_region_rms_rad": float(np.nanmax(fit.region_rms_rad)),
    }
    arrays = {"phases_rad": fit.phases_rad, "region_rms_rad": fit.region_rms_rad}
    return Measured(kind=phase_lut.KIND, numbers=numbers, arrays=arrays, sections=lut_plots(data, nominal_rad, fit))


def measure_timing(task: Task) -> Measured:
    """Measure the latency of the SLM and its settling time."""
    data = timing.acquire(task.rig, TIMING_STEPS, progress=task.on_frame(TIMING_STEPS))
    fit = timing.fit(data)
    least, most = fit.latency_frames
    declared = task.rig.display().capabilities
    numbers: dict[str, Any] = {
        "latency_frames_least": least,
        "latency_frames_most": most,
        "latency_s": fit.latency_s,
        "settle_s": fit.settle_s,
        "declared_latency_s": declared.latency_s,
        "declared_settle_s": declared.settle_s,
        "suggested_trigger_delay_s": fit.trigger_delay_s,
        "residual_fraction": fit.residual_fraction,
    }
    return Measured(
        kind=timing.KIND,
        numbers=numbers,
        arrays={"delays_s": data.delays_s, "progress": data.progress},
        sections=timing_plots(data, fit, declared.latency_s + declared.settle_s),
    )


def measure_camera(task: Task) -> Measured:
    """Measure gain, noise, linearity and bad pixels of the camera."""
    before_s = task.rig.camera.exposure_s
    data = camera.acquire(task.rig, progress=task.on_frame(CAMERA_FRAMES))
    fit = camera.fit(data)
    transfer = fit.transfer
    numbers: dict[str, Any] = {
        "exposure_before_s": before_s,
        "exposure_s": fit.exposure_s,
        "offset_counts": fit.offset_counts,
        "dark_counts": fit.dark_counts,
        "dark_noise_counts": fit.dark_noise_counts,
        "e_per_count": transfer.e_per_count,
        "e_per_count_error": transfer.counts_per_e_error / transfer.counts_per_e**2,
        "read_noise_e": transfer.read_noise_e,
        "read_noise_error_e": transfer.read_noise_error_e,
        "linearity_percent": fit.linearity_percent,
        "linear_to": fit.linear_to,
        "hot_pixels": int(fit.hot.sum()),
        "stuck_pixels": int(fit.stuck.sum()),
        "evaluated_pixels": fit.evaluated,
    }
    curve = {"mean_counts": transfer.mean_counts, "variance": transfer.variance, "fitted": transfer.fitted}
    arrays = {"bad": fit.bad, "dark": data.dark.mean(axis=0), **curve}
    return Measured(kind=camera.KIND, numbers=numbers, arrays=arrays, sections=camera_plots(data, fit))


def measure_registration(task: Task) -> Measured:
    """Measure where the camera sees each pixel of the pattern."""
    shape = task.rig.display().capabilities.shape
    total = gray_code.count_patterns(shape, BLOCKS, LOCALITY_PX) + REFERENCES
    data = gray_code.acquire(task.rig, BLOCKS, REFERENCES, LOCALITY_PX, task.on_frame(total))
    fit = gray_code.fit(data)
    stored = fit.stored({})
    section, before = registration_pictures(data, fit)
    numbers = {"correlation_before": before, **stored.values}
    return Measured(kind=stored.kind, numbers=numbers, arrays=stored.arrays, sections=[section])


def measure_fibre(task: Task) -> Measured:
    """Measure the reference speckle and the fibre's second-order model."""
    affine = task.registration.matrix_xy if task.registration else None
    total = PAIRS + FLATS + DEPTHS
    data = statistics.acquire(task.rig, statistics.ReferencePlan(PAIRS, FLATS), affine, progress=task.on_frame(total))
    task.report("fit", 0, 1)
    fit = statistics.fit(data)
    task.report("fit", 1, 1)
    numbers: dict[str, Any] = asdict(fit.model) | {f"{name}_sd": value for name, value in fit.sd.items()}
    numbers |= {
        "shot_correlation": fit.shot_correlation,
        "grain_fwhm_px": fit.grain_fwhm_px,
        "centre_row_px": fit.centre_px[0],
        "centre_column_px": fit.centre_px[1],
        "radius_px": fit.radius_px,
        "correlation": fit.correlation,
    }
    return Measured(
        kind=statistics.KIND,
        numbers=numbers,
        arrays={"speckle": fit.speckle},
        sections=fibre_pictures(data, fit, _USUAL),
    )


def measure_response(task: Task) -> Measured:
    """Measure the amplitude and phase that every core gives to its light."""
    structure = structure_of(task)
    usual = usual_probe_patterns(coupled=structure.coupling_sigma_um > 0, again=task.previous is not None)
    count = task.probe_patterns or usual
    plan = probe_patterns.ProbePatternPlan(count=count, held_out=HELD_OUT)
    data = probe_patterns.acquire(task.rig, plan, progress=task.on_frame(count + 2 * HELD_OUT))
    fit = self_calibration.fit(
        data, structure, start=task.previous, progress=lambda done, total: task.report("fit", done, total)
    )
    stored = fit.stored({})
    section, before = response_pictures(data, fit, task.previous)
    numbers: dict[str, Any] = {
        "probe_patterns": fit.probe_patterns,
        "cores": fit.core_phase_rad.shape[1],
        "correlation_before": before,
        "correlation": fit.correlation,
        "ceiling": fit.ceiling,
        "quality": fit.quality,
        "core_noise_rad": fit.core_noise_rad,
        "background": fit.background,
    }
    return Measured(kind=stored.kind, numbers=numbers, arrays=stored.arrays, sections=[section], more=stored.values)


MEASURE: Mapping[Calibration, Callable[[Task], Measured]] = {
    Calibration.LUT: measure_lut,
    Calibration.TIMING: measure_timing,
    Calibration.CAMERA: measure_camera,
    Calibration.REGISTRATION: measure_registration,
    Calibration.FIBRE: measure_fibre,
    Calibration.RESPONSE: measure_response,
}


def structure_of(task: Task) -> OpticsConfig:
    """Return the structure of the fibre: core positions, optics, and where the pattern lies on it.

    It comes from the earlier response if there is one, otherwise from the twin.

    Raises
    ------
    CalibrationError
        The fibre is real and there is no earlier response, so the core positions are unknown.
    """
    if task.previous is not None:
        structure = task.previous.config
    elif task.settings.on_twin:
        structure = task.settings.twin.optics
    else:
        raise CalibrationError(
            f"the core positions of fibre '{task.settings.fibre}' are unknown, and a response cannot be fitted without them; "
            "run 'calibrate fibre' instead, which does not need them"
        )
    return structure if task.registration is None else registered(structure, task.registration)


def registered(structure: OpticsConfig, registration: Registration) -> OpticsConfig:
    """Return a structure with the registered pose: the similarity transform from the camera to the pattern."""
    down, across = registration.to_pattern(np.zeros((1, 2)))[0]
    return replace(
        structure,
        scale=1 / registration.scale,
        rotation_deg=-registration.rotation_deg,
        shift_px=(float(down), float(across)),
        flip=registration.flipped,
    )


def stored_registration(folder: Path, rig: Rig, fibre: str) -> Registration:
    """Read a registration of these devices and this fibre.

    Raises
    ------
    CalibrationError
        The folder holds no registration, or one that is too old or belongs to other devices or another fibre.
    """
    stored = load(folder, gray_code.KIND, rig, REGISTRATION_DAYS)
    _check_fibre(folder, str(stored.values.get("fibre")), fibre)
    return Registration.from_stored(stored)


def stored_response(folder: Path, rig: Rig, fibre: str) -> FibreResponse:
    """Read an earlier response of these devices and this fibre, of any age.

    Raises
    ------
    CalibrationError
        The folder holds no response, or one that belongs to other devices or another fibre.
    """
    stored = load(folder, response.KIND, rig)
    _check_fibre(folder, str(stored.values.get("fibre")), fibre)
    return FibreResponse.from_stored(stored)


def _check_fibre(folder: Path, measured: str, present: str) -> None:
    if measured != present:
        raise CalibrationError(
            f"calibration {folder} holds for fibre '{measured}', the instrument has '{present}'; calibrate again"
        )
