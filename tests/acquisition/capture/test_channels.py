"""Colour frames pass through camera, acquisition, archive and replay unchanged; a run that was stopped goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.recorded_frames import RecordedFrames
from acquisition.archive.writer import Archive, ArchiveWriter
from acquisition.capture.certificate import certify
from acquisition.capture.dark_frame import dark_frame
from acquisition.capture.pair_capture import PairCapture
from acquisition.capture.preflight import estimate
from acquisition.capture.runner import acquire
from drivers.base import TriggerMode
from drivers.camera_settings import Roi, SettingName
from drivers.clock import VirtualClock
from drivers.recorded.replay import ReplayCamera
from drivers.twin.imaging.bright_field import BrightFieldOptics
from drivers.twin.imaging.chromatic_defocus import COLOURS, ChromaticConfig
from tests.helpers.virtual_bench import PX, VirtualBench
from tests.helpers.virtual_dataset import PLAN as FIBRE_PLAN
from tests.helpers.virtual_dataset import acquired

#: A flat sample shows nothing in bright field, so no frame is compared with it.
PLAN = FIBRE_PLAN.model_copy(update={"min_reference_correlation": -1.0, "min_frame_correlation": -1.0})


def colour_bench() -> VirtualBench:
    return VirtualBench(optics=BrightFieldOptics(ChromaticConfig(wavelengths=5, defocus_um=(-3.0, 0.5, 3.0)), PX))


def test_a_colour_dataset_is_acquired_stopped_resumed_certified_and_replayed(tmp_path: Path) -> None:
    path, _ = acquired(tmp_path, pairs=5, bench=colour_bench(), plan=PLAN)
    with ArchiveWriter.resume(path) as writer:
        acquire(colour_bench().rig, PLAN, writer)
    archive = Archive.open(path)
    assert len(archive) == len(PLAN)
    assert archive.spec("speckle").shape == (3, PX, PX)
    assert archive.metadata["channels"] == list(COLOURS)
    assert archive.verify().ok
    assert certify(archive).pairs == len(PLAN)
    with ReplayCamera(RecordedFrames.open(path), period_s=0.02, clock=VirtualClock()) as camera:
        assert camera.capabilities.channels == COLOURS
        assert camera.capabilities.frame_shape == (3, PX, PX)
        camera.arm(TriggerMode.FREE_RUN)
        for index in range(3):
            frame = camera.read(1.0)
            np.testing.assert_array_equal(frame.pixels, archive.read("speckle", index))
            assert (frame.shape, frame.channels) == ((PX, PX), 3)


def test_each_colour_sees_the_sample_at_its_own_distance(tmp_path: Path) -> None:
    path, _ = acquired(tmp_path, pairs=4, bench=colour_bench(), plan=PLAN)
    archive = Archive.open(path)
    red, green, blue = archive.read("speckle", 2).astype(float)
    assert np.corrcoef(red.ravel() - green.mean(), blue.ravel() - green.mean())[0, 1] < 0, "one before, one behind the focus"
    assert green.std() < 0.7 * red.std()


def test_space_and_dark_frame_count_all_channels() -> None:
    grey, colour = VirtualBench().rig, colour_bench().rig
    bytes_of = {name: estimate(rig, PLAN, Path()).bytes_raw for name, rig in (("grey", grey), ("colour", colour))}
    assert bytes_of["colour"] - bytes_of["grey"] == 2 * PX * PX * len(PLAN)
    assert dark_frame(PairCapture(colour), colour, 2).shape == (3, PX, PX)


@pytest.mark.parametrize("binning", [1, 2])
def test_region_and_binning_act_on_all_channels(binning: int) -> None:
    camera = colour_bench().camera
    camera.change_setting(SettingName.BINNING, binning)
    camera.change_setting(SettingName.ROI, Roi(x=4, y=8, width=16, height=20))
    camera.arm(TriggerMode.SOFTWARE)
    camera.trigger()
    frame = camera.read(1.0)
    assert frame.pixels.shape == camera.capabilities.frame_shape == (3, 20, 16)
