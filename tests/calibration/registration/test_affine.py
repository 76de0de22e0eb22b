"""A registration that is read from a file is checked before an image is warped with it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibration.registration.affine import Registration
from calibration.stored import CalibrationError, Stored

GOOD = Registration(np.array([[1.1, 0.0, 2.0], [0.0, 1.1, -3.0]]), (24, 24), (32, 32), 0.9, 0.1, 2.0)


def with_matrix(**entries: float) -> Stored:
    """A stored registration; ``y``, ``x`` and ``shift`` replace entries of its matrix."""
    matrix = GOOD.matrix.copy()
    for name, value in entries.items():
        matrix[{"y": (0, 0), "x": (1, 1), "shift": (0, 2)}[name]] = value
    return Stored("registration", {}, dict(GOOD.stored({}).values), {"matrix": matrix})


def test_what_was_stored_is_read_back() -> None:
    read = Registration.from_stored(GOOD.stored({}))
    np.testing.assert_array_equal(read.matrix, GOOD.matrix)
    assert (read.pattern_shape, read.camera_shape, read.scale) == (GOOD.pattern_shape, GOOD.camera_shape, GOOD.scale)


@pytest.mark.parametrize("entries", [{"y": 0.0}, {"y": 1e9}, {"x": 1e-9}, {"shift": math.inf}, {"y": math.nan}])
def test_a_map_that_no_optics_make_is_refused(entries: dict[str, float]) -> None:
    with pytest.raises(CalibrationError, match="calibrate again"):
        Registration.from_stored(with_matrix(**entries))


@pytest.mark.parametrize("shape", [[10**9, 10**9], [0, 5], [5], [math.inf, 5], ["a", 5], None])
@pytest.mark.parametrize("name", ["pattern_shape", "camera_shape"])
def test_a_shape_that_is_none_is_refused(name: str, shape: object) -> None:
    stored = GOOD.stored({})
    damaged = Stored(stored.kind, {}, {**stored.values, name: shape}, stored.arrays)
    with pytest.raises(CalibrationError, match="calibrate again"):
        Registration.from_stored(damaged)
