"""A whole session on a small instrument: live, record, export, acquire, and what happens when parts fail."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from acquisition.archive.kinds import EventKind, FinishReason, RecordingEnd
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED
from acquisition.archive.recording_faults import RecordingFault, recording_facts
from acquisition.archive.writer import Archive
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from acquisition.exchange.export import export
from app.instrument.config import InstrumentConfig
from app.instrument.replayed import Replayed
from app.library.folder_reader import read_entry
from app.live import inference
from app.live.capture import LiveCapture
from app.live.frame_joiner import NOT_RECONSTRUCTED
from app.live.frame_judge import FrameJudge
from app.live.recordings.options import Credits, RecordingOptions
from app.live.segmentation import segmented
from app.live.session import Session, SessionError
from app.signals import InterruptionError
from app.status import LiveState, LiveStatus, LiveView, MessageLevel, Overlay, RecordingLength, RecordingState, StageName
from drivers.base import DeviceError, Frame, FrameMark
from drivers.safe_text import read_yaml
from drivers.twin.camera import FaultConfig, SimulatedCamera
from reconstruction.base import Reconstruction, ReconstructionError
from reconstruction.engines.choose import open_engine
from reconstruction.engines.fallback import FallbackEngine
from reconstruction.live.live_reconstructor import LATENCY_LABEL, LiveReconstructor
from tests.helpers.small_instrument import GRID_PX, small_instrument, small_mean_flow, until


def next_view(session: Session) -> LiveView:
    views: list[LiveView] = []

    def came() -> bool:
        view = session.poll_view()
        if view is not None:
            views.append(view)
        return bool(views)

    until(came)
    return views[0]


def frames_seen(session: Session, count: int) -> list[Frame]:
    """Poll the camera's picture until so many new ones came, and return them."""
    frames: list[Frame] = []
    until(lambda: frames.extend(filter(None, [session.poll_frame()])) or len(frames) >= count)
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    return frames


def errors_of(session: Session) -> list[str]:
    return [message.text for message in session.pop_messages() if message.level is MessageLevel.ERROR]


def test_live_views_join_a_frame_with_its_own_reconstruction(session: Session) -> None:
    session.start_live()
    views = [next_view(session) for _ in range(5)]
    for view in views:
        assert view.reconstruction.frame_index == view.frame.index
        assert view.reconstruction.phase_rad.shape == (GRID_PX, GRID_PX)
        assert view.reconstruction.latency_s > 0
    indices = [view.frame.index for view in views]
    assert indices == sorted(set(indices))
    status = session.live_status()
    assert status.running
    assert status.inference_fps > 0
    assert status.latency_label == LATENCY_LABEL
    assert status.latency_ms_p50 <= status.latency_ms_p99
    assert 0 < status.reference_correlation <= 1


def test_bad_frames_are_counted_and_marked_in_the_recording(config: InstrumentConfig) -> None:
    faults = FaultConfig(saturate_at=tuple(range(30, 5000, 3)))
    with Session.open(config.model_copy(update={"twin": config.twin.model_copy(update={"faults": faults})})) as session:
        session.start_live()
        until(lambda: session.live_status().frames_marked.get(FrameMark.SATURATED, 0) > 2)
        session.start_recording("bad")
        until(lambda: session.recording_status().faults.get("FrameSaturated", 0) > 2)
        session.stop_recording()
        until(lambda: session.recording_status().state is RecordingState.FINISHED)
        status, path = session.live_status(), session.recording_status().path
        verdict = session.recording_status().verdict
    assert path is not None
    assert set(status.frames_marked) == {FrameMark.SATURATED}
    assert status.to_dict()["frames_marked"] == {
        "nan": 0, "dark": 0, "saturated": status.frames_marked[FrameMark.SATURATED], "frozen": 0, "decorrelated": 0
    }  # fmt: skip
    rows = Archive.open(path).rows()
    marked = [row for row in rows if row.extra.get("marks") == "saturated"]
    assert len(marked) > 2
    assert f"{len(marked)} FrameSaturated" in verdict


def test_a_recording_that_ends_in_a_silence_tells_it(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = RecordingFault(kind=EventKind.DEVICE_TIMEOUT, text="no frame", frames=(range(7, 8),))
    session.start_live()
    next_view(session)
    session.start_recording("silent")
    until(lambda: session.recording_status().frames_recorded)
    monkeypatch.setattr(LiveCapture, "pending_fault", lambda capture: silence)
    session.stop_recording()
    session.stop_recording()
    until(lambda: session.recording_status().state is RecordingState.FINISHED)
    assert session.recording_status().faults["DeviceTimeoutError"] == 1


def assert_nothing_is_reconstructed(status: LiveStatus) -> None:
    """No rate, time or correlation is shown when there is none."""
    times_ms = (status.latency_ms_p50, status.latency_ms_p99, status.inference_ms_p50)
    assert np.isnan([status.inference_fps, status.reference_correlation, *times_ms]).all()
    for stage in (StageName.INFERENCE, StageName.LATENCY):
        assert status.stage_times[stage].count == 0


def test_no_number_is_shown_while_engines_are_compared_or_the_live_view_is_stopped(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open = threading.Event()

    def later(*args: Any) -> FallbackEngine:
        may_open.wait(30)
        return open_engine(*args)

    monkeypatch.setattr(inference, "open_engine", later)
    assert not session.live_status().choosing_engine
    session.start_live()
    frames_seen(session, 4)
    status = session.live_status()
    assert status.choosing_engine
    assert status.camera_fps > 0
    assert status.stage_times[StageName.CAPTURE].p95_s > 0
    assert_nothing_is_reconstructed(status)
    may_open.set()
    until(lambda: session.live_status().segmentation_fps > 0)
    status = session.live_status()
    assert not status.choosing_engine
    plain = status.to_dict()["stage_times"]
    assert isinstance(plain, dict)
    for stage in ("capture", "inference", "latency", "segmentation"):
        assert 0 < plain[stage]["p50_ms"] <= plain[stage]["p95_ms"] <= plain[stage]["p99_ms"]
    session.stop_live()
    until(lambda: not session.live_status().running)
    status = session.live_status()
    assert_nothing_is_reconstructed(status)
    assert math.isnan(status.camera_fps)
    assert math.isnan(status.segmentation_fps)
    assert status.reference_age_s is None
    assert not any(stats.count for stats in status.stage_times.values())


def test_truth_is_shown_only_for_settled_frames_of_our_own_scene(session: Session) -> None:
    session.start_live()
    with_truth: list[LiveView] = []

    def enough() -> bool:
        view = session.poll_view()
        if view is not None and view.truth_rad is not None:
            with_truth.append(view)
        return len(with_truth) >= 3

    until(enough)
    assert all(view.frame.pattern_id and view.truth_rad is not None for view in with_truth)


def test_a_recording_holds_every_camera_frame_and_is_exported(session: Session) -> None:
    session.start_live()
    next_view(session)
    assert session.recording_status().state is RecordingState.IDLE
    session.start_recording("recording")
    assert session.recording_status().state is RecordingState.RECORDING
    until(lambda: session.recording_status().frames_recorded >= 12)
    assert session.recording_status().finish_reason is None
    session.stop_recording()
    until(lambda: session.recording_status().state is RecordingState.FINISHED)
    done = session.recording_status()
    assert done.finish_reason is FinishReason.COMPLETED
    assert done.verdict == "complete"
    assert done.path is not None
    archive = Archive.open(done.path)
    frames = [row.frame_index for row in archive.rows()]
    assert frames == list(range(frames[0], frames[0] + len(frames))), "a camera frame is missing"
    assert archive.verify().ok
    for row in archive.rows():
        phase = archive.read("phase", row.index)
        assert np.isnan(phase).all() if row.engine == NOT_RECONSTRUCTED else np.isfinite(phase).all()
    session.export_last_recording()
    until(lambda: any("exported" in message.text for message in session.pop_messages()))
    assert {path.suffix for path in (done.path / "export").iterdir()} >= {".tif", ".mkv"}


def test_a_recording_that_starts_before_the_engine_is_open_has_the_phases_that_come_later(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_started = threading.Event()

    def slowly(*arguments: Any) -> FallbackEngine:
        assert recording_started.wait(30)
        return open_engine(*arguments)

    monkeypatch.setattr(inference, "open_engine", slowly)
    session.start_live()
    until(lambda: session.live_status().state is LiveState.RUNNING)
    session.start_recording("early")
    recording_started.set()
    next_view(session)
    before = session.recording_status().frames_recorded
    until(lambda: session.recording_status().frames_recorded >= before + 4)
    session.stop_recording()
    until(lambda: not session.recording_status().active)
    status = session.recording_status()
    assert (status.finish_reason, status.verdict) == (FinishReason.COMPLETED, "complete")
    assert status.path is not None
    archive = Archive.open(status.path)
    model = session.model
    assert model is not None
    assert (archive.metadata["model"], archive.metadata["model_id"]) == (model.card.name, model.id)
    reconstructed = [row.index for row in archive.rows() if row.engine != NOT_RECONSTRUCTED]
    assert reconstructed
    assert np.isfinite(archive.read("phase", reconstructed[-1])).all()


@pytest.mark.parametrize(
    "command",
    [
        lambda session, **agreed: session.stop_live(**agreed),
        lambda session, **agreed: session.retune(**agreed),
        lambda session, **agreed: session.start_acquisition("pairs", 2, "cells", **agreed),
        lambda session, **agreed: session.join(**agreed),
        lambda session, **agreed: session.close(**agreed),
    ],
    ids=["stop", "re-tune", "acquire", "join", "close"],
)
def test_only_an_operator_who_agreed_ends_a_recording(session: Session, command: Callable[..., None]) -> None:
    session.start_live()
    next_view(session)
    session.start_recording("cells")
    until(lambda: session.recording_status().frames_recorded > 3)
    with pytest.raises(SessionError, match="stop the recording first"):
        command(session)
    recorded = session.recording_status().frames_recorded
    assert session.live_status().state is LiveState.RUNNING
    until(lambda: session.recording_status().frames_recorded > recorded + 3)
    assert session.recording_status().ended_by is None
    command(session, end_recording=True)
    until(lambda: not session.recording_status().active)
    status = session.recording_status()
    assert (status.ended_by, status.finish_reason) == (RecordingEnd.OPERATOR, FinishReason.COMPLETED)
    until(lambda: not session.acquisition_status().active)


@pytest.mark.parametrize("length", [RecordingLength(frames=12), RecordingLength(seconds=0.2)])
def test_a_recording_ends_at_its_set_length(session: Session, length: RecordingLength) -> None:
    session.start_live()
    next_view(session)
    session.start_recording("cells", RecordingOptions(length=length))
    until(lambda: session.recording_status().state is RecordingState.FINISHED)
    status = session.recording_status()
    session.stop_recording()  # too late to have ended it
    assert status.ended_by is RecordingEnd.SET_LENGTH
    assert session.recording_status() == status
    assert status.path is not None
    archive = Archive.open(status.path)
    assert archive.status["ended_by"] == "set-length"
    assert recording_facts(archive)["ended_by"] == "set-length"
    times_s = [row.t_ns * 1e-9 for row in archive.rows()]
    if length.frames is not None:
        assert len(times_s) == status.frames_recorded == 12
    else:
        assert 0.1 < times_s[-1] - times_s[0] < 0.2


def test_a_recording_ends_when_no_further_frame_can_come(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.start_live()
    next_view(session)
    session.start_recording("cells")
    until(lambda: session.recording_status().frames_recorded > 3)

    def broken(*_: object) -> None:
        raise DeviceError("the camera burnt down")

    monkeypatch.setattr(FrameJudge, "__call__", broken)
    until(lambda: any("burnt down" in text for text in errors_of(session)))
    until(lambda: not session.recording_status().active)
    status = session.recording_status()
    assert (status.ended_by, status.finish_reason) == (RecordingEnd.ERROR, FinishReason.COMPLETED)
    assert status.path is not None
    assert Archive.open(status.path).status["ended_by"] == "error"
    assert session.recording_status().seconds == status.seconds
    with pytest.raises(ExceptionGroup):
        session.join()


def test_no_recording_starts_during_a_re_tune(session: Session) -> None:
    session.start_live()
    next_view(session)
    session.retune()
    with pytest.raises(SessionError, match="a re-tune is running"):
        session.start_recording("mixed")
    until(lambda: session.live_status().state is LiveState.RUNNING)
    session.start_recording("after")
    assert session.recording_status().active


def test_live_stops_and_starts_again(session: Session) -> None:
    assert session.live_status().state is LiveState.STOPPED
    for _ in range(3):
        session.start_live()
        next_view(session)
        until(lambda: session.live_status().state is LiveState.RUNNING)
        session.stop_live()
    until(lambda: session.live_status().state is LiveState.STOPPED)


def test_a_live_view_that_fails_says_so_and_can_be_started_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise DeviceError("the camera has no power; switch it on")

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedCamera, "read", unreadable)
        session.start_live()
        until(lambda: session.live_status().state is LiveState.FAILED)
    assert errors_of(session) == ["the camera has no power; switch it on"]
    session.start_live()
    next_view(session)
    assert session.live_status().state is LiveState.RUNNING
    with pytest.raises(ExceptionGroup):
        session.join()


def test_a_dataset_is_acquired_from_the_running_live_view_and_back(session: Session) -> None:
    session.start_live()
    next_view(session)
    session.start_acquisition("pairs", 6, "cells")
    with pytest.raises(SessionError, match="already running"):
        session.start_acquisition("more", 6, "cells")
    with pytest.raises(SessionError, match="an acquisition is running"):
        session.start_live()
    until(lambda: not session.acquisition_status().active)
    status = session.acquisition_status()
    assert status.finish_reason is FinishReason.COMPLETED
    assert status.path is not None
    assert status.pairs_acknowledged == status.pairs_requested == 8
    assert Archive.open(status.path).verify().ok
    session.start_live()
    next_view(session)


def test_an_archive_that_cannot_take_a_dataset_is_refused_before_the_live_view_stops(session: Session) -> None:
    session.config.archive.parent.mkdir(parents=True, exist_ok=True)
    session.config.archive.write_text("a file in its place")
    session.start_live()
    next_view(session)
    plan = CapturePlan(source="cells", pairs=4)
    with pytest.raises(SessionError, match=r"'pairs' was not started: .* is a file and no folder"):
        session.acquire("pairs", plan)
    assert session.live_status().running
    assert not session.acquisition_status().active
    assert session.estimate_acquisition(plan).shots == 6


def test_a_stopped_acquisition_keeps_what_it_has(session: Session) -> None:
    session.start_acquisition("pairs", 5000, "cells")
    until(lambda: session.acquisition_status().path is not None)
    session.stop_acquisition()
    until(lambda: not session.acquisition_status().active)
    status = session.acquisition_status()
    assert status.finish_reason is FinishReason.STOPPED
    assert status.verdict.startswith("stopped at ")
    assert status.path is not None
    assert len(Archive.open(status.path)) == status.pairs_acknowledged > 0


def test_commands_that_make_no_sense_now_say_why(session: Session) -> None:
    with pytest.raises(SessionError, match="start the live view first"):
        session.start_recording("nothing")
    with pytest.raises(SessionError, match="no picture yet"):
        session.snapshot()
    with pytest.raises(SessionError, match="no finished recording"):
        session.export_last_recording()


def test_a_snapshot_is_three_files_of_one_frame_and_what_is_known_of_it(session: Session) -> None:
    session.start_live()
    view = next_view(session)
    options = RecordingOptions(notes="the left edge", tags=("day 3",), credits=Credits(operator="Ada", licence="CC-BY-4.0"))
    folder = session.snapshot(options)
    assert {path.name for path in folder.iterdir()} == {"speckle.png", "phase_rad.tif", "labels.png", "metadata.yaml"}
    facts = read_yaml(folder / "metadata.yaml")
    assert (facts["notes"], facts["tags"], facts["operator"], facts["licence"]) == (
        "the left edge",
        ["day 3"],
        "Ada",
        "CC-BY-4.0",
    )
    assert (facts["instrument"], facts["exposure_s"]) == (session.config.name, view.frame.exposure_s)
    assert facts["model_id"] == view.reconstruction.model_id
    assert facts["engine"] == view.reconstruction.engine
    entry = read_entry(folder)
    assert (entry.notes.text, entry.notes.tags) == ("the left edge", ("day 3",))


def test_a_snapshot_holds_the_labels_of_its_own_frame(session: Session) -> None:
    session.start_live()
    overlays: list[Overlay] = []
    until(lambda: overlays or overlays.extend(filter(None, [session.poll_overlay()])))
    view = next_view(session)
    while view.frame.index <= overlays[0].frame_index:
        view = next_view(session)
    session.stop_live()
    folder = session.snapshot()
    saved = cv2.imread(str(folder / "labels.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(saved, segmented(view).labels)
    assert folder.name.endswith(f"_snapshot_{view.frame.index}")


def test_the_camera_picture_does_not_wait_for_the_engine(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    may_open = threading.Event()

    def later(*args: Any) -> FallbackEngine:
        may_open.wait(30)
        return open_engine(*args)

    monkeypatch.setattr(inference, "open_engine", later)
    session.start_live()
    seen = frames_seen(session, 10)
    assert session.poll_view() is None
    assert session.poll_overlay() is None
    session.snapshot()
    may_open.set()
    assert next_view(session).frame.index > seen[-1].index


def test_the_camera_picture_does_not_wait_for_a_slow_model(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, entered = threading.Event(), threading.Event()
    reconstruct = LiveReconstructor.__call__

    def slow(live: LiveReconstructor, frame: Frame) -> Reconstruction:
        entered.set()
        may_go_on.wait(30)
        return reconstruct(live, frame)

    monkeypatch.setattr(LiveReconstructor, "__call__", slow)
    session.start_live()
    until(entered.is_set)
    frames_seen(session, 10)
    assert session.poll_view() is None
    may_go_on.set()
    next_view(session)


def test_the_camera_picture_is_shown_while_re_tuning_and_acquiring(session: Session) -> None:
    session.start_live()
    next_view(session)
    session.retune()
    while_retuning = 0

    def retuned() -> bool:
        nonlocal while_retuning
        frame = session.poll_frame()
        while_retuning += frame is not None and session.live_status().retuning
        return not session.live_status().retuning

    until(retuned)
    assert while_retuning > 3
    session.start_acquisition("pairs", 4, "cells")
    until(lambda: not session.live_status().running)
    session.poll_frame()
    frames_seen(session, 3)
    until(lambda: not session.acquisition_status().active)


def test_uncertainty_goes_to_the_screen_the_recording_its_exports_and_replay(config: InstrumentConfig, tmp_path: Path) -> None:
    small_mean_flow(tmp_path / "flow")
    config = config.model_copy(update={"model": str(tmp_path / "flow")})
    with Session.open(config) as session:
        session.start_live()
        shown: dict[int, LiveView] = {}
        session.watch(lambda view: shown.update({view.frame.index: view}))
        view = next_view(session)
        assert view.reconstruction is not None
        assert view.reconstruction.uncertainty_rad is not None
        session.start_recording("cells", RecordingOptions(length=RecordingLength(frames=30)))
        until(lambda: session.recording_status().state is RecordingState.FINISHED)
        path = session.recording_status().path
    assert path is not None
    archive = Archive.open(path)
    without = [row.index for row in archive.rows() if ROW_NOT_RECONSTRUCTED in row.extra]
    done = [row.index for row in archive.rows() if row.index not in without]
    assert done
    for row in archive.rows():
        stored = archive.read("uncertainty", row.index)
        if row.index in without:
            assert np.isnan(stored).all()
        else:
            reconstruction = shown[row.frame_index].reconstruction
            assert reconstruction is not None
            assert reconstruction.uncertainty_rad is not None
            assert np.array_equal(stored, reconstruction.uncertainty_rad)
            assert stored.max() > 0
    npz = export(archive, tmp_path / "out", ["npz"])[0]
    with np.load(npz) as content:
        assert np.array_equal(content["uncertainty"][-1], archive.read("uncertainty", 29), equal_nan=True)  # the last one
    replayed = Replayed(archive)
    assert replayed.has_uncertainty
    again = replayed.reconstruction(Frame(archive.read("speckle", done[0]), 3, 0, 0.01, recorded_index=done[0]))
    assert again is not None
    assert again.uncertainty_rad is not None
    assert np.array_equal(again.uncertainty_rad, archive.read("uncertainty", done[0]))


def test_a_camera_that_is_lost_and_comes_back_is_survived(config: InstrumentConfig) -> None:
    faults = FaultConfig(disconnect_at=(15,))
    flaky = config.model_copy(update={"twin": config.twin.model_copy(update={"faults": faults})})
    texts: list[str] = []
    with Session.open(flaky) as session:
        session.start_live()

        def back() -> bool:
            session.poll_view()
            texts.extend(message.text for message in session.pop_messages())
            return "the device is back" in texts

        until(back, 40)
        next_view(session)


def test_a_dead_engine_stops_neither_camera_nor_recording(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.start_live()
    next_view(session)
    session.start_recording("recording")
    until(lambda: session.recording_status().frames_recorded >= 2)

    def broken(*_: object) -> None:
        raise ReconstructionError("the engine lost its device; restart the live view")

    monkeypatch.setattr(LiveReconstructor, "__call__", broken)
    before = session.recording_status().frames_recorded
    until(lambda: any("lost its device" in text for text in errors_of(session)))
    until(lambda: session.recording_status().frames_recorded >= before + 8)
    session.stop_recording()
    until(lambda: not session.recording_status().active)
    assert session.recording_status().finish_reason is FinishReason.COMPLETED
    with pytest.raises(ExceptionGroup):
        session.join()


def test_a_model_for_another_fibre_is_refused(config: InstrumentConfig) -> None:
    other = config.twin.model_copy(update={"optics": replace(config.twin.optics, seed=2)})
    with pytest.raises(ReconstructionError, match=r"was trained for fibre 'twin 1 .*the instrument has 'twin 2"):
        Session.open(config.model_copy(update={"twin": other}))


def test_a_model_for_other_frames_is_refused(config: InstrumentConfig) -> None:
    other = config.twin.model_copy(update={"optics": replace(config.twin.optics, image_px=256)})
    with pytest.raises(ReconstructionError, match="takes frames of 128 x 128 px, the camera gives 256 x 256"):
        Session.open(config.model_copy(update={"twin": other}))


@pytest.mark.parametrize("interrupted", ["app.live.parts.slm_of_instrument.Scene", "app.instrument.opening.attach"])
def test_an_interruption_while_a_session_opens_closes_its_devices(
    interrupted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    def interrupt(*_: object) -> None:
        raise InterruptionError(signal.SIGTERM)

    monkeypatch.setattr(interrupted, interrupt)
    monkeypatch.setattr(Rig, "close", lambda rig: closed.append(rig))
    with pytest.raises(InterruptionError):
        Session.open(small_instrument(tmp_path))
    assert len(closed) == 1
