"""Live phase from reference pairs: its scores, its grid, and its comparison with a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError
from reconstruction.field import to_grid
from reconstruction.live.pairs_method import PairsMethod, pairs_grid_px
from reconstruction.metrics import pearson
from tests.helpers.retune_shots import POSED, PROBE_PATTERNS, PX, reference_pairs, shots


def test_pairs_report_honestly_how_well_they_reconstruct() -> None:
    _, frame, phase = shots()
    method = PairsMethod(reference_pairs())
    read = method.run(frame, reference_pairs().reference)
    held_out = pearson(read[method.mask], to_grid(phase, PX // 4)[method.mask])
    assert method.correlation() > 0.6, "a constant has 0"
    assert method.correlation() == pytest.approx(held_out, abs=0.2)
    mixed = PairsMethod(
        replace(reference_pairs(), phases_rad=reference_pairs().phases_rad[1:] + reference_pairs().phases_rad[:1])
    )
    assert mixed.correlation() < 0.3


class _Constant:
    def __init__(self, method: PairsMethod) -> None:
        self.id = "c"
        self.name = "constant"
        self.engine = "none"
        self.mask = method.mask

    def check_frame(self, shape: tuple[int, int]) -> None: ...

    def run(self, frame: NDArray[np.generic], reference: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = np.mgrid[: PX // 4, : PX // 4][0]
        return np.asarray(rows, np.float32)


def test_methods_are_compared_on_the_same_pairs() -> None:
    method = PairsMethod(reference_pairs())
    reference = reference_pairs().reference
    assert method.correlation_of(_Constant(method), reference) < method.correlation() - 0.3
    # With its own pairs among the references the method knows the answers. The honest number leaves them out.
    assert method.correlation_of(method, reference) > method.correlation()


@pytest.mark.parametrize("grid_px", [0, 32, 64, 128])
def test_the_phase_comes_on_the_grid_that_is_asked_for(grid_px: int) -> None:
    _, frame, phase = shots()
    method = PairsMethod(reference_pairs(), grid_px)
    side = grid_px or PX // 4
    read = method.run(frame, reference_pairs().reference)
    assert read.shape == method.mask.shape == (side, side)
    assert read.dtype == np.float32
    assert np.percentile(read[method.mask], 1) == pytest.approx(0, abs=1e-4)
    assert pearson(read[method.mask], to_grid(phase, side)[method.mask]) > 0.6
    assert 0.55 < method.mask.mean() < 0.75, "the fibre's disc"


def test_a_method_knows_its_pairs_and_its_frames() -> None:
    method = PairsMethod(reference_pairs())
    assert method.id == PairsMethod(reference_pairs()).id != PairsMethod(reference_pairs(POSED)).id
    assert method.name == f"{PROBE_PATTERNS} reference pairs"
    method.check_frame((PX, PX))
    with pytest.raises(
        ReconstructionError, match=r"reference pairs have \(256, 256\) px, the camera gives \(128, 128\) px; re-tune"
    ):
        method.check_frame((128, 128))
    with pytest.raises(ReconstructionError, match=r"square frames, the camera gives \(200, 256\)"):
        pairs_grid_px((200, 256))
