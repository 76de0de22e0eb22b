"""Instruments of real devices, as far as a computer without any can have them: video files, virtual monitors, pylon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import FinishReason
from acquisition.archive.reader import Archive
from app.instrument.config import InstrumentConfig, checked
from app.live.session import Session
from app.status import MessageLevel
from drivers.base import DeviceError
from drivers.testing.videos import write_video
from reconstruction.models.model import Model
from tests.helpers.small_instrument import small_model, until


@pytest.fixture
def video(tmp_path: Path, rng: np.random.Generator) -> Path:
    images = (np.repeat(rng.integers(0, 256, (128, 128, 1), dtype=np.uint8), 3, axis=2) for _ in range(10))
    return write_video(tmp_path / "speckle.avi", images, 50)


def camera_only(video: Path, root: Path, model: Model, **more: object) -> InstrumentConfig:
    settings: dict[str, object] = {"camera": "opencv", "slm": "none", "opencv": {"source": str(video)}}
    settings |= {"model": str(root / model.card.name), "archive": root / "archive", "live": {"engine": "torch"}}
    return checked(settings | more, "test")


def test_a_fibre_without_a_model_is_shown_and_recorded(tmp_path: Path, video: Path) -> None:
    config = camera_only(video, tmp_path, small_model(tmp_path / "other-fibre"))
    with Session.open(config) as session:
        assert session.model is None
        (message,) = session.pop_messages()
        assert "was trained for fibre" in message.text
        assert message.level is MessageLevel.WARNING
        assert session.field_um == 128 * config.pixel_um
        views = []
        session.watch(views.append)
        session.start_live()
        until(lambda: views)
        session.start_recording("camera only")
        until(lambda: session.recording_status().frames_recorded > 60)
        until(session.poll_view)
        folder = session.snapshot()
        session.stop_recording()
        until(lambda: not session.recording_status().active)
        with pytest.raises(DeviceError, match="no SLM"):
            session.start_acquisition("pairs", 10, "cells")
        recording = session.recording_status()
        assert recording.finish_reason is FinishReason.COMPLETED
        assert all(view.reconstruction is None for view in views)
        assert session.live_status().model_name == "none for this fibre"
        assert any("the first 8 frames are the reference" in message.text for message in session.pop_messages())
    assert sorted(file.name for file in folder.iterdir()) == ["metadata.yaml", "speckle.png"]
    assert recording.path is not None
    archive = Archive.open(recording.path)
    assert archive.verify().ok
    assert archive.metadata["model_id"] == ""
    assert {row.engine for row in archive.rows()} == {"none"}


def test_a_fibre_with_its_model_is_reconstructed_without_an_slm(tmp_path: Path, video: Path) -> None:
    model = small_model(tmp_path / "this-fibre")
    with Session.open(camera_only(video, tmp_path, model, fibre=model.card.fibre)) as session:
        assert session.model is not None
        session.start_live()
        views = []
        session.watch(views.append)
        until(lambda: views)
        assert views[0].reconstruction is not None
        assert views[0].truth_rad is None


def test_a_recording_is_a_camera(tmp_path: Path, video: Path) -> None:
    with Session.open(camera_only(video, tmp_path, small_model(tmp_path / "other-fibre"))) as session:
        session.start_live()
        until(session.poll_view)
        session.start_recording("recording")
        until(lambda: session.recording_status().frames_recorded > 5)
        session.join(end_recording=True)
        path = session.recording_status().path
    assert path is not None
    archive = Archive.open(path)
    recorded = {archive.read("speckle", index).tobytes() for index in range(len(archive))}
    config = camera_only(video, tmp_path, small_model(tmp_path / "other-fibre"), camera="replay", replay={"path": path})
    with Session.open(config) as session:
        frames = []
        session.watch(lambda view: frames.append(view.frame))
        session.start_live()
        until(lambda: frames)
    assert all(frame.pixels.tobytes() in recorded for frame in frames)
