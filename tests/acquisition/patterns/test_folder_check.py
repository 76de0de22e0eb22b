"""A folder of own pictures: how many patterns it gives, and what is ignored or cannot be shown, each with its reason."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from acquisition.patterns.folder_check import check_folder
from acquisition.patterns.source_name import PatternError


def write(file: Path, image: np.ndarray) -> None:
    file.write_bytes(cv2.imencode(file.suffix, image)[1].tobytes())


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    for number in range(3):
        write(tmp_path / f"image{number}.png", rng.integers(0, 255, (20, 30), dtype=np.uint8))
    return tmp_path


def test_every_page_is_a_pattern(folder: Path) -> None:
    tifffile.imwrite(folder / "stack.tif", np.zeros((4, 20, 30), np.uint8), photometric="minisblack")
    checked = check_folder(str(folder))
    assert (checked.patterns, checked.ignored, checked.unusable, checked.notes) == (7, (), (), ())


def test_what_is_no_picture_is_named_with_its_reason(folder: Path) -> None:
    (folder / "notes.txt").write_text("liver")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "more").mkdir()
    checked = check_folder(str(folder))
    assert checked.patterns == 3
    reasons = dict(checked.ignored)
    assert "no picture" in reasons["notes.txt"]
    assert "hidden" in reasons[".hidden.png"]
    assert "folders in folders" in reasons["more"]


def test_every_picture_that_cannot_be_shown_is_named(folder: Path) -> None:
    whole = (folder / "image0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(folder / "phase.tif", np.linspace(0, 3, 600, dtype=np.float32).reshape(20, 30))
    checked = check_folder(str(folder))
    assert checked.patterns == 3
    assert len(checked.unusable) == 2
    assert "cut.png" in checked.unusable[0]
    assert "nothing says which is white" in checked.unusable[1]
    stated = check_folder(f"{folder}?black=0&white=3")
    assert len(stated.unusable) == 4  # now the pictures of 0 to 255 are outside of black to white


def test_a_coloured_picture_is_told(folder: Path, rng: np.random.Generator) -> None:
    write(folder / "colour.png", rng.integers(0, 255, (20, 30, 3), dtype=np.uint8))
    assert check_folder(str(folder)).notes == ("1 pictures are coloured; the mean of the channels counts",)


def test_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PatternError, match=r"cannot be read.*choose another folder"):
        check_folder(str(tmp_path / "gone"))


def test_a_check_that_is_stopped_reads_no_further(folder: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert check_folder(str(folder), stop).patterns == 0
