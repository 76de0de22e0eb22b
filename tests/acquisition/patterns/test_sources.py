"""Pattern sources: the same arguments give the same patterns, and wrong arguments are named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.patterns.source_name import PatternError
from acquisition.patterns.sources import (
    TEST_IMAGES,
    TRAINING_IMAGES,
    VALIDATION_IMAGES,
    blank,
    open_source,
    read_grey,
    to_grey,
)

SHAPE = (48, 48)
NAMES = ("builtin", "cells", "leaves", "crops", "mixed", "held-out", "validation")


@pytest.mark.parametrize("name", NAMES)
def test_a_source_is_the_same_sequence_in_any_order_of_reading(name: str) -> None:
    source, again = (open_source(name, SHAPE, count=7, seed=3, phase_range_rad=2.0) for _ in range(2))
    forwards = [source[k].id for k in range(7)]
    backwards = [again[k].id for k in reversed(range(7))][::-1]
    assert forwards == backwards, "a resumed acquisition would show other patterns"
    assert len(set(forwards)) >= 6  # validation has two photographs, so its seventh is one again
    for k in range(7):
        phase = source[k].phase_rad
        assert phase.shape == SHAPE
        assert phase.min() >= 0
        assert phase.max() <= 2.0 + 1e-6


@pytest.mark.parametrize("name", ["cells", "leaves", "crops", "mixed"])
def test_seeds_draw_different_patterns(name: str) -> None:
    drawn = [{open_source(name, SHAPE, count=6, seed=seed)[k].id for k in range(6)} for seed in (0, 1)]
    assert not drawn[0] & drawn[1]


def test_a_test_pattern_is_in_no_training_source() -> None:
    assert not set(TEST_IMAGES) & set(TRAINING_IMAGES)
    assert not set(VALIDATION_IMAGES) & (set(TRAINING_IMAGES) | set(TEST_IMAGES))
    held_out = {p.id for p in open_source("held-out", SHAPE, count=24)}
    for name in ("mixed", "builtin", "cells", "leaves", "crops", "validation"):
        assert not held_out & {p.id for p in open_source(name, SHAPE, count=24)}


def test_the_phase_range_scales_the_phase() -> None:
    small, large = (
        open_source("cells", SHAPE, count=1, phase_range_rad=phase_range_rad)[0].phase_rad for phase_range_rad in (1.0, 3.0)
    )
    np.testing.assert_allclose(large, 3 * small, rtol=1e-6)


def test_blank_is_flat_and_zero() -> None:
    assert not blank(SHAPE).phase_rad.any()
    assert open_source("blank", SHAPE, count=2)[1].id == blank(SHAPE).id


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_folder_of_any_image_type_is_read_and_repeats(tmp_path: Path, dtype: type, channels: int) -> None:
    top = np.iinfo(dtype).max
    for k, value in enumerate((0, 0.5, 1)):
        image = np.full((60, 80, channels), round(value * top), dtype)
        if channels == 4:
            image[..., 3] = top // 3  # transparency must not change the phase
        assert cv2.imwrite(str(tmp_path / f"{k}.png"), image.squeeze())
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_source(str(tmp_path), SHAPE, count=5, phase_range_rad=1.0)
    means = [float(source[k].phase_rad.mean()) for k in range(5)]
    assert means == pytest.approx([0, 0.5, 1, 0, 0.5], abs=3e-3)
    assert source[0].name == "0.png"


@given(height=st.integers(5, 90), width=st.integers(5, 90), rows=st.integers(4, 40), columns=st.integers(4, 40))
def test_grey_keeps_the_range_and_the_aspect_ratio(height: int, width: int, rows: int, columns: int) -> None:
    y, x = np.mgrid[:height, :width]
    centre = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) <= min(height, width) / 4
    grey = to_grey((centre * 255).astype(np.uint8), (rows, columns))
    assert grey.shape == (rows, columns)
    assert grey.dtype == np.float32
    assert 0 <= grey.min() <= grey.max() <= 1
    if min(height, width, rows, columns) >= 24:  # the disc stays in the middle
        mass = grey.sum()
        assert abs((grey.sum(1) * np.arange(rows)).sum() / mass - (rows - 1) / 2) < 1.5
        assert abs((grey.sum(0) * np.arange(columns)).sum() / mass - (columns - 1) / 2) < 1.5


def test_a_file_that_is_not_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(PatternError, match=r"cannot read .*broken\.png"):
        read_grey(tmp_path / "broken.png", SHAPE)
    source = open_source(str(tmp_path), SHAPE, count=1)
    with pytest.raises(PatternError, match=r"broken\.png"):
        source[0]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no-such-thing", {}, "no pattern source or folder named 'no-such-thing'; use one of"),
        ("cells", {"count": 0}, "holds 0 patterns"),
        ("cells", {"phase_range_rad": 0.0}, "the phase range must lie in"),
        ("cells", {"phase_range_rad": float("nan")}, "the phase range must lie in"),
    ],
)
def test_wrong_arguments_are_refused(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        open_source(name, SHAPE, **options)  # type: ignore[arg-type]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PatternError, match="holds no image"):
        open_source(str(tmp_path), SHAPE)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_the_source_is_refused(index: int) -> None:
    with pytest.raises(IndexError):
        open_source("cells", SHAPE, count=3)[index]
