"""Test targets are exact to the pixel, compared with an independent implementation of their definition."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.patterns.source_name import DESCRIPTIONS, PatternError
from acquisition.patterns.sources import open_source
from acquisition.patterns.targets import GratingKind, checkerboard, grating, siemens, usaf, usaf_elements
from acquisition.patterns.zernike import noll_to_nm, zernike
from drivers.testing.videos import write_mjpeg


@given(side=st.integers(60, 220), extra=st.integers(0, 200), share=st.floats(0.15, 1))
def test_every_pixel_of_a_usaf_chart_agrees_with_its_bars(side: int, extra: int, share: float) -> None:
    shape = (side, side + extra)
    bar_px = max(1.5, share * side / 33)
    elements = usaf_elements(shape, bar_px)
    bars = np.array([bar for element in elements for bar in element.bars])
    y, x = np.indices(shape) + 0.5
    inside = np.zeros(shape, bool)
    for top, left, bottom, right in bars:
        inside |= (y >= top) & (y < bottom) & (x >= left) & (x < right)
    assert np.array_equal(usaf(shape, bar_px), inside.astype(np.float32))


def test_usaf_elements_follow_the_standard() -> None:
    elements = usaf_elements((512, 512), 12.0)
    assert [(e.group, e.element) for e in elements[:7]] == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (1, 1)]
    assert min(e.bar_px for e in elements) >= 1
    for element in elements:
        # Line pairs per length increase by 2**(1/6) per element: MIL-STD-150A.
        assert element.bar_px == pytest.approx(12 / 2 ** (element.group + (element.element - 1) / 6))
        assert len(element.bars) == 6
        sides: Counter[str] = Counter()
        for top, left, bottom, right in element.bars:
            height, width = bottom - top, right - left
            assert max(height, width) == pytest.approx(5 * element.bar_px)
            assert min(height, width) == pytest.approx(element.bar_px)
            sides["vertical" if height > width else "horizontal"] += 1
            assert top >= 0
            assert bottom <= 512
            assert left >= 0
            assert right <= 512
        assert sides == {"vertical": 3, "horizontal": 3}
        lefts = sorted(bar[1] for bar in element.bars[:3])
        assert np.diff(lefts) == pytest.approx([2 * element.bar_px] * 2), "a space is as wide as a bar"
    every = [bar for element in elements for bar in element.bars]
    for k, (top, left, bottom, right) in enumerate(every):
        for other_top, other_left, other_bottom, other_right in every[k + 1 :]:
            assert min(bottom, other_bottom) <= max(top, other_top) or min(right, other_right) <= max(left, other_left)


def test_a_whole_number_of_pixels_gives_whole_bars() -> None:
    chart = usaf((300, 300), 8.0)
    element = usaf_elements((300, 300), 8.0)[0]
    top, left, bottom, right = (round(edge) for edge in element.bars[0])
    part = chart[top:bottom, left : left + 5 * 8]
    assert part.shape[0] == 40
    assert (right - left) == 8
    assert np.array_equal(part[0].reshape(5, 8)[:, 0], [1, 0, 1, 0, 1])


@given(height=st.integers(20, 120), width=st.integers(20, 120), spokes=st.integers(2, 60))
def test_every_pixel_of_a_siemens_star_agrees_with_its_angle(height: int, width: int, spokes: int) -> None:
    star = siemens((height, width), spokes)
    radius = 0.45 * min(height, width)
    rng = np.random.default_rng(0)
    for row, column in zip(rng.integers(0, height, 60), rng.integers(0, width, 60), strict=True):
        y, x = row + 0.5 - height / 2, column + 0.5 - width / 2
        wave = math.cos(spokes * math.atan2(y, x))
        assert star[row, column] == float(wave >= -1e-9 and math.hypot(y, x) <= radius)


def test_a_siemens_star_has_its_number_of_spokes_and_its_symmetry() -> None:
    star = siemens((401, 401), 18)
    angles = np.linspace(-np.pi, np.pi, 20_000, endpoint=False)
    ring = star[np.rint(200 + 150 * np.sin(angles)).astype(int), np.rint(200 + 150 * np.cos(angles)).astype(int)]
    assert np.count_nonzero(np.diff(ring) > 0) == pytest.approx(18, abs=1)
    assert np.array_equal(star, star[::-1]), "cos is even"
    assert np.array_equal(star, star[:, ::-1]), "and 18 is even too"


def test_gratings_and_checkerboards_are_periodic() -> None:
    binary = grating((8, 64), GratingKind.BINARY, 8, 0.0)
    assert np.array_equal(binary[0, :8], binary[0, 8:16])
    assert binary.mean() == 0.5
    blazed = grating((8, 64), GratingKind.BLAZED, 16, 0.0)[0]
    assert np.diff(blazed[:16]).min() > 0 or np.diff(blazed[8:24]).min() < 0
    assert sorted(set(np.round(np.diff(blazed), 6))) == [round(-15 / 16, 6), round(1 / 16, 6)]
    turned = grating((64, 8), GratingKind.SINUSOIDAL, 8, math.pi / 2)
    assert np.allclose(turned, turned[:, :1], atol=1e-6)
    board = checkerboard((6, 6), 2)
    assert board[0, 0] == 0
    assert np.array_equal(board, np.kron([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.ones((2, 2))))


def test_zernike_modes_are_orthonormal_in_nolls_order() -> None:
    assert [noll_to_nm(j) for j in range(1, 12)] == [
        (0, 0), (1, 1), (1, -1), (2, 0), (2, -2), (2, 2), (3, -1), (3, 1), (3, -3), (3, 3), (4, 0),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="begin with 1"):
        noll_to_nm(0)
    axis = np.linspace(-1, 1, 801)
    x, y = np.meshgrid(axis, axis)
    radius, inside = np.hypot(x, y), np.hypot(x, y) <= 1
    modes = np.array([zernike(j, radius, np.arctan2(y, x))[inside] for j in range(1, 16)])
    products = modes @ modes.T / inside.sum()
    assert np.allclose(products, np.eye(15), atol=0.02)


@pytest.mark.parametrize("name", [*DESCRIPTIONS, "usaf?bar_px=2", "siemens?spokes=8", "random?cell_px=4", "zernike?first=7"])
def test_every_source_is_deterministic_and_within_its_phase_range(name: str) -> None:
    shape = (72, 96)
    first, again = (open_source(name, shape, count=6, seed=3, phase_range_rad=2.0) for _ in range(2))
    for index in range(6):
        assert first[index].id == again[index].id
        assert first[index].shape == shape
        assert 0 <= float(first[index].phase_rad.min()) <= float(first[index].phase_rad.max()) <= 2.0 + 1e-6
    if name.startswith(("random", "digits")):
        assert first[0].id != first[1].id
        assert first[0].id != open_source(name, shape, count=6, seed=4)[0].id


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("usaf?bar_px=500", "bar_px must lie in 1 to 72, got 500"),
        ("usaf?bar_px=20", "does not fit into"),
        ("siemens?spokes=3.5", "spokes must be a whole number"),
        ("siemens?arms=3", "does not take arms; siemens takes spokes"),
        ("random?cell_px", "is not 'name=number'"),
        ("random?cell_px=x", "is not 'name=number'"),
        ("nothing?a=1", "no pattern source or folder named"),
    ],
)
def test_a_wrong_parameter_is_named(name: str, message: str) -> None:
    with pytest.raises(PatternError, match=message.replace("?", r"\?")):
        open_source(name, (72, 96))


def test_images_are_fitted_into_a_centred_square(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    phase = open_source(f"{tmp_path}?size_px=40", (60, 100), phase_range_rad=1.0)[0].phase_rad
    assert np.allclose(phase[10:50, 30:70], image / 255, atol=1e-6)
    assert phase.sum() == pytest.approx(image.sum() / 255, rel=1e-4)


def test_a_video_is_a_source(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_mjpeg(tmp_path, 3, 25)
    source = open_source(str(path), (48, 64), count=5)
    assert len({source[index].id for index in range(3)}) == 3
    assert source[0].id == source[3].id


def test_a_folder_with_the_name_of_a_source_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_source("cells", (16, 16), count=1)[0].id
    (tmp_path / "cells").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_source("cells", (16, 16), count=1)[0].id == before
