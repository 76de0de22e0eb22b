"""Compares every calibration with the true values of the twin, which the calibration does not know.

The settings of the calibrations were chosen on other fibres. The instruments here have an unknown panel response, latency, pose
of the pattern, drift of the fibre, focus and coupling, and the noise of the default twin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_image
from acquisition.capture.pair_capture import Rig
from app.benchmarks.leave_one_out import CAPTURED_PAIRS, HeldOutPair, contact_sheet, leave_one_out
from app.benchmarks.retrieval import few_pair_numbers, fibre_of, retune_numbers, self_calibration_numbers
from app.instrument.config import InstrumentConfig, checked
from app.instrument.opening import open_rig
from app.progress import Report
from calibration.devices import phase_lut, timing
from calibration.fibre import statistics
from calibration.registration import gray_code
from drivers.clock import VirtualClock
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm

Numbers = dict[str, object]

#: Sessions in that folder.
_SESSIONS = ("imagenet", "cell")
_SMALL = {"image_px": 128, "field_radius_um": 41.0}
_GAMMAS = (0.7, 1.0, 1.4)
_LATENCIES = ((1, 1), (2, 2), (3, 3), (1, 3))
_FIRST_SEED = 700


class WeakPanel(SimulatedSlm):
    """A panel that adds less phase than its driver assumes."""

    #: Actual phase divided by requested phase.

    factor = 1.0

    def displayed_phase(self, phase_rad: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the phase that the panel really adds, in radians."""
        return np.asarray(super().displayed_phase(phase_rad) * np.float32(self.factor), np.float32)


def bench_calibration(
    report: Report, *, quick: bool = False, captured: Path | None = None, sheet: Path | None = None
) -> Numbers:
    """Run all measurements: a quarter of an hour, or about three minutes with ``quick``.

    Parameters
    ----------
    report : Report
        Called with the part that runs, and the number of finished parts.
    quick : bool
        Fewer fibres, and the small twin for self-calibration.
    captured : Path, optional
        Folder of captured pairs; :data:`CAPTURED_PAIRS` without it.
    sheet : Path, optional
        Where to write the contact sheet of the captured pairs.

    Returns
    -------
    dict
        Errors and scores. "skipped" lists what could not be measured on this computer, with the reason.
    """
    fibres = 1 if quick else 4
    parts: list[tuple[str, Callable[[], Mapping[str, object]]]] = [
        ("phase LUT", lut_numbers),
        ("timing", timing_numbers),
        ("registration", lambda: registration_numbers(fibres)),
        ("fibre reference", lambda: fibre_numbers(fibres)),
        ("captured pairs", lambda: captured_numbers(captured or CAPTURED_PAIRS, sheet)),
        ("few-pair reconstruction", lambda: few_pair_numbers(quick=quick)),
        ("re-tuning", lambda: retune_numbers(quick=quick)),
        ("self-calibration", lambda: self_calibration_numbers(quick=quick)),
    ]
    numbers: Numbers = {}
    for done, (name, measure) in enumerate(parts):
        report(f"calibrations: {name}", done, len(parts))
        numbers |= measure()
    report("calibrations", len(parts), len(parts))
    return numbers


def lut_numbers() -> Numbers:
    """Return the worst error of the measured panel response."""
    worst = 0.0
    for seed, gamma in enumerate(_GAMMAS, _FIRST_SEED):
        rig = unknown_instrument(seed, {"lut_gamma": gamma}, **_SMALL)
        truth = (np.arange(256) / 255) ** gamma * 2 * np.pi
        lut = phase_lut.fit(phase_lut.acquire(rig, np.arange(256) / 255 * 2 * np.pi))
        worst = max(worst, float(np.sqrt(np.mean((lut.phases_rad - truth) ** 2))))
    return {"lut_rms_rad": worst}


def timing_numbers() -> Numbers:
    """Return the worst error of the latency, in frames."""
    worst = 0
    for seed, latency in enumerate(_LATENCIES, _FIRST_SEED):
        measured = timing.fit(timing.acquire(unknown_instrument(seed, {"latency_frames": latency}, **_SMALL)))
        worst = max(worst, *(abs(a - b) for a, b in zip(measured.latency_frames, latency, strict=True)))
    return {"latency_error_frames": worst}


def registration_numbers(fibres: int) -> Numbers:
    """Return the error of the measured affine map over the fibre's disc at 512 px: worst root mean square, and worst point."""
    rms, worst = [], []
    for seed in range(_FIRST_SEED, _FIRST_SEED + fibres):
        rng = np.random.default_rng(seed)
        pose: dict[str, Any] = {
            "scale": float(rng.uniform(0.9, 1.1)),
            "rotation_deg": float(rng.uniform(-10, 10)),
            "shift_px": tuple(rng.uniform(-15, 15, 2).tolist()),
            "flip": bool(rng.integers(2)),
        }
        rig = unknown_instrument(seed, {}, **pose)
        registration = gray_code.fit(gray_code.acquire(rig))
        points, on_pattern = _points(fibre_of(rig).config)
        error = np.hypot(*(registration.to_camera(on_pattern) - points).T)
        rms.append(float(np.sqrt(np.mean(error**2))))
        worst.append(float(error.max()))
    return {"registration_error_px": max(rms), "registration_worst_point_px": max(worst)}


def _points(optics: OpticsConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points inside the fibre's disc on the camera, and the same points on the pattern, in pixels from the axis."""
    axis = np.arange(-250.0, 251.0, 10.0)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    points = points[np.hypot(*points.T) < optics.field_radius_um / optics.pixel_um]
    angle = math.radians(optics.rotation_deg)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = np.array([1.0, -1.0 if optics.flip else 1.0])
    return points, optics.scale * points @ rotation.T * mirror + np.asarray(optics.shift_px)


def fibre_numbers(fibres: int) -> Numbers:
    """Return the worst relative errors of phase scale, defocus and coupling at 512 px, for panels of unknown range."""
    errors = []
    for seed in range(_FIRST_SEED + 50, _FIRST_SEED + 50 + fibres):
        rng = np.random.default_rng(seed)
        factor, distance_um, coupling_um = rng.uniform(0.8, 1.0), rng.uniform(40, 60), rng.uniform(2.5, 4.0)
        rig = unknown_instrument(seed, {}, factor, distance_um=float(distance_um), coupling_sigma_um=float(coupling_um))
        model = statistics.fit(statistics.acquire(rig, statistics.ReferencePlan(seed=seed))).model
        optics = fibre_of(rig).config
        truth = (factor, optics.defocus_px, coupling_um / optics.pixel_um)
        measured = (model.phase_scale, model.defocus_px, model.coupling_px)
        errors.append([abs(m / t - 1) for m, t in zip(measured, truth, strict=True)])
    phase_scale, defocus, coupling = np.max(errors, axis=0).tolist()
    return {"phase_scale_error": phase_scale, "defocus_error": defocus, "coupling_error": coupling}


def captured_numbers(folder: Path, sheet: Path | None) -> Numbers:
    """Return scores of captured pairs, each reconstructed from the others of its session; "skipped" names missing sessions."""
    numbers: Numbers = {}
    pairs: list[HeldOutPair] = []
    skipped = []
    for session in _SESSIONS:
        if not (folder / session).is_dir():
            skipped.append(f"captured pairs: there is no folder {folder / session}; name its parent with --captured-pairs")
            continue
        results = leave_one_out(folder / session)
        pairs += results
        numbers |= {
            f"real_{session}_correlation": float(np.mean([r.correlation for r in results])),
            f"real_{session}_fast_correlation": float(np.mean([r.fast_correlation for r in results])),
            f"real_{session}_ssim": float(np.mean([r.ssim for r in results])),
            f"real_{session}_mae_rad": float(np.mean([r.mae_rad for r in results])),
        }
    if pairs and sheet is not None:
        write_image(sheet, contact_sheet(pairs), "choose another file for the sheet")
        numbers["contact_sheet"] = str(sheet)
    return {**numbers, "skipped": skipped}


def unknown_instrument(seed: int, slm: dict[str, object], factor: float = 1.0, **optics: object) -> Rig:
    """Open a drifted twin of that seed, on virtual time.

    Parameters
    ----------
    seed : int
        Seed of fibre, drift and SLM.
    slm : dict
        Settings of the SLM.
    factor : float
        Actual phase of the panel divided by the requested phase.
    **optics
        Settings of the fibre.
    """
    fibre = {"seed": seed, "drift_rad": 0.5, "drift_seed": seed, **optics}
    rig = open_rig(_twin(fibre, {"latency_frames": (1, 3), "seed": seed, **slm}), VirtualClock())[0]
    assert isinstance(rig.slm, SimulatedSlm)
    if factor == 1.0:
        return rig
    camera = _camera(rig)
    panel = WeakPanel(rig.slm.capabilities.shape, rig.slm.config, rig.clock)
    panel.factor = factor
    camera = SimulatedCamera(panel, camera.optics, camera.config, camera.faults, rig.clock)
    return Rig(camera, panel, rig.clock, rig.trigger)


def _twin(optics: dict[str, object], slm: dict[str, object]) -> InstrumentConfig:
    return checked({"twin": {"optics": optics, "slm": slm}}, "the bench")


def _camera(rig: Rig) -> SimulatedCamera:
    assert isinstance(rig.camera, SimulatedCamera)
    return rig.camera
