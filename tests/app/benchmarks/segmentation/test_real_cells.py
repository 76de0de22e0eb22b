"""Captured pairs of cells are segmented twice, and drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.benchmarks.leave_one_out import HeldOutPair
from app.benchmarks.segmentation import real_cells


def pair(shift_px: int) -> HeldOutPair:
    """Return a displayed phase with four discs, and a reconstruction in which they have moved."""
    y, x = np.mgrid[:512, :512].astype(np.float32)
    disc = np.hypot(y - 255.5, x - 255.5) < 232
    phase = np.full((512, 512), 0.2, np.float32)
    for row, column in ((180, 180), (180, 320), (320, 180), (320, 320)):
        phase[np.hypot(y - row, x - column) < 30] = 1.6
    seen = np.roll(phase, shift_px, axis=1)
    return HeldOutPair(
        name=f"moved-{shift_px}",
        references=2,
        correlation=1.0,
        fast_correlation=1.0,
        ssim=1.0,
        mae_rad=0.0,
        phase_rad=np.where(disc, seen, 0),
        label_rad=np.where(disc, phase, 0),
    )


@pytest.mark.parametrize(("shift_px", "iou"), [(0, 1.0), (12, 0.59)])
def test_the_reconstruction_is_scored_against_the_displayed_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift_px: int, iou: float
) -> None:
    (tmp_path / "cell").mkdir()
    monkeypatch.setattr(real_cells, "leave_one_out", lambda folder: [pair(shift_px)])
    sheet = tmp_path / "sheet.png"
    numbers = real_cells.real_cell_numbers(tmp_path, {"classical": "threshold"}, sheet, lambda *_: None)["real_cells"]
    assert isinstance(numbers, dict)
    assert numbers["objects_classical"] == [[4, 4]]
    assert numbers["scores_classical"]["iou_foreground"] == pytest.approx(iou, abs=0.06)
    drawn = np.asarray(cv2.imread(str(tmp_path / "sheet-classical.png")))
    assert drawn.shape == (1024, 512, 3)
    assert (drawn == np.array((0, 255, 255))).all(-1).any(), "the outlines are drawn in yellow"


def test_without_captured_pairs_there_is_no_score(tmp_path: Path) -> None:
    assert real_cells.real_cell_numbers(tmp_path, {}, None, lambda *_: None) == {"real_cells": None}
