"""A held-out image is reconstructed from a few pairs, for any exposure and small motions; unusable frames are refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from acquisition.patterns.sources import open_source
from calibration.registration.displacement import lit_field, speckle_amplitude
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import TwinExposure
from reconstruction.few_pair.few_pair import REAL_FIBRE, FewPair
from reconstruction.few_pair.likelihood import CELL_PX, FrameLikelihood, on_cells
from reconstruction.metrics import pearson

PX, REFERENCES = 256, 6
SEEDS = (91, 92)
Frames = NDArray[np.uint8]
Phases = NDArray[np.float32]


@cache
def pairs(seed: int = SEEDS[0]) -> tuple[Frames, Phases]:
    """Six references of one source, then two held-out images, a leaf and a photograph, of one fibre."""
    shape = (PX, PX)
    source, held_out = (
        open_source("leaves", shape, count=7, seed=seed, phase_range_rad=2.6),
        open_source("held-out", shape, count=1),
    )
    phases = np.stack([*(source[index].phase_rad for index in range(7)), held_out[0].phase_rad])
    exposure = TwinExposure(FibreOptics(OpticsConfig(image_px=PX, field_radius_um=82.0, seed=seed)), SensorConfig(), 0.01, seed)
    return exposure(phases), phases  # type: ignore[return-value]


@cache
def solver(count: int = 4, seed: int = SEEDS[0]) -> FewPair:
    frames, phases = pairs(seed)
    return FewPair(list(frames[:count]), list(phases[:count]))


@cache
def reconstructed(count: int, seed: int, index: int) -> Phases:
    return solver(count, seed).reconstruct(pairs(seed)[0][index])


def agreement(phase: Phases, index: int, seed: int = SEEDS[0], count: int = 4) -> float:
    lit = solver(count, seed).lit
    return pearson(phase[lit], pairs(seed)[1][index][lit])


def moved(frame: Frames, by: tuple[float, float]) -> Frames:
    shifted = ndimage.shift(frame.astype(np.float32), by, order=5, mode="nearest")
    return np.rint(np.clip(shifted, 0, 255)).astype(np.uint8)


def test_held_out_images_come_back_from_four_pairs() -> None:
    best, fast = [], []
    for seed in SEEDS:
        for index in (6, 7):
            phase = reconstructed(4, seed, index)
            assert phase.dtype == np.float32
            assert phase.shape == (PX, PX)
            best.append(agreement(phase, index, seed))
            fast.append(agreement(solver(4, seed).fast_estimate(pairs(seed)[0][index]), index, seed))
    assert np.mean(best) > 0.8
    assert min(best) > 0.7
    assert np.mean(fast) > 0.7
    assert np.mean(best) > np.mean(fast) + 0.015, "the gradient descent improves the fast estimate"


def test_the_phase_has_the_right_depth_and_sign() -> None:
    # The absolute level is a guess, the variation is not. Structures below the fibre's resolution are missing.
    slopes = []
    for seed in SEEDS:
        lit, truth = solver(4, seed).lit, pairs(seed)[1][6]
        slopes.append(np.polyfit(ndimage.gaussian_filter(truth, 6.0)[lit], reconstructed(4, seed, 6)[lit], 1)[0])
    assert np.mean(slopes) == pytest.approx(1.0, abs=0.3)


def test_more_references_help_the_fast_estimate_on_average() -> None:
    few, many = (
        np.mean([agreement(solver(n, seed).fast_estimate(pairs(seed)[0][i]), i, seed) for seed in SEEDS for i in (6, 7)])
        for n in (2, REFERENCES)
    )
    assert many > few + 0.005


@pytest.mark.slow
def test_more_references_help_on_average() -> None:
    few, many = (
        np.mean([agreement(reconstructed(count, seed, index), index, seed) for seed in SEEDS for index in (6, 7)])
        for count in (2, REFERENCES)
    )
    assert many > few + 0.005


def test_a_known_object_is_recognised() -> None:
    # A second shot of a reference's object differs by noise alone.
    seed, phases = SEEDS[0], pairs()[1]
    optics = FibreOptics(OpticsConfig(image_px=PX, field_radius_um=82.0, seed=seed))
    again = TwinExposure(optics, SensorConfig(), 0.01, 5)(phases[1:2])[0]
    assert agreement(solver().reconstruct(again), 1) > 0.93


def test_motion_of_the_whole_frame_does_not_spoil_it() -> None:
    frames, phases = pairs()
    for by in ((0.1, 0.0), (-0.07, 0.1)):
        assert agreement(solver().reconstruct(moved(frames[6], by)), 6) > agreement(reconstructed(4, SEEDS[0], 6), 6) - 0.04
    shaken = [moved(frame, by) for frame, by in zip(frames, [(0, 0), (0.1, -0.1), (-0.15, 0), (0.05, 0.1)], strict=False)]
    phase = FewPair(shaken, list(phases[:4])).reconstruct(frames[6])
    assert agreement(phase, 6) > agreement(reconstructed(4, SEEDS[0], 6), 6) - 0.05


def test_motion_of_the_references_is_separated_from_their_phases() -> None:
    frames, phases = pairs()
    motions = np.array([(0.0, 0.0), (0.3, -0.1), (-0.2, 0.0), (0.0, 0.25)])
    shaken = [moved(frame, (by[0], by[1])) for frame, by in zip(frames, motions, strict=False)]
    still, slopes = solver().reference_slopes, FewPair(shaken, list(phases[:4])).reference_slopes
    assert slopes - still == pytest.approx(2 * np.pi / REAL_FIBRE.defocus_px * motions, abs=0.008)
    assert np.abs(still).max() < 0.015, "the phases explain the slopes of frames that did not move"


def test_exposure_and_gain_change_nothing() -> None:
    frames, _ = pairs()
    lit, usual = solver().lit, reconstructed(4, SEEDS[0], 6)
    for other in (frames[6].astype(np.uint16) * 2, frames[6] // 2):
        phase = solver().reconstruct(other)
        assert pearson(phase[lit], usual[lit]) > 0.98


@pytest.mark.parametrize("shape", [(203, 237), pytest.param((256, 250), marks=pytest.mark.slow)])
def test_sides_may_be_any_number_of_pixels(shape: tuple[int, int]) -> None:
    frames, phases = (images[:, : shape[0], : shape[1]] for images in pairs())
    cut = FewPair(list(frames[:4]), list(phases[:4]))
    best = cut.reconstruct(frames[6])
    for phase in (best, cut.fast_estimate(frames[6])):
        assert phase.shape == shape
        assert phase.dtype == np.float32
        assert np.isfinite(phase).all()
    inside = cut.lit[: shape[0], : shape[1]]
    whole = reconstructed(4, SEEDS[0], 6)[: shape[0], : shape[1]]
    assert pearson(best[inside], whole[inside]) > 0.9, "no cell is moved"


def test_leaving_a_reference_out_uses_the_others() -> None:
    frames, phases = pairs()
    left = solver(4).live_estimate(frames[6], leave_out=3)
    fewer = FewPair(list(frames[:3]), list(phases[:3])).live_estimate(frames[6])
    assert left.shape == (PX // CELL_PX, PX // CELL_PX)
    assert pearson(left, fewer) > 0.97
    own = [solver(4).live_estimate(frames[0], leave_out=without) for without in (None, 0)]
    inside = on_cells(solver(4).lit.astype(np.float32)) > 0.5
    truth = on_cells(phases[0])
    assert pearson(own[0][inside], truth[inside]) > pearson(own[1][inside], truth[inside]), "its own label is not used"


@pytest.fixture(scope="module")
def likelihood() -> FrameLikelihood:
    frames, phases = pairs()
    amplitudes = [speckle_amplitude(frame) for frame in frames]
    known = torch.from_numpy(np.stack([on_cells(phase) for phase in phases[:4]]))
    return FrameLikelihood(REAL_FIBRE, amplitudes[:4], known, lit_field(list(frames[:4])), amplitudes[6])


def test_the_true_phase_is_the_most_probable(likelihood: FrameLikelihood) -> None:
    truth = torch.from_numpy(on_cells(pairs()[1][6]))
    wrong = {
        "flat": torch.full_like(truth, float(truth.mean())),
        "moved by 16 px": truth.roll(4, 0),
        "moved back by 8 px": truth.roll(-2, 1),
        "negative": -truth,
        "mirrored": truth.flip(1),
        "twice as deep": 2 * truth,
        "another": torch.from_numpy(on_cells(pairs()[1][5])),
    }
    with torch.no_grad():
        least = float(likelihood(truth))
        assert float(likelihood(truth + 1.3)) == pytest.approx(least, rel=1e-4), "the level cannot be seen"
        others = {name: float(likelihood(phase)) for name, phase in wrong.items()}
    assert min(others.values()) > least + 100, others


def test_its_gradient_equals_finite_differences(likelihood: FrameLikelihood, rng: np.random.Generator) -> None:
    phase = torch.from_numpy(0.7 * on_cells(pairs()[1][6])).requires_grad_()
    likelihood(phase).backward()
    assert phase.grad is not None
    for _ in range(3):
        noise = ndimage.gaussian_filter(rng.normal(size=phase.shape), 2.0)
        step = torch.from_numpy((0.02 * noise / noise.std()).astype(np.float32))
        with torch.no_grad():
            forward, backward = float(likelihood(phase + step)), float(likelihood(phase - step))
        assert float((phase.grad * step).sum()) == pytest.approx((forward - backward) / 2, rel=0.03, abs=0.5)


def refused(frame: NDArray[np.generic], match: str) -> None:
    for call in (solver().reconstruct, solver().fast_estimate):
        with pytest.raises(ReconstructionError, match=match) as error:
            call(frame)
        assert "\n" not in str(error.value)


def test_frames_that_cannot_be_read_are_refused() -> None:
    frame = pairs()[0][6]
    refused(frame[:200], r"the frame is \(200, 256\) px, reference 1 is \(256, 256\) px")
    refused(frame * np.uint8(0), "the frame is dark")
    bright = np.where(np.arange(PX) < 5, 255, frame).astype(np.uint8)
    refused(bright, r"the frame is saturated in (1\.9|2\.\d)% of its pixels")
    twelve_bits = np.minimum(frame.astype(np.uint16) * 80, 4095).astype(np.uint16)
    refused(twelve_bits, r"saturated in \d+\.\d% of its pixels; shorten the exposure")
    refused(pairs(SEEDS[1])[0][6], r"correlates -?0\.[0-3]\d with reference 1, at least 0\.45 is needed")


def test_references_that_are_of_no_use_are_refused() -> None:
    frames, phases = (list(images) for images in pairs())
    for count in (0, 1):
        with pytest.raises(ReconstructionError, match=f"at least 2 reference pairs, got {count}"):
            FewPair(frames[:count], phases[:count])
    with pytest.raises(ReconstructionError, match=r"reference 2 is \(256, 200\) px, reference 1 is \(256, 256\) px"):
        FewPair([frames[0], frames[1][:, :200]], phases[:2])
    with pytest.raises(ReconstructionError, match="reference 2 is dark"):
        FewPair([frames[0], frames[1] * np.uint8(0)], phases[:2])
    with pytest.raises(ReconstructionError, match=r"reference 1 is saturated in 100\.0%"):
        FewPair([np.full_like(frames[0], 255), frames[1]], phases[:2])
    with pytest.raises(ReconstructionError, match=r"at least 64 px, got \(256, 60\)"):
        FewPair([frame[:, :60] for frame in frames], [phase[:, :60] for phase in phases])
    with pytest.raises(ReconstructionError, match=r"correlates -?0\.[0-3]\d with reference 3"):
        FewPair([*frames[:2], pairs(SEEDS[1])[0][2]], phases[:3]).fast_estimate(frames[6])
