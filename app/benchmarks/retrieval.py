"""Measures phase retrieval without training on the twin: from a few pairs, after a bend, through a self-calibrated fibre."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import PairCapture, Rig
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD, open_source
from app.instrument.config import checked
from app.instrument.opening import open_rig
from calibration import retune
from calibration.fibre import probe_patterns, self_calibration
from calibration.fibre.probe_patterns import ProbePatternPlan
from calibration.fibre.response import FibreResponse
from calibration.registration.from_pairs import register_pairs
from drivers.base import Frame, Pattern
from drivers.clock import VirtualClock
from drivers.twin.camera import SimulatedCamera
from drivers.twin.optics import FibreOptics
from reconstruction.few_pair.few_pair import FewPair
from reconstruction.field import field_mask, to_grid
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.retrieval.gradient import RetrievalConfig, retrieve

Numbers = dict[str, object]
Phase = NDArray[np.float32]

_SEED = 800
_BEND_RAD = 1.5
_ONE_MODE: dict[str, object] = {"mode_weights": (1.0,), "coupling_sigma_um": 0.0, "phase_noise_rad": 0.0}
_SMALL: dict[str, object] = {"image_px": 128, "field_radius_um": 41.0}
_PROBE_PATTERNS = 6
#: The benchmark measures the quality itself, so no fit is refused.
_ANY_QUALITY = self_calibration.FitConfig(least_quality=0.0)


def few_pair_numbers(*, quick: bool) -> Numbers:
    """Measure the time per frame of 512 px with four references, including all preparation; score 2, 4 and 8 references."""
    rig = twin(_SEED)
    truths = held_out(rig, 2 if quick else 6)
    pairs = retune.acquire(rig, 8)
    frames = [frame.pixels for frame in shots(rig, truths)]
    slow, fast = [], []
    for frame in frames[:3]:
        start = time.perf_counter()
        solver = few_pair(pairs, 4)
        solver.fast_estimate(frame)
        fast.append(time.perf_counter() - start)
        start = time.perf_counter()
        few_pair(pairs, 4).reconstruct(frame)
        slow.append(time.perf_counter() - start)
    curve = {}
    for count in (2, 4, 8):
        solver = few_pair(pairs, count)
        scores = [scored(solver.reconstruct(frame), truth, rig) for frame, truth in zip(frames, truths, strict=True)]
        curve[str(count)] = selected(mean_scores(scores))
    return {
        "few_pair_s": statistics.median(slow),
        "fast_estimate_s": statistics.median(fast),
        "few_pair_by_references": curve,
    }


def retune_numbers(*, quick: bool) -> Numbers:
    """Measure SSIM before a bend, and after the bend and a re-tune: few-pair at 512 px, and the calibrated full fibre."""
    rig = twin(_SEED + 1)
    truths = held_out(rig, 2 if quick else 6)
    ssim = []
    for drift_rad in (0.0, _BEND_RAD):
        fibre_of(rig).set_drift(drift_rad)
        reference_pairs = retune.fit(retune.acquire(rig))
        solver = FewPair(reference_pairs.frames, reference_pairs.phases_rad)
        ssim.append(mean_ssim([solver.reconstruct(frame.pixels) for frame in shots(rig, truths)], truths, rig))
    numbers: Numbers = {"retune_ssim_fresh": ssim[0], "retune_ssim": ssim[1], "retune_ssim_gap": max(0.0, ssim[0] - ssim[1])}
    return numbers if quick else numbers | calibrated_numbers()


def calibrated_numbers() -> Numbers:
    """Calibrate the full fibre at 128 px: SSIM against the number of probe patterns, and after a re-tune with eight."""
    rig = twin(_SEED + 2, **_SMALL)
    truths = held_out(rig, 4)
    curve, fresh = {}, None
    for count in (8, 16, 32, 64):
        data = probe_patterns.acquire(rig, ProbePatternPlan(count=count, seed=count))
        fresh = self_calibration.fit(data, fibre_of(rig).config, config=_ANY_QUALITY)
        curve[str(count)] = {"correlation": fresh.correlation, "ssim": retrieved_ssim(rig, fresh, truths)}
    assert fresh is not None
    fibre_of(rig).set_drift(_BEND_RAD)
    bent = retrieved_ssim(rig, fresh, truths)
    few = probe_patterns.acquire(rig, ProbePatternPlan(count=8, seed=9))
    retuned = self_calibration.fit(few, fibre_of(rig).config, start=fresh)
    # Compared with a new calibration of the same bent fibre, because the SSIM that can be reached differs between fibres.
    many = probe_patterns.acquire(rig, ProbePatternPlan(count=64, seed=10))
    anew = self_calibration.fit(many, fibre_of(rig).config, config=_ANY_QUALITY)
    again, best = (retrieved_ssim(rig, response, truths) for response in (retuned, anew))
    return {
        "self_calibration_by_probe_patterns": curve,
        "calibrated_ssim_bent": bent,
        "calibrated_ssim_fresh": best,
        "calibrated_ssim_retuned": again,
        "calibrated_retune_ssim_gap": max(0.0, best - again),
    }


def self_calibration_numbers(*, quick: bool) -> Numbers:
    """Calibrate a one-mode fibre without phase noise: compare the phase of every core, and retrieve images through it."""
    rig = twin(_SEED + 3, **_ONE_MODE, **(_SMALL if quick else {}))
    data = probe_patterns.acquire(rig, ProbePatternPlan(count=_PROBE_PATTERNS))
    start = time.perf_counter()
    response = self_calibration.fit(data, fibre_of(rig).config)
    seconds = time.perf_counter() - start
    truths = held_out(rig, 2 if quick else 6)
    images = [through(frame, response) for frame in shots(rig, truths)]
    # Cores are 4.7 px apart, so a grid of 4 px cells resolves more than the fibre transmits; a grid of 8 px cells does not.
    fine, coarse = (mean_ssim(images, truths, rig, cell) for cell in (4, 8))
    return {
        "self_calibration_phasor": phasor(response, fibre_of(rig)),
        "self_calibration_probe_patterns": _PROBE_PATTERNS,
        "self_calibration_s": seconds,
        "self_calibration_held_out_correlation": response.correlation,
        "gradient_retrieval_ssim": fine,
        "gradient_retrieval_ssim_coarse_grid": coarse,
    }


def twin(seed: int, **optics: object) -> Rig:
    """Open a simulated instrument on virtual time."""
    return open_rig(checked({"twin": {"optics": {"seed": seed, **optics}}}, "the bench"), VirtualClock())[0]


def fibre_of(rig: Rig) -> FibreOptics:
    """Return the twin's fibre."""
    assert isinstance(rig.camera, SimulatedCamera)
    assert isinstance(rig.camera.optics, FibreOptics)
    return rig.camera.optics


def held_out(rig: Rig, count: int) -> list[Pattern]:
    """Return images of photographs and cells that no setting was chosen on."""
    source = open_source("held-out", rig.display().capabilities.shape, count=count)
    return [source[index] for index in range(count)]


def shots(rig: Rig, patterns: Sequence[Pattern]) -> list[Frame]:
    """Capture a verified frame of each pattern."""
    capture = PairCapture(rig)
    try:
        return [capture.capture(pattern) for pattern in patterns]
    finally:
        capture.release()


def few_pair(data: retune.RetuneData, count: int) -> FewPair:
    """Prepare a solver with the first pairs, including registration."""
    frames, phases = data.frames[:count], data.phases_rad[:count]
    registration = register_pairs(frames, phases)
    return FewPair(frames, [registration.warp(phase, fill=None) for phase in phases])


def through(frame: Frame, response: FibreResponse) -> Phase:
    """Retrieve a frame's phase through a calibrated fibre."""
    noise_rad = response.core_noise_rad if len(response.core_gain) > 1 else 0.0
    settings = RetrievalConfig(core_noise_rad=noise_rad)
    return retrieve(probe_patterns.per_second(frame), response.optics(), response.background, settings).phase_rad


def retrieved_ssim(rig: Rig, response: FibreResponse, truths: Sequence[Pattern]) -> float:
    """Return the mean SSIM of images retrieved through a calibrated fibre."""
    return mean_ssim([through(frame, response) for frame in shots(rig, truths)], truths, rig)


def mean_ssim(images: Sequence[Phase], truths: Sequence[Pattern], rig: Rig, cell_px: int = 4) -> float:
    """Return the mean SSIM after the means are removed, on cells of ``cell_px`` pixels inside the fibre's disc."""
    return mean_scores([scored(image, truth, rig, cell_px) for image, truth in zip(images, truths, strict=True)]).ssim_centred


def scored(image: Phase, truth: Pattern, rig: Rig, cell_px: int = 4) -> Scores:
    """Score one image on cells of ``cell_px`` pixels."""
    optics = fibre_of(rig).config
    grid = optics.image_px // cell_px
    mask = field_mask(grid, 2 * optics.field_radius_um / optics.pixel_um / optics.image_px)
    return score(to_grid(image, grid), to_grid(truth.phase_rad, grid), mask, DEFAULT_PHASE_RANGE_RAD)


def selected(scores: Scores) -> dict[str, float]:
    """Return the scores that the report lists."""
    return {"correlation": scores.correlation, "ssim": scores.ssim_centred, "mae_rad": scores.mae_rad_centred}


def phasor(response: FibreResponse, optics: FibreOptics) -> float:
    """Return ``|<exp(i dtheta)>|`` over the cores in the disc: 1 if the phase of every core is right up to a common piston."""
    inside = np.hypot(*optics.core_positions_px.T) * optics.config.pixel_um <= optics.config.field_radius_um
    difference = response.core_phase_rad[0] - optics.core_phase[0].numpy()
    return float(np.abs(np.exp(1j * difference)[inside].mean()))
