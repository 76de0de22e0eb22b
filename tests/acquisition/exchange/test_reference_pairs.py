"""References are read from a folder in the published layout, without ever opening the frame's own label."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.exchange.import_source import PairImportError
from acquisition.exchange.reference_pairs import MOST, ReferencePairs, read_frame, read_references

NAMES = ("00001", "00002", "00003")


def write(path: Path, image: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Three pairs, frames of 12 x 10 and labels of 8 x 8."""
    for name in NAMES:
        write(tmp_path / "input" / f"{name}.png", rng.integers(0, 256, (12, 10), dtype=np.uint8))
        write(tmp_path / "label" / f"{name}.png", rng.integers(0, 256, (8, 8), dtype=np.uint8))
    return tmp_path


def read(folder: Path, frame_path: Path = Path("elsewhere.png"), phase_range_rad: float | None = 2.0) -> ReferencePairs:
    frame = read_frame(frame_path) if frame_path.exists() else np.zeros((12, 10), np.uint8)
    return read_references(folder, phase_range_rad, frame_path, frame)


def test_pairs_come_in_order_and_in_radians(folder: Path) -> None:
    pairs = read(folder)
    assert pairs.names == NAMES
    assert pairs.skipped == ()
    for name, frame, phase in zip(NAMES, pairs.frames, pairs.phases_rad, strict=True):
        assert np.array_equal(frame, read_frame(folder / "input" / f"{name}.png"))
        label = cv2.imread(str(folder / "label" / f"{name}.png"), -1)
        assert label is not None
        np.testing.assert_allclose(phase, label / 255 * 2.0, rtol=1e-5)
        assert phase.dtype == np.float32


def test_sixteen_bit_frames_are_read_and_hidden_files_ignored(folder: Path, rng: np.random.Generator) -> None:
    for name in NAMES:
        write(folder / "input" / f"{name}.png", rng.integers(0, 4096, (12, 10), dtype=np.uint16))
    (folder / "input" / "._00001.png").write_bytes(b"some systems leave these behind")
    pairs = read(folder)
    assert pairs.names == NAMES
    assert all(frame.dtype == np.uint16 for frame in pairs.frames)


def test_sixteen_bit_labels_use_all_their_levels(folder: Path, rng: np.random.Generator) -> None:
    for name in NAMES:
        write(folder / "label" / f"{name}.png", rng.integers(0, 65536, (8, 8), dtype=np.uint16))
    label = cv2.imread(str(folder / "label" / "00001.png"), -1)
    assert label is not None
    np.testing.assert_allclose(read(folder).phases_rad[0], label / 65535 * 2.0, rtol=1e-5)
    for name in NAMES:
        write(folder / "label" / f"{name}.png", rng.integers(0, 256, (8, 8), dtype=np.uint16))
    refused(folder, "use only the lowest levels")


def test_references_may_be_tiff_with_names_in_capitals(folder: Path, rng: np.random.Generator) -> None:
    for name in NAMES:
        (folder / "input" / f"{name}.png").rename(folder / "input" / f"{name}.PNG")
        (folder / "label" / f"{name}.png").unlink()
        write(folder / "label" / f"{name}.TIF", rng.uniform(0, 2, (8, 8)).astype(np.float32))
    pairs = read(folder)
    assert pairs.names == NAMES
    np.testing.assert_array_equal(pairs.phases_rad[1], cv2.imread(str(folder / "label" / "00002.TIF"), -1))


@pytest.mark.parametrize("spoilt", ["garbage", "a directory", "missing"])
@pytest.mark.parametrize("same", ["name", "pixels"])
def test_the_frames_own_label_is_never_opened(folder: Path, tmp_path: Path, spoilt: str, same: str) -> None:
    label = folder / "label" / "00002.png"
    label.unlink()
    if spoilt == "garbage":
        label.write_bytes(b"garbage")
    elif spoilt == "a directory":
        label.mkdir()
    frame_path = folder / "input" / "00002.png"
    if same == "pixels":
        frame_path = tmp_path / "renamed.png"
        frame_path.write_bytes((folder / "input" / "00002.png").read_bytes())
    pairs = read(folder, frame_path)
    assert pairs.names == ("00001", "00003")
    assert pairs.skipped == ("00002",)


def test_a_frame_of_the_same_name_in_another_folder_counts_as_its_own(folder: Path, tmp_path: Path) -> None:
    # Another export of the same capture may have other pixels. One reference less is better than using the known answer.
    write(tmp_path / "other" / "00003.png", np.full((12, 10), 7, np.uint8))
    assert read(folder, tmp_path / "other" / "00003.png").skipped == ("00003",)


def test_a_folder_may_hold_no_reference(folder: Path) -> None:
    for name in NAMES[1:]:
        (folder / "input" / f"{name}.png").unlink()
    pairs = read(folder, folder / "input" / "00001.png")
    assert (pairs.names, pairs.frames, pairs.skipped) == ((), (), ("00001",))


def test_the_phase_range_is_given_or_stated_in_the_folder(folder: Path) -> None:
    with pytest.raises(PairImportError, match="--phase-range-rad"):
        read(folder, phase_range_rad=None)
    (folder / "metadata.yaml").write_text("phase_range_rad: 1.25\n")
    label = cv2.imread(str(folder / "label" / "00001.png"), -1)
    assert label is not None
    np.testing.assert_allclose(read(folder, phase_range_rad=None).phases_rad[0], label / 255 * 1.25, rtol=1e-5)
    np.testing.assert_allclose(read(folder, phase_range_rad=3.0).phases_rad[0], label / 255 * 3.0, rtol=1e-5)
    for useless in (
        "phase_range_rad: -1\n",
        "phase_range_rad: .nan\n",
        "phase_range_rad: [1\n",
        "- 1\n",
        "phase_range_rad: much\n",
    ):
        (folder / "metadata.yaml").write_text(useless)
        with pytest.raises(PairImportError, match="--phase-range-rad"):
            read(folder, phase_range_rad=None)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(PairImportError, match=match) as error:
        read(folder)
    assert "\n" not in str(error.value)


def test_what_is_wrong_is_named(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no input/")
    good = (folder / "label" / "00002.png").read_bytes()
    (folder / "label" / "00002.png").unlink()
    refused(folder, r"label/00002\.png: No such file")
    (folder / "label" / "00002.png").write_bytes(good[:-20])
    refused(folder, r"label/00002\.png: it is truncated")
    (folder / "label" / "00002.png").write_bytes(good[:50] + bytes([good[50] ^ 1]) + good[51:])
    refused(folder, r"label/00002\.png: it is damaged")
    write(folder / "label" / "00002.png", np.zeros((8, 8), np.uint16))
    refused(folder, r"label/00002\.png is uint16, not uint8")
    write(folder / "label" / "00002.png", np.zeros((8, 9), np.uint8))
    refused(folder, r"label/00002\.png is \(8, 9\), not \(8, 8\)")
    (folder / "label" / "00002.png").write_bytes(good)
    write(folder / "input" / "00003.png", np.zeros((10, 10), np.uint8))
    refused(folder, r"input/00003\.png is \(10, 10\), not \(12, 10\)")
    write(folder / "input" / "00003.png", np.arange(360, dtype=np.uint8).reshape(12, 10, 3))
    refused(folder, r"input/00003\.png: it is coloured")


def test_a_file_that_is_not_a_frame_is_refused(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "gone.png", "No such file"), (tmp_path, "directory")):
        with pytest.raises(PairImportError, match=message):
            read_frame(path)
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(PairImportError, match=r"a\.png: it is no TIFF, PNG"):
        read_frame(tmp_path / "a.png")


def test_of_many_pairs_those_most_like_the_frame_are_used(tmp_path: Path, rng: np.random.Generator) -> None:
    frame = rng.integers(0, 200, (64, 64)).astype(np.uint8)
    for folder in ("input", "label"):
        (tmp_path / folder).mkdir()
    for number in range(12):
        noise = rng.normal(0, 5 + 10 * number, frame.shape)
        speckle = np.clip(frame + noise, 0, 255).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / "input" / f"{number:02}.png"), speckle)
        if number < MOST:  # the labels of the others are not opened: they may be missing
            assert cv2.imwrite(str(tmp_path / "label" / f"{number:02}.png"), speckle)
    pairs = read_references(tmp_path, 2.6, Path("frame.png"), frame)
    assert pairs.names == tuple(f"{number:02}" for number in range(MOST))
