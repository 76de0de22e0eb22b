"""The log of a recording joins faults of one kind, and keeps every change of a camera setting with its own value."""

from __future__ import annotations

from acquisition.archive.kinds import EventKind
from acquisition.archive.recording_faults import FaultLog, RecordingFault, complete_verdict


def entry(kind: EventKind, text: str, frame: int) -> RecordingFault:
    return RecordingFault(kind=kind, text=text, frames=(range(frame, frame + 1),))


def test_faults_of_one_kind_are_joined_and_settings_stay_apart() -> None:
    log = FaultLog()
    for frame in (3, 5):
        log.add(entry(EventKind.DEVICE_TIMEOUT, f"no frame for {frame} s", frame))
        log.add(entry(EventKind.CAMERA_SETTING, f"gain is {frame} dB", frame))
    texts = [fault.event_text().partition(" (")[0] for fault in log.pop_all()]
    assert sorted(texts) == ["2 times: no frame for 3 s", "gain is 3 dB", "gain is 5 dB"]
    assert log.pop_all() == []


def test_a_changed_setting_is_no_fault() -> None:
    log = FaultLog()
    log.add(entry(EventKind.CAMERA_SETTING, "gain is 3 dB", 0))
    assert log.faults == {}
    assert complete_verdict(log.faults, log.frames_missing) == "complete"
