"""Labels become maps and come back; what is not sure is left out."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.patterns.tissue.scene import tissue_scene
from reconstruction.segmentation.learned.maps import BOUNDARY, DEPTH, FOREGROUND, labels_of, maps_of
from reconstruction.segmentation.scores import ap50

TWO = np.zeros((20, 20), np.uint16)
TWO[4:12, 3:10], TWO[4:12, 10:17] = 7, 2


def test_maps_of_two_touching_cells() -> None:
    maps = maps_of(TWO)
    assert (maps[FOREGROUND] == (TWO > 0)).all()
    meets = np.zeros_like(TWO, bool)
    meets[3:13, 9:11] = True
    assert ((maps[BOUNDARY] > 0) <= meets).all()
    assert maps[BOUNDARY][4:12, 9:11].all(), "where two cells meet"
    assert maps[DEPTH][TWO == 0].max() == 0
    assert [maps[DEPTH][number == TWO].max() for number in (2, 7)] == [1, 1]


def test_an_empty_image_has_empty_maps_and_no_cells() -> None:
    maps = maps_of(np.zeros((9, 9), np.uint16))
    assert not maps.any()
    labels, scores = labels_of(maps, 0.5, 1)
    assert labels.max() == 0
    assert len(scores) == 0


def test_cells_come_back_from_their_maps() -> None:
    scene = tissue_scene(128, 5, 0)
    labels, scores = labels_of(maps_of(scene.labels), 0.5, 1)
    assert ap50(labels.astype(np.uint16), scene.labels) > 0.93
    assert scores == pytest.approx(np.ones(len(scores)))


def test_small_and_improbable_cells_are_left_out() -> None:
    maps = maps_of(TWO)
    maps[FOREGROUND][TWO == 7] = 0.6
    labels, scores = labels_of(maps, 0.5, 10)
    assert {round(float(scores[number - 1]), 2) for number in np.unique(labels) if number} == {0.6, 1.0}
    assert len(np.unique(labels_of(maps, 0.7, 10)[0])) == 2
    assert labels_of(maps, 0.5, 60)[0].max() == 0
