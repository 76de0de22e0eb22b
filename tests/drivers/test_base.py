"""Frames and patterns cannot be changed, a pattern is identified by its content, and wrong arrays are refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drivers.base import BIT_DEPTHS, DeviceError, Frame, Pattern, SpeckleScopeError, WrongPatternError, frozen_array

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
PHASES = hnp.arrays(np.float32, SHAPES, elements=st.floats(-50, 50, width=32))


def frame_of(pixels: np.ndarray[Any, Any], bit_depth: int = 8) -> Frame:
    return Frame(pixels, index=3, t_ns=1_000, exposure_s=0.002, bit_depth=bit_depth)


def test_a_frame_keeps_its_pixels_when_the_camera_reuses_its_buffer() -> None:
    buffer = np.full((2, 3), 7, np.uint8)
    frame = frame_of(buffer)
    buffer[:] = 0
    assert frame.pixels.tolist() == [[7, 7, 7], [7, 7, 7]]
    assert frame.shape == (2, 3)


def test_a_frame_cannot_be_changed() -> None:
    frame = frame_of(np.zeros((2, 3), np.uint16), bit_depth=12)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        frame.index = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 2, 3, 1), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
        np.zeros(6, np.uint8),
        np.zeros((2, 3), np.float32),
        np.zeros((2, 3), np.int16),
    ],
    ids=["four dimensions", "no channel", "one dimension", "float", "signed"],
)
def test_a_frame_is_counts_of_one_picture_or_of_several_channels(pixels: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ValueError, match="a frame must be"):
        frame_of(pixels)


def test_labelling_a_frame_copies_no_pixels() -> None:
    frame = frame_of(np.zeros((2, 3), np.uint8))
    labelled = frame.labelled("abc")
    assert labelled.pixels is frame.pixels
    assert (labelled.pattern_id, frame.pattern_id) == ("abc", None)
    assert (labelled.index, labelled.t_ns, labelled.exposure_s) == (3, 1_000, 0.002)


@pytest.mark.parametrize(("bit_depth", "full"), [(bits, 2**bits - 1) for bits in BIT_DEPTHS])
def test_saturation_follows_the_significant_bits(bit_depth: int, full: int) -> None:
    pixels = np.array([[0, full - 1], [full, full]], np.uint8 if bit_depth == 8 else np.uint16)
    frame = frame_of(pixels, bit_depth)
    assert frame.full_scale == full
    assert frame.saturated_fraction() == 0.5


@given(phase=PHASES, name=st.text(max_size=5))
def test_a_pattern_is_identified_by_its_content_and_not_its_name(phase: np.ndarray[Any, Any], name: str) -> None:
    pattern = Pattern(phase, "original")
    assert Pattern(phase.copy(), name).id == pattern.id
    assert Pattern(np.asfortranarray(phase), name).id == pattern.id
    changed = phase.copy()
    changed[-1, -1] += 1.0
    assert Pattern(changed, "original").id != pattern.id


def test_a_pattern_is_also_identified_by_its_shape() -> None:
    assert Pattern(np.zeros((2, 8), np.float32)).id != Pattern(np.zeros((4, 4), np.float32)).id


def test_pattern_ids_stay_the_same_between_versions() -> None:
    ramp = np.arange(6, dtype=np.float32).reshape(2, 3)  # archives keep these ids for years
    assert Pattern(ramp).id == "9c85d54b302647ae"


def test_a_pattern_cannot_be_changed_under_its_id() -> None:
    phase = np.zeros((2, 3), np.float32)
    pattern = Pattern(phase)
    before = pattern.id
    phase[:] = 1.0
    assert Pattern(pattern.phase_rad).id == before
    with pytest.raises(ValueError, match="read-only"):
        pattern.phase_rad[0, 0] = 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pattern_that_is_not_finite_is_refused(value: float) -> None:
    phase = np.zeros((2, 3), np.float32)
    phase[1, 2] = value
    with pytest.raises(WrongPatternError, match="'broken' contains values that are not finite"):
        Pattern(phase, "broken")


@pytest.mark.parametrize("phase", [np.zeros((2, 3), np.float64), np.zeros((2, 3), np.uint8), np.zeros((1, 2, 3), np.float32)])
def test_a_pattern_is_two_dimensional_float32(phase: np.ndarray[Any, Any]) -> None:
    with pytest.raises(WrongPatternError, match="a pattern must be"):
        Pattern(phase)


def test_users_can_catch_every_device_error_at_once() -> None:
    assert issubclass(WrongPatternError, DeviceError)
    assert issubclass(DeviceError, SpeckleScopeError)


def test_freezing_copies_only_what_could_still_be_changed() -> None:
    writeable = np.arange(6).reshape(2, 3)
    frozen = frozen_array(writeable)
    assert not np.shares_memory(frozen, writeable)
    assert writeable.flags.writeable
    assert frozen_array(frozen) is frozen
    assert frozen_array(frozen.T).flags.c_contiguous


def test_a_read_only_view_of_a_buffer_in_use_is_copied() -> None:
    buffer = np.full((2, 3), 7, np.uint8)
    view = buffer.view()
    view.flags.writeable = False
    frames = [frame_of(view), frame_of(np.frombuffer(memoryview(buffer).toreadonly(), np.uint8).reshape(2, 3))]
    buffer[:] = 0
    assert [int(frame.pixels.min()) for frame in frames] == [7, 7]
