"""The live reconstructor: phase, drift and times of a frame."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.base import Frame, FrameMark
from reconstruction.base import ReconstructionError
from reconstruction.live.live_reconstructor import LiveReconstructor

SIDE = 96
RNG = np.random.default_rng(0)
REFERENCE = RNG.exponential(36, (SIDE, SIDE)).astype(np.float32)


class Counts:
    """Gives the counts themselves as phase."""

    name, id, engine = "counts", "c0", "none"
    mask = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) < SIDE / 2

    def check_frame(self, shape: tuple[int, int]) -> None:
        if shape != (SIDE, SIDE):
            raise ReconstructionError(f"frames of {shape}")

    def run(self, frame: NDArray[np.generic], reference: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(frame, np.float32)


def frame_of(counts: NDArray[np.float32], index: int = 0) -> Frame:
    pixels = np.clip(counts, 0, 255).astype(np.uint8)
    return Frame(pixels=pixels, index=index, t_ns=time.monotonic_ns(), exposure_s=0.01, bit_depth=8)


def test_a_frame_becomes_a_phase_inside_the_disc() -> None:
    live = LiveReconstructor(Counts(), REFERENCE)
    result = live(frame_of(REFERENCE, index=7))
    assert result.frame_index == 7
    assert np.array_equal(result.phase_rad[Counts.mask], frame_of(REFERENCE).pixels[Counts.mask])
    assert not result.phase_rad[~Counts.mask].any()


def test_the_standard_deviation_is_that_of_the_method() -> None:
    class Uncertain(Counts):
        has_sigma = True

        def run_with_sigma(
            self, frame: NDArray[np.generic], reference: NDArray[np.float32]
        ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
            phase = self.run(frame, reference)
            return phase, phase / 10 + 1

    result = LiveReconstructor(Uncertain(), REFERENCE)(frame_of(REFERENCE))
    assert result.uncertainty_rad is not None
    assert np.array_equal(result.uncertainty_rad[Counts.mask], result.phase_rad[Counts.mask] / 10 + 1)
    assert not result.uncertainty_rad[~Counts.mask].any()
    assert LiveReconstructor(Counts(), REFERENCE)(frame_of(REFERENCE)).uncertainty_rad is None


def test_the_correlation_with_the_reference_shows_drift() -> None:
    still, moved = LiveReconstructor(Counts(), REFERENCE), LiveReconstructor(Counts(), REFERENCE)
    assert math.isnan(still.reference_correlation)
    still(frame_of(REFERENCE))
    moved(frame_of(RNG.exponential(36, (SIDE, SIDE))))
    assert still.reference_correlation > 0.95
    assert abs(moved.reference_correlation) < 0.3


def test_a_frame_without_light_says_nothing_about_the_fibre() -> None:
    live = LiveReconstructor(Counts(), REFERENCE)
    live(frame_of(REFERENCE))
    live(frame_of(REFERENCE * 0).marked((FrameMark.DARK,), readable=False))
    assert live.reference_correlation > 0.95


def test_a_phase_without_numbers_marks_its_frame() -> None:
    class NoNumbers(Counts):
        def run(self, frame: NDArray[np.generic], reference: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.full_like(reference, np.nan)

    frame = frame_of(REFERENCE)
    result = LiveReconstructor(NoNumbers(), REFERENCE)(frame)
    marked = result.with_mark(frame)
    assert (marked.marks, marked.readable) == ((FrameMark.NAN,), False)
    assert LiveReconstructor(Counts(), REFERENCE)(frame).with_mark(frame) is frame


def test_times_are_measured_from_the_first_frame_on() -> None:
    live = LiveReconstructor(Counts(), REFERENCE)
    assert math.isnan(live.latency.p50_s)
    assert math.isnan(live.inference.p99_s)
    live(frame_of(REFERENCE))
    assert 0 < live.inference.p50_s < live.latency.p50_s
    assert live.latency.count == 1


def test_a_dark_reference_and_a_wrong_frame_are_refused() -> None:
    with pytest.raises(ReconstructionError, match="the reference speckle is dark; switch the laser on"):
        LiveReconstructor(Counts(), np.zeros((SIDE, SIDE), np.float32))
    with pytest.raises(ReconstructionError, match=r"frames of \(64, 64\)"):
        LiveReconstructor(Counts(), REFERENCE)(frame_of(REFERENCE[:64, :64]))
