"""Synthetic tissue: deterministic, at any size, with true labels, and with the statistics of real labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD, open_source, tissue_in
from acquisition.patterns.tissue.scene import LabelledScene, tissue_scene
from reconstruction.field import to_grid
from reconstruction.segmentation.threshold_watershed import ThresholdWatershed

#: Labels of real cells that others have displayed on a fibre; they lie beside the checkout and are no part of it.
REAL = Path(__file__).resolve().parents[5] / "shared" / "real-mcf" / "cell" / "label"
GRID_PX = 128


@pytest.fixture(scope="module")
def scenes() -> list[LabelledScene]:
    return [tissue_scene(512, 21, index) for index in range(8)]


def touching_fraction(labels: NDArray[np.uint16]) -> float:
    """Return the fraction of the cells that have a pixel beside one of another cell."""
    touching: set[int] = set()
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meet = (a != b) & (a > 0) & (b > 0)
        touching |= set(a[meet].tolist()) | set(b[meet].tolist())
    return len(touching) / int(labels.max())


def object_statistics(grey: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return median area in pixels, number, and median contrast of the objects of a picture, all from its grey alone."""
    phase = to_grid(grey, GRID_PX) * np.float32(DEFAULT_PHASE_RANGE_RAD)
    labels = ThresholdWatershed().segment(phase, np.ones(phase.shape, np.bool_)).labels
    areas, contrasts = [], []
    for number in range(1, int(labels.max()) + 1):
        cell = labels == number
        near = cv2.dilate(cell.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        ring = near & (labels == 0)
        areas.append(np.count_nonzero(cell))
        if ring.any():
            contrasts.append(float(phase[cell].mean() - np.median(phase[ring])))
    return np.array([np.median(areas), len(areas), np.median(contrasts)])


@pytest.mark.skipif(not REAL.is_dir(), reason="the labels of real cells are not beside the checkout (shared/real-mcf)")
def test_area_density_and_contrast_are_those_of_real_cells(scenes: list[LabelledScene]) -> None:
    files = sorted(REAL.glob("*.png"))
    assert len(files) == 3
    real = np.mean([object_statistics(cv2.imread(str(file), 0).astype(np.float32) / 255) for file in files], axis=0)
    ours = np.mean([object_statistics(scene.grey) for scene in scenes], axis=0)
    assert ours == pytest.approx(real, rel=0.2), f"area, number, contrast: real {real}, synthetic {ours}"


def test_many_cells_touch_another(scenes: list[LabelledScene]) -> None:
    fractions = [touching_fraction(scene.labels) for scene in scenes]
    assert np.mean(fractions) >= 0.3
    assert min(fractions) > 0


def test_cells_are_lobed_and_have_nuclei(scenes: list[LabelledScene]) -> None:
    """Cells fill less of their hull than ellipses, and their grey varies more than that of a smooth blob."""
    solidity, granularity = [], []
    for scene in scenes[:3]:
        smooth = cv2.GaussianBlur(scene.grey, (0, 0), 4)
        for number in range(1, int(scene.labels.max()) + 1):
            cell = (scene.labels == number).astype(np.uint8)
            contour = max(cv2.findContours(cell, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
            solidity.append(cv2.contourArea(contour) / cv2.contourArea(cv2.convexHull(contour)))
            inner = cv2.erode(cell, np.ones((7, 7), np.uint8)) > 0
            if inner.sum() > 100:
                granularity.append(float((scene.grey - smooth)[inner].std() / smooth[inner].mean()))
    assert np.percentile(solidity, 5) < 0.94
    assert np.median(granularity) > 0.05


def test_labels_are_where_cells_are(scenes: list[LabelledScene]) -> None:
    for scene in scenes[:4]:
        inside = scene.labels > 0
        assert set(np.unique(scene.labels)) == set(range(int(scene.labels.max()) + 1)), "numbers without gaps"
        assert scene.grey[inside].mean() > 2.5 * scene.grey[~inside].mean()
        assert 0 <= scene.grey.min() <= scene.grey.max() <= 1


@pytest.mark.parametrize("size_px", [64, 100, 128, 512, 700])
def test_a_scene_is_the_same_at_every_size(size_px: int) -> None:
    scene, again, whole = tissue_scene(size_px, 3, 1), tissue_scene(size_px, 3, 1), tissue_scene(512, 3, 1)
    assert scene.grey.shape == scene.labels.shape == (size_px, size_px)
    assert (scene.grey == again.grey).all()
    assert (scene.labels == again.labels).all()
    assert scene.labels.max() == whole.labels.max()
    assert scene.grey.mean() == pytest.approx(whole.grey.mean(), rel=0.02)
    assert (scene.labels > 0).mean() == pytest.approx((whole.labels > 0).mean(), rel=0.03)


def test_seeds_and_indices_give_other_scenes() -> None:
    drawn = {tissue_scene(64, seed, index).grey.tobytes() for seed in (0, 1) for index in range(3)}
    assert len(drawn) == 6


def test_small_scenes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 64 pixels"):
        tissue_scene(63, 0, 0)


@pytest.mark.parametrize("shape", [(48, 64), (96, 80), (128, 128)])
def test_labels_belong_to_the_pattern_of_the_source(shape: tuple[int, int]) -> None:
    source = open_source("tissue", shape, count=2, seed=5, phase_range_rad=2.0)
    scene = tissue_in(shape, 5, 1)
    np.testing.assert_allclose(source[1].phase_rad, 2 * scene.grey, rtol=1e-6)
    assert scene.labels.shape == shape
    assert not scene.labels.flags.writeable
