"""``specklescope import``: what a dry run tells, and each refusal leads to the option with which the same file comes in."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.archive.reader import Archive
from tests.helpers.command import refused, run_here

SPECKLE = np.random.default_rng(0).integers(0, 256, (5, 24, 32)).astype(np.uint8)
TRUTH_RAD = np.random.default_rng(1).uniform(0, 2.6, (5, 24, 32))
TRUTH_RAD[0] = 0
RANGE = ("--phase-range-rad", 2.6)


def save(folder: Path, phase: np.ndarray, speckle: np.ndarray = SPECKLE) -> Path:
    np.savez(folder / "x.npz", speckle=speckle, phase=phase)
    return folder / "x.npz"


def imported(folder: Path, *options: object) -> Archive:
    run_here("import", folder / "x.npz", *options, "--json", "i.json", cwd=folder)
    return Archive.open(Path(folder / json.loads((folder / "i.json").read_text())["path"]))


def test_a_dry_run_shows_everything_and_writes_nothing(tmp_path: Path) -> None:
    save(tmp_path, TRUTH_RAD)
    before = set(tmp_path.iterdir())
    shown = run_here("import", "x.npz", *RANGE, "--dry-run", cwd=tmp_path)
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "logs", tmp_path / "cache"}
    for text in (
        "5x24x32 (N, H, W)",
        "counts",
        "rad (assumed)",
        "2.6",
        "axes of",
        "1 (by their flat phase)",
        "none (--period-s",
    ):
        assert text in shown
    assert run_here("import", "x.npz", *RANGE, "--check", cwd=tmp_path) == shown, "the older name"


def test_the_sheet_shows_the_pairs(tmp_path: Path) -> None:
    save(tmp_path, TRUTH_RAD)
    run_here("import", "x.npz", *RANGE, "--dry-run", "--sheet", "sheet.png", cwd=tmp_path)
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    assert sheet is not None
    assert sheet.shape[0] > 5 * 24
    expected = np.kron(SPECKLE[1], np.ones((5, 5)))
    score = cv2.matchTemplate(sheet, expected.astype(np.uint8), cv2.TM_CCOEFF_NORMED)
    assert score.max() > 0.95, "the second speckle is drawn upright"
    assert "let it end in .png" in refused("import", "x.npz", *RANGE, "--dry-run", "--sheet", "sheet.jpg", cwd=tmp_path)


@pytest.mark.parametrize(
    ("stored", "names", "way_in"),
    [
        (np.round(TRUTH_RAD / 2.6 * 255).astype(np.uint8), "--phase-unit", ("--phase-unit", "levels")),
        (np.round(TRUTH_RAD / 2.6 * 65535).astype(np.uint16), "--phase-unit", ("--phase-unit", "levels")),
        (
            np.round(TRUTH_RAD / 2.6 * 1023).astype(np.int16),
            "--phase-unit",
            ("--phase-unit", "levels", "--phase-white", 1023),
        ),
        (np.degrees(TRUTH_RAD), "--phase-unit", ("--phase-unit", "deg")),
        ((TRUTH_RAD / 2.6 * 100).astype(np.float32), "--phase-unit", ("--phase-unit", "percent")),
        (np.exp(1j * TRUTH_RAD), "--phase-unit", ("--phase-unit", "rad")),
        (np.where(TRUTH_RAD > 2.599, np.nan, TRUTH_RAD), "--phase-fill", ("--phase-fill", 2.6)),
    ],
    ids=["8 bits", "16 bits", "10 bits", "degrees", "percent", "complex", "NaN"],
)
def test_a_refused_phase_comes_in_with_the_option_that_the_refusal_names(
    tmp_path: Path, stored: np.ndarray, names: str, way_in: tuple[object, ...]
) -> None:
    save(tmp_path, stored)
    assert names in refused("import", "x.npz", *RANGE, cwd=tmp_path)
    archive = imported(tmp_path, *RANGE, *way_in)
    for index, truth in enumerate(TRUTH_RAD):
        np.testing.assert_allclose(archive.read("phase", index), truth, atol=0.006, rtol=0)
    assert archive.row(0).pattern_name == "blank"


def test_a_refused_speckle_comes_in_with_the_option_that_the_refusal_names(tmp_path: Path) -> None:
    save(tmp_path, TRUTH_RAD, SPECKLE / 255)
    assert "--speckle-white" in refused("import", "x.npz", *RANGE, cwd=tmp_path)
    archive = imported(tmp_path, *RANGE, "--speckle-white", 1, "--bit-depth", 8)
    np.testing.assert_array_equal(archive.read("speckle", 2), SPECKLE[2])
    assert archive.metadata["bit_depth"] == 8


def test_arrays_of_other_names_and_axes(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.moveaxis(SPECKLE, 0, -1), b=np.moveaxis(TRUTH_RAD, 0, -1))
    assert "--speckle NAME and --phase NAME" in refused("import", "x.npz", *RANGE, cwd=tmp_path)
    archive = imported(tmp_path, *RANGE, "--speckle", "a", "--phase", "b", "--axes", "HWN", "--period-s", 0.02)
    np.testing.assert_array_equal(archive.read("speckle", 4), SPECKLE[4])
    assert archive.row(4).t_ns == 80_000_000


def test_a_coloured_label_names_the_option_with_which_it_comes_in(tmp_path: Path) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    for folder, image in (("input", SPECKLE[0]), ("label", colours)):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / "pairs" / folder / "a.png"), image)
    assert "label/a.png: it is coloured; give --to-grey" in refused("import", "pairs", *RANGE, cwd=tmp_path)
    run_here("import", "pairs", *RANGE, "--to-grey", "--json", "i.json", cwd=tmp_path)
    archive = Archive.open(tmp_path / json.loads((tmp_path / "i.json").read_text())["path"])
    np.testing.assert_array_equal(archive.read("label", 0), np.round(colours.mean(-1)))
    assert any("1 pictures are coloured" in note for note in archive.metadata["import_notes"])


def test_a_file_with_a_name_of_emoji_is_imported_under_a_plain_name(tmp_path: Path) -> None:
    save(tmp_path, TRUTH_RAD)
    (tmp_path / "x.npz").rename(tmp_path / "\N{MICROSCOPE}.npz")
    run_here("import", "\N{MICROSCOPE}.npz", *RANGE, "--json", "i.json", cwd=tmp_path)
    assert "_dataset_imported_" in json.loads((tmp_path / "i.json").read_text())["path"]
