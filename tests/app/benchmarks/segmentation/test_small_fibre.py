"""The comparison on the small fibre: the same cells through two models, and None where the program comes without one."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.patterns.sources import tissue_in
from app.benchmarks.segmentation import small_fibre
from app.benchmarks.segmentation.cell_images import HELD_OUT_SEED
from app.instrument.kinds import InstrumentName


def test_the_cells_are_as_large_as_on_the_large_fibre() -> None:
    scene, whole = small_fibre.middle_of_scene(128, 3), tissue_in((512, 512), HELD_OUT_SEED, 3)
    assert np.array_equal(scene.grey, whole.grey[192:320, 192:320])
    assert np.array_equal(scene.labels, whole.labels[192:320, 192:320])


def test_a_model_with_a_reference_shows_cells_that_a_published_network_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_fibre, "INSTRUMENT", InstrumentName.FIBRE64)
    models = {"few_step": "referenced-fibre64", "unet": "unet-fibre64", "none": "no-such-model"}
    monkeypatch.setattr(small_fibre, "MODELS", models)
    numbers = small_fibre.small_fibre_numbers(6, lambda *_: None)
    assert numbers["iou_none"] is None
    assert 1 >= numbers["iou_few_step"] > numbers["iou_unet"] > 0  # type: ignore[operator]
