"""Instruments of real devices, as far as a computer without any can have them: files, windows on virtual monitors, pylon."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from acquisition.archive.writer import Archive
from app.instrument.config import InstrumentConfig, checked
from app.live.session import Session
from drivers.base import DeviceError
from reconstruction.models.model import Model
from tests.helpers.small_instrument import small_model, until


@pytest.fixture
def video(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "speckle.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (128, 128))
    for _ in range(10):
        writer.write(cv2.merge([rng.integers(0, 256, (128, 128), dtype=np.uint8)] * 3))
    writer.release()
    return path


def looking(video: Path, root: Path, model: Model, **more: object) -> InstrumentConfig:
    settings: dict[str, object] = {"camera": "opencv", "slm": "none", "opencv": {"source": str(video)}}
    settings |= {"model": str(root / model.card.name), "archive": root / "archive", "live": {"engine": "torch"}}
    return checked(settings | more, "test")


def test_a_fibre_without_a_model_is_looked_at_and_recorded(tmp_path: Path, video: Path) -> None:
    config = looking(video, tmp_path, small_model(tmp_path / "other-fibre"))
    with Session.open(config) as session:
        assert session.model is None
        (message,) = session.pop_messages()
        assert "was trained for fibre" in message.text
        assert message.level == "warning"
        assert session.field_um == 128 * config.pixel_um
        views = []
        session.watch(views.append)
        session.start_live()
        until(lambda: views)
        session.start_recording("looked at")
        until(lambda: session.recording_status().frames_recorded > 60)
        folder = session.poll_view() and session.snapshot()
        session.stop_recording()
        until(lambda: not session.recording_status().active)
        with pytest.raises(DeviceError, match="no SLM"):
            session.start_acquisition("pairs", 10, "cells")
        take = session.recording_status()
        assert take.verdict == "complete"
        assert all(view.reconstruction is None for view in views)
        assert session.live_status().model_name == "none for this fibre"
        assert any("the first 8 frames are the reference" in message.text for message in session.pop_messages())
    if folder:
        assert [file.name for file in folder.iterdir()] == ["speckle.png"]
    assert take.path is not None
    archive = Archive.open(take.path)
    assert archive.verify().ok
    assert archive.metadata["model_id"] == ""
    assert {row.engine for row in archive.rows()} == {"none"}


def test_a_fibre_with_its_model_is_reconstructed_without_an_slm(tmp_path: Path, video: Path) -> None:
    model = small_model(tmp_path / "this-fibre")
    with Session.open(looking(video, tmp_path, model, fibre=model.card.fibre)) as session:
        assert session.model is not None
        session.start_live()
        seen = []
        session.watch(seen.append)
        until(lambda: seen)
        assert seen[0].reconstruction is not None
        assert seen[0].truth_rad is None


def test_a_take_is_a_camera(tmp_path: Path, video: Path) -> None:
    with Session.open(looking(video, tmp_path, small_model(tmp_path / "other-fibre"))) as session:
        session.start_live()
        until(lambda: session.poll_view())
        session.start_recording("recording")
        until(lambda: session.recording_status().frames_recorded > 5)
        session.join()
        path = session.recording_status().path
    assert path is not None
    archive = Archive.open(path)
    recorded = {archive.read("speckle", index).tobytes() for index in range(len(archive))}
    config = looking(video, tmp_path, small_model(tmp_path / "other-fibre"), camera="replay", replay={"path": path})
    with Session.open(config) as session:
        frames = []
        session.watch(lambda view: frames.append(view.frame))
        session.start_live()
        until(lambda: frames)
    assert all(frame.pixels.tobytes() in recorded for frame in frames)
