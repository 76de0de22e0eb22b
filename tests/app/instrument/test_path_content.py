"""What a file or folder is follows from its content; what cannot be opened is refused in a sentence."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from app.instrument.config import ConfigError
from app.instrument.path_content import ContentKind, PathContent, PathContentError, sole_content
from app.instrument.responses import SHIPPED_RESPONSES
from calibration.stored import Stored, save
from reconstruction.models.model import CARD, DEFAULT_MODEL, SHIPPED, WEIGHTS
from tests.conftest import ROOT

OLD = ROOT / "tests" / "fixtures" / "version-0.1.0"
MODEL = SHIPPED / DEFAULT_MODEL
RESPONSE = next(file.parent for file in SHIPPED_RESPONSES.glob("*/calibration.yaml"))


def archive(folder: Path) -> Path:
    """Copy an archive under a name that says nothing."""
    source = next(file.parent for file in OLD.glob("**/journal.sqlite"))
    return Path(shutil.copytree(source, folder / "anything"))


@pytest.mark.parametrize("part", ["", "journal.sqlite"])
def test_an_archive_is_one_whatever_its_name(tmp_path: Path, part: str) -> None:
    folder = archive(tmp_path)
    assert sole_content([folder / part]) == PathContent(ContentKind.ARCHIVE, folder)


@pytest.mark.parametrize("part", ["", CARD, WEIGHTS])
def test_a_model_is_its_folder_or_one_of_its_files(part: str) -> None:
    assert sole_content([MODEL / part]) == PathContent(ContentKind.MODEL, MODEL)


def test_an_instrument_is_a_yaml_file_that_can_be_read_or_a_folder_with_one(tmp_path: Path) -> None:
    file = tmp_path / "instrument.yaml"
    file.write_text("name: bench 3\n")
    expected = PathContent(ContentKind.INSTRUMENT, file)
    assert sole_content([file]) == expected == sole_content([tmp_path])
    other = tmp_path / "other.yml"
    other.write_text("fibr: x\n")
    with pytest.raises(ConfigError, match="fibre"):
        sole_content([other])


def test_a_fibre_response_is_used_and_other_calibrations_say_why_not(tmp_path: Path) -> None:
    assert sole_content([RESPONSE / "calibration.yaml"]) == PathContent(ContentKind.RESPONSE, RESPONSE)
    folder = save(Stored("phase LUT", {}, {}), tmp_path / "lut")
    with pytest.raises(PathContentError, match="'phase LUT'"):
        sole_content([folder])
    (folder / "calibration.yaml").write_text("- 1\n")
    with pytest.raises(PathContentError, match="calibrate again"):
        sole_content([folder])


def test_a_picture_is_one_by_its_content(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(pixels).save(tmp_path / "dots.png")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([pixels] * 3), photometric="minisblack")
    unnamed = tmp_path / "unnamed"
    shutil.copy(tmp_path / "dots.png", unnamed)
    for file in (tmp_path / "dots.png", tmp_path / "stack.tif", unnamed):
        assert sole_content([file]) == PathContent(ContentKind.PICTURE, file)
    cut = tmp_path / "cut.png"
    cut.write_bytes(b"not a picture")
    with pytest.raises(PathContentError, match=r"cannot read .*cut\.png as a picture"):
        sole_content([cut])


def test_everything_else_says_what_can_be_opened(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0" * 100)
    empty = tmp_path / "empty"
    empty.mkdir()
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(MODEL / CARD, half)
    for path in (film, empty, half, half / CARD):
        with pytest.raises(PathContentError, match=r"cannot be opened here; choose an instrument file .*picture"):
            sole_content([path])


@pytest.mark.parametrize("count", [0, 2])
def test_one_thing_is_opened_at_a_time(count: int) -> None:
    with pytest.raises(PathContentError, match=f"got {count}; choose an instrument file"):
        sole_content([MODEL] * count)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, reason in (
        (tmp_path / "gone.png", "No such file"),
        (loop, "symbolic links"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        with pytest.raises(PathContentError, match=rf"{reason}.*check the path and its permissions"):
            sole_content([path])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PathContentError, match="cannot be opened here"):
        sole_content([tmp_path / "pipe.png"])


def test_what_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser may read everything, so the system's answer is given in its place."""
    file = tmp_path / "dots.png"
    file.write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "iterdir", refuse)
    for path in (file, tmp_path):
        with pytest.raises(PathContentError, match=r"\(Permission denied\)"):
            sole_content([path])
