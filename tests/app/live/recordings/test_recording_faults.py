"""Every fault that the twin's camera injects during a recording is in its journal, by kind and count, and none is invented."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile

from acquisition.archive.kinds import COMPLETE_VERDICT, EventKind, FinishReason, RecordingEnd
from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import recorded_faults, recording_facts
from acquisition.archive.writer import ArchiveWriter
from acquisition.exchange.export import export
from app.instrument.config import save_config
from app.live.capture import CaptureSettings, LiveCapture
from app.live.recording import LiveRecording, RecordingSettings
from app.status import Message, RecordingState, RecordingStatus
from drivers.base import Frame
from drivers.twin.camera import Fault, FaultConfig
from tests.conftest import ROOT
from tests.helpers.command import refused, run_here
from tests.helpers.small_instrument import small_instrument, until
from tests.helpers.virtual_bench import VirtualBench

#: Frames of the reference; the recorded frames begin after some ten frames, when the flat pattern has settled.
_REFERENCE = 2


class Recorded:
    """A recording of so many frames of the virtual bench, which ends when they came."""

    def __init__(self, root: Path, faults: FaultConfig, frames: int) -> None:
        self.bench = VirtualBench(faults=faults)
        messages: list[Message] = []
        settings = CaptureSettings(scene=None, reference_shots=_REFERENCE, phase_range_rad=2.85)
        capture = LiveCapture(self.bench.rig, settings, messages.append)
        recording = LiveRecording(root, "faults", {"pixel_um": 1.0, "bit_depth": 8}, 4, RecordingSettings(1000))
        enough = threading.Event()
        self.frames: list[int] = []
        self.injected: dict[Fault, int] = {}

        def count(frame: Frame) -> None:
            if enough.is_set():
                return
            recording.put_frame(frame)
            self.frames.append(frame.index)
            if len(self.frames) == frames:
                capture.faults.unsubscribe(recording.put_fault)
                self.injected = dict(self.bench.camera.injected)
                enough.set()

        capture.frames.subscribe(count)
        capture.faults.subscribe(recording.put_fault)
        capture.start()
        assert enough.wait(20), messages
        capture.request_stop()
        assert capture.stage.join(20)
        recording.finish()
        assert recording.stage.join(20)
        assert recording.stage.error is None
        self.status: RecordingStatus = recording.status()
        assert self.status.path is not None
        self.archive = Archive.open(self.status.path)


def test_a_disk_that_refuses_the_folder_ends_the_recording_and_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "archive"
    file.write_text("")
    monkeypatch.setattr("app.live.recording.check_folder", lambda folder: None)  # the disk fails a moment after the check
    recording = LiveRecording(file, "cells", {}, 4, RecordingSettings(8))
    for index in range(8):
        recording.put_frame(Frame(np.zeros((8, 8), np.uint8), index, index * 10**9, 0.01))
    until(lambda: recording.status().state is RecordingState.FINISHED)
    status = recording.status()
    assert (status.ended_by, status.finish_reason) == (RecordingEnd.ERROR, FinishReason.DISK_FAILED)
    recording.finish()
    assert recording.status() == status


def test_a_recording_without_faults_is_just_complete(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, FaultConfig(), 12)
    assert recorded.status.verdict == recorded.archive.status["verdict"] == COMPLETE_VERDICT
    assert (dict(recorded.status.faults), recorded.status.frames_missing) == ({}, 0)
    assert {event.kind for event in recorded.archive.events()} == {EventKind.VERDICT}


@pytest.mark.parametrize(
    ("fault", "config", "kind", "missing"),
    [
        (Fault.FAILED, FaultConfig(failed_at=(12, 13, 17)), EventKind.FRAME_FAILED, 3),
        (Fault.DISCONNECTED, FaultConfig(disconnect_at=(13,)), EventKind.DEVICE_LOST, 0),
        (Fault.HUNG, FaultConfig(hang_at=(14,)), EventKind.DEVICE_TIMEOUT, 0),
        (Fault.SATURATED, FaultConfig(saturate_at=(12, 15, 16)), EventKind.FRAME_SATURATED, 0),
        (Fault.DROPPED, FaultConfig(dropped_rate=0.3, seed=4), EventKind.FRAMES_SKIPPED, None),
        (Fault.LATE, FaultConfig(late_rate=0.2, seed=5), EventKind.DEVICE_TIMEOUT, 0),
        (Fault.DUPLICATED, FaultConfig(duplicated_rate=0.2, seed=6), EventKind.FRAME_FROZEN, 0),
    ],
)
def test_injected_faults_are_recorded(
    tmp_path: Path, fault: Fault, config: FaultConfig, kind: EventKind, missing: int | None
) -> None:
    recorded = Recorded(tmp_path, config, 20)
    assert recorded.injected[fault] > 0
    expected = {kind.value: recorded.injected[fault]}
    missing = recorded.injected[fault] if missing is None else missing
    assert recorded_faults(recorded.archive) == dict(recorded.status.faults) == expected
    assert recorded.status.frames_missing == int(recorded.archive.status["frames_missing"]) == missing
    assert recorded.status.finish_reason is FinishReason.COMPLETED
    assert recorded.status.verdict == recorded.archive.status["verdict"] != COMPLETE_VERDICT
    assert f"{recorded.injected[fault]} {kind.value}" in recorded.status.verdict
    assert len(recorded.archive) == 20


def test_what_was_done_about_a_fault_is_recorded_too(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, FaultConfig(disconnect_at=(12,), hang_at=(16,), failed_at=(18, 19)), 16)
    kinds = [event.kind for event in recorded.archive.events()]
    assert kinds.count(EventKind.REARMED) == kinds.count(EventKind.RECONNECTED) == 1
    assert recorded.status.state is RecordingState.FINISHED
    assert recorded.status.verdict == (
        "complete, with 4 faults: 1 DeviceLostError, 1 DeviceTimeoutError, 2 FrameFailedError; "
        "2 frames missing by the camera's counter"
    )
    [failed] = [event for event in recorded.archive.events() if event.kind is EventKind.FRAME_FAILED]
    assert failed.text.startswith("2 times: ")
    assert "the camera counts" in failed.text


def test_a_camera_that_hangs_during_the_reference_is_armed_again(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, FaultConfig(hang_at=(1,), failed_at=(3,), disconnect_at=(5,)), 6)
    kinds = [event.kind for event in recorded.archive.events()]
    assert kinds.count(EventKind.REARMED) == kinds.count(EventKind.RECONNECTED) == 1
    assert recorded_faults(recorded.archive) == {"DeviceTimeoutError": 1, "FrameFailedError": 1, "DeviceLostError": 1}
    assert len(recorded.archive) == 6


def test_exports_tell_which_frames_are_bad(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, FaultConfig(saturate_at=(12, 13, 16)), 12)
    first = recorded.frames[0]
    numbers = [row.frame_index for row in recorded.archive.rows() if row.extra.get("marks") == "saturated"]
    assert len(numbers) == 3
    assert numbers[1] - numbers[0] == 1
    text = f"{numbers[0]}-{numbers[1]}, {numbers[2]}"
    assert first <= numbers[0]
    speckle, *_, film, file = export(recorded.archive, tmp_path / "out", ["ome-tiff", "ffv1", "npz"])
    with np.load(file) as content:
        facts = json.loads(str(content["metadata_json"]))["recording"]
        extra = [json.loads(str(row)) for row in content["extra_json"]]
    assert facts["marked_frames"] == {"saturated": text}
    assert [row.get("marks") for row in extra].count("saturated") == 3
    with tifffile.TiffFile(speckle) as tiff:
        assert tiff.ome_metadata is not None
        assert f"saturated: frames {text}" in tiff.ome_metadata
    with av.open(str(film)) as container:
        assert f"saturated: frames {text}" in container.metadata["COMMENT"]


def test_frames_without_a_phase_are_marked_and_exports_count_them(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path, FaultConfig(failed_at=(12,)), 6)
    assert recorded.status.frames_not_reconstructed == recorded.status.frames_not_segmented == 6
    for row in recorded.archive.rows():
        assert (row.extra["not_reconstructed"], row.extra["not_segmented"]) == (1, 1)
        assert np.isnan(recorded.archive.read("phase", row.index)).all()
    speckle, _, labels, film, file = export(recorded.archive, tmp_path / "out", ["ome-tiff", "ffv1", "npz"])
    with np.load(file) as content:
        facts = json.loads(str(content["metadata_json"]))["recording"]
    assert facts["frames_not_reconstructed"] == facts["frames_not_segmented"] == 6
    assert (facts["faults"], facts["frames_missing"]) == ({"FrameFailedError": 1}, 1)
    assert facts["verdict"] == recorded.status.verdict
    summary = "6 of 6 frames not reconstructed; 6 of 6 frames not segmented"
    for path in (speckle, labels):
        with tifffile.TiffFile(path) as tiff:
            assert tiff.ome_metadata is not None
            assert summary in tiff.ome_metadata
            assert recorded.status.verdict in tiff.ome_metadata.replace("&apos;", "'")
    with av.open(str(film)) as container:
        assert summary in container.metadata["COMMENT"]


@pytest.mark.slow
def test_the_command_tells_the_faults(tmp_path: Path) -> None:
    config = small_instrument(tmp_path)
    twin = config.twin.model_copy(update={"faults": FaultConfig(failed_rate=0.2, seed=1)})
    save_config(config.model_copy(update={"twin": twin}), tmp_path / "small.yaml")
    printed = run_here("record", "x", "--seconds", "1", "--config", "small.yaml", "--json", "out.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "out.json").read_text())
    archive = Archive.open(Path(numbers["recording"]))
    assert numbers["faults"] == recorded_faults(archive)
    assert numbers["faults"]["FrameFailedError"] == numbers["frames_missing"] > 0
    assert numbers["verdict"] == archive.status["verdict"]
    assert numbers["verdict"].startswith("complete, with ")
    assert "FrameFailedError" in printed
    frames = [row.frame_index for row in archive.rows()]
    without_phase = sum(row.extra.get("not_reconstructed", 0) for row in archive.rows())
    assert (numbers["frames_recorded"], numbers["frames_not_reconstructed"]) == (len(frames), without_phase)


def test_a_recording_of_version_0_1_0_states_no_numbers(tmp_path: Path) -> None:
    archive = Archive.open(ROOT / "tests" / "fixtures" / "version-0.1.0" / "take")
    facts = recording_facts(archive)
    assert (facts["verdict"], facts["faults"], facts["frames_missing"]) == (COMPLETE_VERDICT, {}, None)
    assert export(archive, tmp_path, ["ome-tiff", "npz"])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["data.zarr/speckle/c.0.0.0", "journal.sqlite", "."])
def test_what_is_deleted_before_the_verdict_is_an_error_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    save_config(small_instrument(tmp_path), tmp_path / "small.yaml")
    complete = ArchiveWriter.complete

    def delete_and_complete(writer: ArchiveWriter, verdict: str) -> None:
        if target == ".":
            shutil.rmtree(writer.path)
        else:
            (writer.path / target).unlink()
        complete(writer, verdict)

    monkeypatch.setattr(ArchiveWriter, "complete", delete_and_complete)
    line = refused("record", "x", "--seconds", "0.5", "--config", "small.yaml", "--json", "out.json", cwd=tmp_path)
    assert "check the disk" in line
    assert not (tmp_path / "out.json").exists()
