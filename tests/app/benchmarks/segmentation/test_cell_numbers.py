"""What is said of cells of known mass and of cells that move, where a model is perfect, and where it is too bright."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from app.benchmarks.segmentation.cell_numbers import identity_numbers, mass_numbers
from app.benchmarks.segmentation.seen_frames import SeenFrame
from reconstruction.field import field_mask, to_grid
from reconstruction.segmentation.threshold_watershed import ThresholdWatershed


class NoFibre:
    """Shows the pattern itself, times a factor, in place of a reconstruction."""

    side_px = 256
    mask = field_mask(128, 0.97)

    def __init__(self, factor: float = 1.0) -> None:
        self._factor = np.float32(factor)

    def see(self, phase_rad: NDArray[np.float32]) -> SeenFrame:
        phase = np.where(self.mask, self._factor * to_grid(phase_rad, 128), np.float32(0))
        return SeenFrame(phase_rad=phase, std_rad=None, readable=True, marks=())


def test_a_model_that_makes_all_phases_too_large_makes_cells_as_much_too_heavy() -> None:
    numbers = mass_numbers(NoFibre(1.2), ThresholdWatershed(), 2.85, 3, lambda *_: None)  # type: ignore[arg-type]
    assert numbers["dry_mass_labelled"] == numbers["dry_mass_cells"]
    assert numbers["dry_mass_cells"] > 60  # type: ignore[operator]
    assert numbers["dry_mass_error_percent_truth"] < 1.3  # type: ignore[operator]
    assert numbers["dry_mass_bias_percent"] == pytest.approx(20, abs=2)
    assert numbers["dry_mass_error_percent_outlined"] == pytest.approx(20, abs=2)


def test_cells_are_followed_without_a_model() -> None:
    numbers = identity_numbers(NoFibre(), ThresholdWatershed(), 2.85, 7, lambda *_: None)  # type: ignore[arg-type]
    assert numbers["identity_switches_percent_truth"] <= 2  # type: ignore[operator]
    assert numbers["identity_switches_percent"] <= 3  # type: ignore[operator]
    seen = (numbers["identities_seen_again"], numbers["identities_seen_again_truth"])
    assert 150 < seen[0] <= seen[1]  # type: ignore[operator]
