"""Which frames count as empty, and what counts as a false object."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from app.benchmarks.segmentation.empty_fields import EmptyField, EmptyFrame, empty_frames, false_objects
from app.benchmarks.segmentation.seen_frames import SeenFrame
from drivers.base import FrameMark
from reconstruction.segmentation.base import Segmenter

MASK = np.ones((8, 8), np.bool_)


class OneObject(Segmenter):
    """Labels one object in every image that it is given."""

    kind = "one"

    def _segment(
        self, phase_rad: NDArray[np.float32], mask: NDArray[np.bool_], std_rad: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
        return np.eye(8, dtype=np.int32), np.ones(1)


def frame(field: EmptyField, *marks: FrameMark, readable: bool = True) -> EmptyFrame:
    return EmptyFrame(field, SeenFrame(phase_rad=np.zeros((8, 8), np.float32), std_rad=None, readable=readable, marks=marks))


def test_a_decorrelated_frame_counts_only_with_its_mark() -> None:
    frames = [
        frame(EmptyField.EMPTY),
        frame(EmptyField.DECORRELATED),
        frame(EmptyField.DIM),
        frame(EmptyField.DECORRELATED, FrameMark.DECORRELATED, readable=False),
    ]
    result = false_objects(frames, OneObject(), MASK)
    assert result["frames"] == 2
    assert result["unmarked"] == 1
    assert result["mean"] == pytest.approx(0.5), "the live view does not segment the marked frame"
    assert result["frames_with_objects"] == 1
    assert result["by_field"] == {"empty": 1.0, "uniform": None, "noise": None, "decorrelated": 0.0, "dim": 1.0}


class NoFibre:
    """Remembers what it was asked to show."""

    side_px = 16

    def __init__(self) -> None:
        self.shown: list[NDArray[np.float32]] = []

    @property
    def blank(self) -> NDArray[np.float32]:
        return np.zeros((16, 16), np.float32)

    def light(self, fraction: float) -> NoFibre:
        assert 0 < fraction < 1
        return self

    drifted = light

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return

    def see(self, phase_rad: NDArray[np.float32]) -> SeenFrame:
        self.shown.append(phase_rad)
        return frame(EmptyField.EMPTY).seen


def test_every_kind_has_a_quarter_of_the_frames_and_shows_what_its_name_says() -> None:
    source = NoFibre()
    source.drifted = lambda drift_rad, drift_seed: source  # type: ignore[method-assign, assignment]
    cells = np.ones((16, 16), np.float32)
    frames = empty_frames(source, lambda index: cells, 16, lambda *_: None)  # type: ignore[arg-type]
    fields = [each.field for each in frames]
    assert {field: fields.count(field) for field in EmptyField} == dict.fromkeys(EmptyField, 4) | {EmptyField.DIM: 1}
    shown = dict(zip([(each.field, index) for index, each in enumerate(frames)], source.shown, strict=True))
    deviations = {field: max(float(image.std()) for (each, _), image in shown.items() if each is field) for field in EmptyField}
    assert deviations[EmptyField.EMPTY] == deviations[EmptyField.DECORRELATED] == 0
    assert deviations[EmptyField.UNIFORM] < 1e-6
    assert 0.005 < deviations[EmptyField.NOISE] < 0.12
