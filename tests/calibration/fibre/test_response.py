"""A fibre's response that is read from a file is checked before it is used."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch

from calibration.fibre.response import FibreResponse, from_transmission
from calibration.stored import CalibrationError, Stored
from drivers.testing.small_twin import small_fibre


def with_array(name: str, array: np.ndarray) -> Stored:
    return Stored("fibre response", {}, stored().values, {**stored().arrays, name: array})


@cache
def stored() -> Stored:
    fibre = small_fibre().response
    transmission = (torch.polar(fibre.gain, fibre.rest_phase_rad)[..., None] * fibre.coupling).numpy()
    return from_transmission(small_fibre().config, transmission, background=3.0, probe_patterns=9).stored({})


def test_what_was_stored_describes_the_same_fibre() -> None:
    optics = FibreResponse.from_stored(stored()).optics()
    assert optics.cores == small_fibre().cores


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ceiling", 0),
        ("ceiling", "high"),
        ("background", math.nan),
        ("optics", {"image_px": 10**7}),
        ("optics", [1]),
        ("weakest", None),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: object) -> None:
    values = {**stored().values, name: value}
    with pytest.raises(CalibrationError, match="calibrate again"):
        FibreResponse.from_stored(Stored("fibre response", {}, values, stored().arrays))


@pytest.mark.parametrize("name", ["core_phase_rad", "core_gain", "coupling"])
@pytest.mark.parametrize("change", ["text", "nan", "flat", "longdouble"])
def test_an_array_of_another_kind_is_refused_or_converted(name: str, change: str) -> None:
    array = np.array(stored().arrays[name])
    if change == "longdouble" and name != "coupling":
        response = FibreResponse.from_stored(with_array(name, array.astype(np.longdouble)))
        assert response.optics().cores == small_fibre().cores
        return
    changed = {"text": array.astype(str), "nan": array * np.float32("nan"), "flat": array.ravel()}.get(change)
    damaged = with_array(name, array.astype(bool) if changed is None else changed)
    with pytest.raises(CalibrationError, match="calibrate again"):
        FibreResponse.from_stored(damaged)


def test_arrays_of_another_fibre_are_refused() -> None:
    arrays = {name: array[:, :5] for name, array in stored().arrays.items()}
    with pytest.raises(CalibrationError, match="does not fit its optics"):
        FibreResponse.from_stored(Stored("fibre response", {}, stored().values, arrays)).optics()
