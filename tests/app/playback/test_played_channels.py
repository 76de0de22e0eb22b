"""A colour dataset is played, listed and drawn: every channel as it was captured, their mean where one picture is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acquisition.archive.reader import Archive
from app.datasets.quality_report import contact_sheet_of
from app.library.description import describe
from app.library.folder_reader import read_entry
from app.library.thumbnails import Thumbnails
from app.live.frame_judge import FrameJudge
from app.live.snapshot import write_snapshot
from app.playback.played_archive import PlayedArchive
from drivers.base import Frame
from drivers.pictures import read_picture
from drivers.twin.imaging.bright_field import BrightFieldOptics
from drivers.twin.imaging.chromatic_defocus import ChromaticConfig
from tests.helpers.virtual_bench import PX, VirtualBench
from tests.helpers.virtual_dataset import PLAN, acquired


def colour_dataset(root: Path) -> Path:
    optics = BrightFieldOptics(ChromaticConfig(wavelengths=3, defocus_um=(-3.0, 0.0, 3.0)), PX)
    plan = PLAN.model_copy(update={"min_reference_correlation": -1.0, "min_frame_correlation": -1.0})
    return acquired(root, pairs=3, bench=VirtualBench(optics=optics), plan=plan)[0]


def test_every_channel_is_played_and_their_mean_is_shown(tmp_path: Path) -> None:
    path = colour_dataset(tmp_path)
    played, stored = PlayedArchive(path).load(1), Archive.open(path).read("speckle", 1)
    frame = played.view.frame
    np.testing.assert_array_equal(frame.pixels, stored)
    assert frame.grey.shape == frame.shape == (PX, PX)
    assert frame.grey.dtype == np.uint8
    np.testing.assert_allclose(frame.grey, stored.mean(0), atol=0.5001)
    assert contact_sheet_of(Archive.open(path)).std() > 5


def test_it_has_a_thumbnail_and_its_channels_are_named(tmp_path: Path) -> None:
    entry = read_entry(colour_dataset(tmp_path / "archive"))
    picture = Thumbnails(tmp_path / "cache").of(entry)
    assert picture is not None
    assert any(f"speckle {PX} x {PX} x 3 channels" in str(fact) for fact in describe(entry, {}))


def test_a_snapshot_has_a_file_for_each_channel(tmp_path: Path) -> None:
    view = PlayedArchive(colour_dataset(tmp_path / "archive")).load(1)
    folder = write_snapshot(tmp_path / "snapshots", view.overlay)
    for number, expected in enumerate(view.view.frame.pixels, 1):
        np.testing.assert_array_equal(read_picture(folder / f"speckle_{number}.png").pixels, expected)


def test_frames_with_channels_are_judged(tmp_path: Path) -> None:
    judge = FrameJudge()
    reference = np.full((3, PX, PX), 40, np.float32) + np.random.default_rng(1).normal(0, 9, (3, PX, PX)).astype(np.float32)
    judge.set_reference(reference)
    same = judge(Frame(reference.clip(0, 255).astype(np.uint8), 0, 0, 0.01))
    dark = judge(Frame(np.zeros((3, PX, PX), np.uint8), 1, 1, 0.01))
    assert (same.readable, dark.readable) == (True, False)
