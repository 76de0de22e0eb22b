"""Speckle becomes counts without a change, and the bits of the camera are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.exchange.conversion.speckle import SpeckleConverter, SpeckleError, StatedSpeckle


def converter(image: np.ndarray, **stated: object) -> SpeckleConverter:
    speckle = SpeckleConverter(image.dtype, StatedSpeckle(**stated))  # type: ignore[arg-type]
    speckle.convert("image 0", image)
    return speckle


@given(
    dtype=st.sampled_from(("uint8", "uint16", "int32", "int64", "uint32", "float32", "float64")),
    highest=st.integers(1, 65535),
)
def test_whole_counts_of_any_type_are_kept(dtype: str, highest: int) -> None:
    highest = min(highest, 255) if dtype == "uint8" else highest
    counts = np.linspace(0, highest, 30).round().reshape(5, 6)
    speckle = SpeckleConverter(np.dtype(dtype), StatedSpeckle())
    kept = speckle.convert("image 0", counts.astype(dtype))
    assert kept.dtype.name == ("uint8" if dtype == "uint8" else "uint16")
    np.testing.assert_array_equal(kept, counts)
    bits = speckle.bit_depth
    assert bits in (8, 10, 12, 14, 16)
    assert highest < 2**bits
    assert bits == 8 or highest >= 2 ** (bits - 2), "no more bits than the counts need"


@pytest.mark.parametrize(("stored", "option", "expected"), [(None, None, 12), (16, None, 16), (16, 12, 12), (8, None, 12)])
def test_the_bits_are_stated_or_shown_by_the_counts(stored: int | None, option: int | None, expected: int) -> None:
    counts = np.array([[0, 4000]], np.uint16)
    speckle = converter(counts, file_bit_depth=stored, bit_depth=option)
    assert speckle.bit_depth == expected
    assert bool(speckle.notes()) == ((stored, option) != (16, None))


def test_counts_above_the_stated_bits_are_refused() -> None:
    with pytest.raises(SpeckleError, match="reaches 4000 counts, more than 10 bits hold: give a larger --bit-depth"):
        converter(np.array([[0, 4000]], np.uint16), bit_depth=10)
    for bits in (7, 17):
        with pytest.raises(SpeckleError, match=f"--bit-depth {bits} does not fit"):
            converter(np.array([[0, 40]], np.uint16), bit_depth=bits)


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ([0.0, 0.5], "--speckle-white"),
        ([0.0, 65536.0], "--speckle-white"),
        ([-3.0, 1.0], "down to -3; counts begin at 0: add 3 to all"),
        ([0.0, float("nan")], "not finite; a camera has none: replace them"),
        ([0.0, float("inf")], "not finite"),
    ],
)
def test_values_that_are_no_counts_are_refused(values: list[float], remedy: str) -> None:
    with pytest.raises(SpeckleError, match=remedy):
        converter(np.array([values], np.float32))


def test_a_normalised_speckle_comes_in_with_its_white() -> None:
    image = np.array([[0.0, 0.5, 1.0]])
    speckle = SpeckleConverter(image.dtype, StatedSpeckle(white=1.0, bit_depth=12))
    assert speckle.convert("image 0", image).tolist() == [[0, 2048, 4095]]
    assert "1 is white" in speckle.notes()[0]
