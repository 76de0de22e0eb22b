"""Phase becomes the grey level with the nearest phase on the circle, after correction and wrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from drivers.base import WrongPatternError
from drivers.displays.phase_lut import GreyEncoder, GreyLut

TABLE_RAD = 1e-4  # the smallest difference that the encoder resolves

luts = st.one_of(
    st.builds(GreyLut.linear, st.floats(0.5, 15)),
    st.builds(GreyLut.gamma, st.floats(0.4, 3), st.floats(0.5, 15)),
    st.builds(
        lambda seed, offset: GreyLut(offset + np.cumsum(np.random.default_rng(seed).uniform(0, 0.05, 256) ** 2 * 20)),
        st.integers(0, 999),
        st.floats(-20, 20),
    ),
)


def around(phase_rad: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance to zero on the circle."""
    return np.abs(np.angle(np.exp(1j * phase_rad.astype(np.float64))))


def row(*phase_rad: float) -> NDArray[np.float32]:
    return np.array([phase_rad], np.float32)


@given(lut=luts, seed=st.integers(0, 999), size_rad=st.sampled_from([7.0, 100.0, 1e4]))
def test_no_other_level_is_nearer_on_the_circle(lut: GreyLut, seed: int, size_rad: float) -> None:
    phase = np.random.default_rng(seed).uniform(-size_rad, size_rad, (3, 40)).astype(np.float32)
    encoder = GreyEncoder(lut)
    grey = encoder(phase)
    assert grey.dtype == np.uint8
    assert grey.shape == phase.shape
    error = around(lut.phases_rad[grey] - phase)
    best = around(lut.phases_rad - phase[..., None].astype(np.float64)).min(-1)
    rounding_rad = 4 * size_rad * np.finfo(np.float32).eps
    assert (error - best).max() <= 2 * TABLE_RAD + rounding_rad


@given(phase_rad=st.floats(-50, 50, width=32))
def test_a_round_trip_of_a_full_panel_is_right_to_half_a_step(phase_rad: float) -> None:
    encoder = GreyEncoder(GreyLut.linear())
    phase = row(phase_rad)
    back = encoder.phase_of(encoder(phase))
    assert back.dtype == np.float32
    assert around(back - phase).max() <= np.pi / 255 + TABLE_RAD


@pytest.mark.parametrize("lut", [GreyLut.linear(5.0), GreyLut.gamma(1.5, 6.0), GreyLut.gamma(0.7, 2.6)])
def test_every_level_comes_back_as_itself_where_all_differ(lut: GreyLut) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    encoder = GreyEncoder(lut)
    # Levels closer than the table's resolution may be exchanged, which has no visible effect.
    back = encoder(encoder.phase_of(grey))
    assert np.abs(lut.phases_rad[back] - lut.phases_rad[grey]).max() <= TABLE_RAD
    assert np.array_equal(back[1:], grey[1:])


def test_a_linear_panel_in_numbers() -> None:
    encoder = GreyEncoder(GreyLut.linear(2 * np.pi))
    step = 2 * np.pi / 255
    requested = row(
        0, step, 127 * step, 254 * step, 127.4 * step, 127.6 * step, -step, -254 * step, 2 * np.pi, -1e-9, 4 * np.pi
    )
    assert encoder(requested).tolist() == [[0, 1, 127, 254, 127, 128, 254, 1, 0, 0, 0]]


def test_beyond_a_short_range_the_nearer_end_is_taken() -> None:
    encoder = GreyEncoder(GreyLut.linear(2.6))
    gap_middle = (2.6 + 2 * np.pi) / 2
    assert encoder(row(2.6, 3.5, gap_middle - 0.01, gap_middle + 0.01, 6.2, -0.1)).tolist() == [[255, 255, 255, 0, 0, 0]]


@given(phase_rad=st.floats(-6, 6, width=32), turns=st.integers(-20, 20))
def test_whole_turns_change_nothing(phase_rad: float, turns: int) -> None:
    encoder = GreyEncoder(GreyLut.gamma(1.4, 5.0))
    once = encoder.phase_of(encoder(row(phase_rad)))
    again = encoder.phase_of(encoder(row(phase_rad + 2 * np.pi * turns)))
    requested = row(phase_rad)
    # If two levels are equally near, either is right: compare the distance of each to the requested phase.
    assert around(again - requested) == pytest.approx(around(once - requested), abs=2 * TABLE_RAD)


def test_within_the_range_more_phase_never_means_less_grey() -> None:
    for lut in (GreyLut.linear(5.0), GreyLut.gamma(2.2, 6.0), GreyLut(np.repeat(np.arange(64) / 12, 4))):
        ramp = np.linspace(0, lut.phases_rad[-1], 5000, dtype=np.float32)[None]
        grey = GreyEncoder(lut)(ramp).astype(int)
        assert (np.diff(grey) >= 0).all()


def test_of_levels_with_one_phase_the_lowest_is_taken() -> None:
    lut = GreyLut(np.repeat([0.0, 1.0, 2.0, 3.0], 64))
    assert GreyEncoder(lut)(row(0.1, 1.2, 1.9, 3.4)).tolist() == [[0, 64, 128, 192]]


def test_a_flat_first_part_of_the_response_is_skipped() -> None:
    """A panel that hardly responds below some voltage still gives every phase that it can."""
    lut = GreyLut(np.maximum(0, np.arange(256) - 100) * 2 * np.pi / 155)
    assert GreyEncoder(lut)(row(0, np.pi)).tolist()[0][0] == 0
    assert set(np.unique(GreyEncoder(lut)(np.linspace(0, 6.28, 4000, dtype=np.float32)[None]))) == {0, *range(101, 255)}


# ---- correction


@given(seed=st.integers(0, 999))
def test_a_correction_is_added_before_the_wrap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    phase = rng.uniform(-30, 30, (5, 7)).astype(np.float32)
    correction = rng.uniform(-30, 30, (5, 7)).astype(np.float32)
    lut = GreyLut.linear()
    corrected = GreyEncoder(lut, correction)
    shown = lut.phase_of(corrected(phase))
    assert around(shown - (phase + correction)).max() <= np.pi / 255 + TABLE_RAD
    assert around(corrected.phase_of(corrected(phase)) - phase).max() <= np.pi / 255 + TABLE_RAD


def test_a_correction_belongs_to_its_pixels_on_a_whole_panel(rng: np.random.Generator) -> None:
    correction = rng.uniform(0, 6, (301, 1920)).astype(np.float32)  # several pieces, the last one short
    grey = GreyEncoder(GreyLut.linear(), correction)(-correction)
    assert not grey.any()


def test_a_correction_cannot_be_changed_from_outside() -> None:
    correction = np.zeros((2, 2), np.float32)
    encoder = GreyEncoder(GreyLut.linear(), correction)
    correction += 1
    assert not encoder(np.zeros((2, 2), np.float32)).any()


# ---- refusals


@pytest.mark.parametrize(
    ("phases", "cause"),
    [
        (np.arange(255) / 50, "256"),
        (np.zeros((16, 16)), "256"),
        (np.where(np.arange(256) == 9, np.nan, np.arange(256) / 50), "finite"),
        (np.arange(256)[::-1] / 50, "after level 0"),
        (np.where(np.arange(256) == 9, 0.0, np.arange(256) / 50), "after level 8"),
        (np.zeros(256), "rise"),
        (np.arange(256) * 360 / 255, "degrees"),
    ],
    ids=["short", "square", "hole", "falling", "dent", "flat", "degrees"],
)
def test_a_bad_lut_is_refused(phases: NDArray[np.float64], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        GreyLut(phases)


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan")])
def test_a_bad_gamma_is_refused(gamma: float) -> None:
    with pytest.raises(ValueError, match="gamma"):
        GreyLut.gamma(gamma)


@pytest.mark.parametrize("slm_range_rad", [0.0, -2.6, float("nan"), 360.0])
def test_a_bad_range_is_refused(slm_range_rad: float) -> None:
    with pytest.raises(ValueError, match="grey LUT must"):
        GreyLut.linear(slm_range_rad)


def test_a_lut_cannot_be_changed_afterwards() -> None:
    phases = np.arange(256) / 50
    lut = GreyLut(phases)
    phases += 1
    assert lut.phases_rad[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        lut.phases_rad[0] = 1


@pytest.mark.parametrize(
    "correction",
    [np.zeros(4, np.float32), np.zeros((2, 2)), np.full((2, 2), np.inf, np.float32)],
    ids=["line", "float64", "infinite"],
)
def test_a_bad_correction_is_refused(correction: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="correction"):
        GreyEncoder(GreyLut.linear(), correction)


@pytest.mark.parametrize(
    ("phase", "cause"),
    [
        (np.zeros(4, np.float32), "float32"),
        (np.zeros((2, 2)), "float32"),
        (np.zeros((2, 3), np.float32), "resize"),
        (np.full((2, 2), np.nan, np.float32), "finite"),
        (np.full((2, 2), np.inf, np.float32), "finite"),
    ],
    ids=["line", "float64", "shape", "hole", "infinite"],
)
def test_a_bad_phase_is_refused(phase: NDArray[np.float32], cause: str) -> None:
    with pytest.raises(WrongPatternError, match=cause):
        GreyEncoder(GreyLut.linear(), np.zeros((2, 2), np.float32))(phase)
