"""Phase without training, measured on the twin: from a handful of pairs, after a bend, and through a self-calibrated fibre."""

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


def few_pair_numbers(quick: bool) -> Numbers:
    """Seconds a frame of 512 px with four references, all preparation included, and what more references bring."""
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
        scores = [graded(solver.reconstruct(frame), truth, rig) for frame, truth in zip(frames, truths, strict=True)]
        curve[str(count)] = shown(mean_scores(scores))
    return {
        "few_pair_s": statistics.median(slow),
        "fast_estimate_s": statistics.median(fast),
        "few_pair_by_references": curve,
    }


def retune_numbers(quick: bool) -> Numbers:
    """SSIM before a bend less SSIM after it and eight probes: of the pairs at 512 px, and of the calibrated full fibre."""
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
    """Measure the full fibre at 128 px: SSIM against the number of probes, and a re-tune with eight."""
    rig = twin(_SEED + 2, **_SMALL)
    truths = held_out(rig, 4)
    curve, fresh = {}, None
    for count in (8, 16, 32, 64):
        data = probe_patterns.acquire(rig, count, seed=count)
        fresh = self_calibration.fit(data, fibre_of(rig).config, least_quality=0.0)
        curve[str(count)] = {"correlation": fresh.correlation, "ssim": retrieved_ssim(rig, fresh, truths)}
    assert fresh is not None
    fibre_of(rig).set_drift(_BEND_RAD)
    bent = retrieved_ssim(rig, fresh, truths)
    reference_pairs = self_calibration.fit(probe_patterns.acquire(rig, 8, seed=9), fibre_of(rig).config, start=fresh)
    # Beside a fresh calibration of the same, bent fibre: some fibres show more than others.
    anew = self_calibration.fit(probe_patterns.acquire(rig, 64, seed=10), fibre_of(rig).config, least_quality=0.0)
    again, best = (retrieved_ssim(rig, response, truths) for response in (reference_pairs, anew))
    return {
        "self_calibration_by_probe_patterns": curve,
        "calibrated_ssim_bent": bent,
        "calibrated_ssim_fresh": best,
        "calibrated_ssim_retuned": again,
        "calibrated_retune_ssim_gap": max(0.0, best - again),
    }


def self_calibration_numbers(quick: bool) -> Numbers:
    """One-mode fibre without phase noise: agreement of every core's phase, and what comes back through it."""
    rig = twin(_SEED + 3, **_ONE_MODE, **(_SMALL if quick else {}))
    data = probe_patterns.acquire(rig, _PROBE_PATTERNS)
    start = time.perf_counter()
    found = self_calibration.fit(data, fibre_of(rig).config)
    seconds = time.perf_counter() - start
    truths = held_out(rig, 2 if quick else 6)
    images = [through(frame, found) for frame in shots(rig, truths)]
    # Cores lie 4.7 px apart: on cells of 4 px no method sees all of a photograph, on cells of 8 it does.
    fine, coarse = (mean_ssim(images, truths, rig, cell) for cell in (4, 8))
    return {
        "self_calibration_phasor": phasor(found, fibre_of(rig)),
        "self_calibration_probe_patterns": _PROBE_PATTERNS,
        "self_calibration_s": seconds,
        "self_calibration_held_out_correlation": found.correlation,
        "gradient_retrieval_ssim": fine,
        "gradient_retrieval_ssim_coarse_grid": coarse,
    }


def twin(seed: int, **optics: object) -> Rig:
    """Open a simulated instrument on virtual time."""
    return open_rig(checked({"twin": {"optics": {"seed": seed, **optics}}}, "the bench"), VirtualClock())[0]


def fibre_of(rig: Rig) -> FibreOptics:
    """Return the twin's fibre."""
    assert isinstance(rig.camera, SimulatedCamera)
    return rig.camera.optics


def held_out(rig: Rig, count: int) -> list[Pattern]:
    """Return photographs and cells that nothing was settled on."""
    source = open_source("held-out", rig.display().capabilities.shape, count=count)
    return [source[index] for index in range(count)]


def shots(rig: Rig, patterns: Sequence[Pattern]) -> list[Frame]:
    """Take a verified frame of each pattern."""
    capture = PairCapture(rig)
    try:
        return [capture.capture(pattern) for pattern in patterns]
    finally:
        capture.release()


def few_pair(data: retune.RetuneData, count: int) -> FewPair:
    """Prepare a solver with the first probes, registration included."""
    frames, phases = data.frames[:count], data.phases_rad[:count]
    placed = register_pairs(frames, phases)
    return FewPair(frames, [placed.warp(phase, fill=None) for phase in phases])


def through(frame: Frame, response: FibreResponse) -> Phase:
    """Retrieve a frame's phase through a calibrated fibre."""
    noise_rad = response.core_noise_rad if len(response.core_gain) > 1 else 0.0
    settings = RetrievalConfig(core_noise_rad=noise_rad)
    return retrieve(probe_patterns.per_second(frame), response.optics(), response.background, settings).phase_rad


def retrieved_ssim(rig: Rig, response: FibreResponse, truths: Sequence[Pattern]) -> float:
    """Mean SSIM of what comes back through a calibrated fibre."""
    return mean_ssim([through(frame, response) for frame in shots(rig, truths)], truths, rig)


def mean_ssim(images: Sequence[Phase], truths: Sequence[Pattern], rig: Rig, cell_px: int = 4) -> float:
    """Mean SSIM, means removed, on cells of so many pixels inside the fibre's disc."""
    return mean_scores([graded(image, truth, rig, cell_px) for image, truth in zip(images, truths, strict=True)]).ssim_centred


def graded(image: Phase, truth: Pattern, rig: Rig, cell_px: int = 4) -> Scores:
    """Score one image on cells of ``cell_px`` pixels."""
    optics = fibre_of(rig).config
    grid = optics.image_px // cell_px
    mask = field_mask(grid, 2 * optics.field_radius_um / optics.pixel_um / optics.image_px)
    return score(to_grid(image, grid), to_grid(truth.phase_rad, grid), mask, DEFAULT_PHASE_RANGE_RAD)


def shown(scores: Scores) -> dict[str, float]:
    """Return what a report needs of scores."""
    return {"correlation": scores.correlation, "ssim": scores.ssim_centred, "mae_rad": scores.mae_rad_centred}


def phasor(found: FibreResponse, optics: FibreOptics) -> float:
    """``|<exp(i dtheta)>|`` over the cores inside the disc: 1 when every core's phase is right, up to one for all."""
    inside = np.hypot(*optics.core_positions_px.T) * optics.config.pixel_um <= optics.config.field_radius_um
    difference = found.core_phase_rad[0] - optics.core_phase[0].numpy()
    return float(np.abs(np.exp(1j * difference)[inside].mean()))
