"""A phase becomes radians whatever its type and unit, and nothing is believed that its values contradict."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from acquisition.exchange.conversion.phase import PhaseConverter, PhaseError, StatedPhase
from acquisition.exchange.conversion.units import PhaseUnit

INTEGERS = ("uint8", "uint16", "uint32", "int16", "int32", "int64")
FLOATS = ("float16", "float32", "float64")
#: What is stored for a phase of 1 rad, when white stands for ``phase_range_rad`` and has this level.
PER_RAD: dict[PhaseUnit, Callable[[float, float], float]] = {
    PhaseUnit.RAD: lambda phase_range_rad, white: 1.0,
    PhaseUnit.DEG: lambda phase_range_rad, white: 180 / math.pi,
    PhaseUnit.PERCENT: lambda phase_range_rad, white: 100 / phase_range_rad,
    PhaseUnit.LEVELS: lambda phase_range_rad, white: white / phase_range_rad,
}
TRUTH = np.random.default_rng(3).uniform(0, 1, (5, 7))


def convert(image: np.ndarray, **stated: object) -> np.ndarray:
    return PhaseConverter(image.dtype, StatedPhase(**stated)).convert("image 0", image)  # type: ignore[arg-type]


@given(
    dtype=st.sampled_from((*INTEGERS, *FLOATS)),
    unit=st.sampled_from(PhaseUnit),
    phase_range_rad=st.floats(0.5, 12.0),
    white=st.sampled_from((None, 1023.0, 4095.0, 200.5)),
)
def test_every_type_and_unit_gives_the_same_phase(
    dtype: str, unit: PhaseUnit, phase_range_rad: float, white: float | None
) -> None:
    level = white or {"uint8": 255.0, "uint16": 65535.0}.get(dtype, 255.0)
    if unit is PhaseUnit.LEVELS and dtype == "uint8":
        level = white = min(level, 255.0)
    stated = level if unit is PhaseUnit.LEVELS and (white or dtype not in ("uint8", "uint16")) else None
    scale = PER_RAD[unit](phase_range_rad, level)
    assume(phase_range_rad * scale <= (np.iinfo if np.dtype(dtype).kind in "iu" else np.finfo)(dtype).max)
    wanted = TRUTH * phase_range_rad * scale
    stored = (np.round(wanted) if np.dtype(dtype).kind in "iu" else wanted).astype(dtype)
    phase_rad = convert(stored, unit=unit, phase_range_rad=phase_range_rad, white=stated)
    assert phase_rad.dtype == np.float32
    step = 0.5 / scale if np.dtype(dtype).kind in "iu" else phase_range_rad * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(phase_rad, TRUTH * phase_range_rad, atol=step * 1.001 + 1e-6 * phase_range_rad, rtol=0)


@given(
    dtype=st.sampled_from(("float32", "float64")),
    unit=st.sampled_from((PhaseUnit.DEG, PhaseUnit.PERCENT, PhaseUnit.LEVELS)),
    phase_range_rad=st.floats(1.0, 12.0),
)
def test_another_unit_is_never_taken_for_radians_when_it_leaves_the_range(
    dtype: str, unit: PhaseUnit, phase_range_rad: float
) -> None:
    stored = (np.linspace(0, phase_range_rad, 35).reshape(5, 7) * PER_RAD[unit](phase_range_rad, 255.0)).astype(dtype)
    with pytest.raises(PhaseError, match="--phase-unit rad, deg, percent or levels"):
        convert(stored, phase_range_rad=phase_range_rad)
    white = 255.0 if unit is PhaseUnit.LEVELS else None
    np.testing.assert_allclose(
        convert(stored, unit=unit, phase_range_rad=phase_range_rad, white=white).max(), phase_range_rad, rtol=1e-5
    )


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool", "int8"])
def test_integers_need_a_unit(dtype: str) -> None:
    image = np.ones((2, 2), dtype)
    with pytest.raises(PhaseError, match=rf"'phase' is {dtype}.*--phase-unit rad, deg, percent or levels"):
        convert(image, phase_range_rad=2.0)
    assert convert(image, unit=PhaseUnit.RAD)[0, 0] == 1


def test_levels_and_percent_need_the_phase_of_white() -> None:
    for unit in (PhaseUnit.LEVELS, PhaseUnit.PERCENT):
        with pytest.raises(PhaseError, match="--phase-range-rad"):
            convert(np.ones((2, 2), np.uint8), unit=unit)
    with pytest.raises(PhaseError, match="--phase-white"):
        convert(np.ones((2, 2), np.float32), unit=PhaseUnit.LEVELS, phase_range_rad=2.0)
    assert convert(np.ones((2, 2), np.float32), unit=PhaseUnit.LEVELS, phase_range_rad=2.0, white=1.0)[0, 0] == 2.0
    with pytest.raises(PhaseError, match="--phase-unit levels"):
        convert(np.ones((2, 2), np.float32), phase_range_rad=2.0, white=1.0)


@pytest.mark.parametrize(("unit", "white", "value"), [(PhaseUnit.LEVELS, 255.0, 256), (PhaseUnit.PERCENT, None, 101)])
def test_values_above_white_are_refused(unit: PhaseUnit, white: float | None, value: int) -> None:
    with pytest.raises(PhaseError, match=f"has the value {value}, outside.*--phase-"):
        convert(np.full((2, 2), value, np.int32), unit=unit, phase_range_rad=2.0, white=white)


def test_ten_bits_in_sixteen_are_not_taken_for_sixteen() -> None:
    levels = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    converter = PhaseConverter(levels.dtype, StatedPhase(unit=PhaseUnit.LEVELS, phase_range_rad=2.0))
    converter.convert("image 0", levels)
    [problem] = converter.problems()
    assert "highest level of the 16-bit phase is 1023: give --phase-white" in problem
    stated = PhaseConverter(levels.dtype, StatedPhase(unit=PhaseUnit.LEVELS, phase_range_rad=2.0, white=1023.0))
    assert float(stated.convert("image 0", levels).max()) == pytest.approx(2.0)
    assert stated.problems() == []


@given(low=st.floats(-12, 0), high=st.floats(0, 12), phase_range_rad=st.floats(0.5, 12))
def test_a_wrapped_or_negative_phase_is_radians_inside_the_range(low: float, high: float, phase_range_rad: float) -> None:
    image = np.array([[low, high]], np.float32)
    if max(-float(image.min()), float(image.max())) <= phase_range_rad:
        np.testing.assert_array_equal(convert(image, phase_range_rad=phase_range_rad), image)
        return
    np.testing.assert_array_equal(convert(image, phase_range_rad=phase_range_rad, unit=PhaseUnit.RAD), image)
    if max(-low, high) > phase_range_rad * 1.001:
        with pytest.raises(PhaseError, match="--phase-unit"):
            convert(image, phase_range_rad=phase_range_rad)


def test_without_a_range_only_values_up_to_two_pi_count_as_radians() -> None:
    image = np.array([[-math.pi, 2 * math.pi]], np.float64)
    converter = PhaseConverter(image.dtype, StatedPhase())
    converter.convert("image 0", image)
    assert converter.notes() == [
        "phase: no unit is stated, so it counts as radians; it spans -3.142 to 6.283 rad",
        "phase: it has double precision (float64); it is stored as float32",
    ]
    with pytest.raises(PhaseError, match="beyond 2 pi: state its unit with --phase-unit"):
        convert(image * 2)


@given(
    dtype=st.sampled_from(FLOATS),
    bad=st.sampled_from((np.nan, np.inf, -np.inf)),
    row=st.integers(0, 4),
    column=st.integers(0, 6),
    unit=st.sampled_from((None, PhaseUnit.RAD, PhaseUnit.DEG)),
)
def test_values_that_are_not_finite_are_refused_or_replaced(
    dtype: str, bad: float, row: int, column: int, unit: PhaseUnit | None
) -> None:
    image = np.ones((5, 7), dtype)
    image[row, column] = bad
    with pytest.raises(PhaseError, match=rf"image 0 is -?(nan|inf) in pixel row {row}, column {column},.*--phase-fill"):
        convert(image, unit=unit, phase_range_rad=2.0)
    filled = convert(image, unit=unit, phase_range_rad=2.0, fill=0.5)
    assert np.isfinite(filled).all()
    assert filled[row, column] == pytest.approx(math.radians(0.5) if unit is PhaseUnit.DEG else 0.5)


def test_what_was_filled_is_told() -> None:
    image = np.array([[np.nan, 1, np.inf]], np.float32)
    converter = PhaseConverter(image.dtype, StatedPhase(phase_range_rad=2.0, unit=PhaseUnit.RAD, fill=0.0))
    for _ in range(2):  # an import reads every image twice
        converter.convert("image 4", image)
    assert converter.notes() == ["phase: 2 pixels in 1 images were not finite; they are 0 rad now"]


def test_a_complex_field_gives_its_angle_when_that_is_stated() -> None:
    field = np.exp(1j * np.array([[0.5, -1.0]]))
    with pytest.raises(PhaseError, match="--phase-unit rad"):
        convert(field, phase_range_rad=2.0)
    np.testing.assert_allclose(convert(field, unit=PhaseUnit.RAD), [[0.5, -1.0]], rtol=1e-6)


def test_our_own_radians_are_kept_whatever_they_are() -> None:
    image = np.array([[-40.0, 1e6]], np.float32)
    converter = PhaseConverter(image.dtype, StatedPhase(phase_range_rad=2.0, ours=True))
    np.testing.assert_array_equal(converter.convert("image 0", image), image)
    assert converter.notes() == []


def test_stated_radians_beyond_the_range_come_in_with_a_note() -> None:
    image = np.array([[-1.0, 150.0]], np.float32)
    converter = PhaseConverter(image.dtype, StatedPhase(phase_range_rad=2.0, unit=PhaseUnit.RAD))
    np.testing.assert_array_equal(converter.convert("image 0", image), image)
    assert converter.notes() == ["phase: it spans -1 to 150 rad, which is not inside 0 to 2 rad"]
