"""Pattern sources: the same arguments give the same patterns, and wrong arguments are named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from acquisition.patterns.source_name import PatternError
from acquisition.patterns.sources import (
    TEST_IMAGES,
    TRAINING_IMAGES,
    VALIDATION_IMAGES,
    blank,
    open_source,
    to_grey,
)

SHAPE = (48, 48)
NAMES = ("builtin", "cells", "leaves", "crops", "mixed", "lone-cells", "leaves+cells", "held-out", "validation")


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


def test_sources_joined_by_a_plus_take_turns(tmp_path: Path) -> None:
    joined = open_source("leaves+cells", SHAPE, count=5, seed=3)
    leaves, cells = (open_source(name, SHAPE, count=3, seed=3) for name in ("leaves", "cells"))
    assert [pattern.id for pattern in joined] == [each.id for each in (leaves[0], cells[0], leaves[1], cells[1], leaves[2])]
    with pytest.raises(PatternError, match="no pattern source or folder named 'leafs'"):
        open_source("leafs+cells", SHAPE)
    folder = tmp_path / "a+b"
    folder.mkdir()
    Image.new("L", (32, 32), 128).save(folder / "one.png")
    assert open_source(str(folder), SHAPE, count=1)[0].name == "one.png", "the name of a folder may hold a plus"


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
            image[..., 3] = top
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
    source = open_source(str(tmp_path), SHAPE, count=1)
    for read in (lambda: source[0], source.check):
        with pytest.raises(PatternError, match=r"cannot read .*broken\.png"):
            read()


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
    with pytest.raises(PatternError, match="holds no picture"):
        open_source(str(tmp_path), SHAPE)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_outside_the_source_is_refused(index: int) -> None:
    with pytest.raises(IndexError):
        open_source("cells", SHAPE, count=3)[index]


def test_float_pictures_need_a_range_and_lose_nothing_in_it(tmp_path: Path) -> None:
    y, x = np.mgrid[:48, :48]
    truth = ((x + y) / 94).astype(np.float32)
    for name, low, high in (("radians", 0.0, 2.85), ("imagej", 0.0, 255.0), ("wrapped", -3.0, 3.0)):
        folder = tmp_path / name
        folder.mkdir()
        tifffile.imwrite(folder / "a.tif", low + truth * np.float32(high - low))
        with pytest.raises(PatternError, match=rf"nothing says which is white.*{name}\?black=.*&white="):
            open_source(str(folder), SHAPE)[0]
        with pytest.raises(PatternError, match="outside black=0 to white=1"):
            open_source(f"{folder}?white=1", SHAPE).check()
        pattern = open_source(f"{folder}?black={low}&white={high}", SHAPE, phase_range_rad=2.0)[0]
        np.testing.assert_allclose(pattern.phase_rad, 2 * truth, atol=1e-5)


def test_counts_of_a_camera_with_12_bits_can_be_given_their_white(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 48), 4095, np.uint16))
    assert open_source(f"{tmp_path}?white=4095", SHAPE, phase_range_rad=1.0)[0].phase_rad.min() == 1.0


def test_pages_of_a_stack_are_patterns_in_the_order_of_numbers(tmp_path: Path) -> None:
    levels = {"10.TIF": (40, 50), "9.tif": (10, 20, 30)}
    for name, values in levels.items():
        stack = np.stack([np.full(SHAPE, value, np.uint8) for value in values])
        tifffile.imwrite(tmp_path / name, stack, photometric="minisblack")
    for name in ("Thumbs.db", "desktop.ini", "._9.tif", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    source = open_source(str(tmp_path), SHAPE, count=5, phase_range_rad=255.0 / 100)
    assert [round(float(source[k].phase_rad.mean()) * 100) for k in range(5)] == [10, 20, 30, 40, 50]
    assert [source[k].name for k in range(5)] == ["9.tif", "9.tif#1", "9.tif#2", "10.TIF", "10.TIF#1"]


def test_a_folder_named_like_a_built_in_source_is_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells").mkdir()
    cv2.imwrite("cells/a.png", np.full(SHAPE, 255, np.uint8))
    assert open_source("cells", SHAPE)[0].name.startswith("cells-")
    assert "'cells' is the built-in pattern source; write './cells'" in caplog.text
    assert open_source("./cells", SHAPE)[0].name == "a.png"


def test_the_check_of_a_folder_tells_how_coloured_and_transparent_pictures_become_grey(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    opacity = np.where(np.arange(8) < 4, 0, 255)[None, :, None].repeat(8, 0).astype(np.uint8)
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "0.png")
    Image.fromarray(colours).save(tmp_path / "1.bmp")
    Image.fromarray(np.dstack([colours, opacity])).save(tmp_path / "2.png")
    source = open_source(str(tmp_path), (8, 8), count=3, phase_range_rad=2.55)
    source.check()
    assert [record.getMessage() for record in caplog.records] == [
        f"2 pictures are coloured; the mean of the channels counts; the first is {tmp_path / '1.bmp'}",
        f"1 pictures are transparent in places; these parts count as black; the first is {tmp_path / '2.png'}",
    ]
    np.testing.assert_allclose(source[1].phase_rad, np.round(colours.mean(-1)) / 100, rtol=1e-5)
    np.testing.assert_allclose(source[2].phase_rad, np.round(colours.mean(-1) * (opacity[..., 0] / 255)) / 100, rtol=1e-5)
