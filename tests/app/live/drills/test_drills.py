"""Drills break the simulated instrument, the session says so, and everything is as before at their end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.instrument.config import InstrumentConfig
from app.instrument.kinds import CameraKind
from app.instrument.opening import open_rig
from app.live.drills import faults
from app.live.drills.drill import Drill
from app.live.drills.kinds import DrillKind
from app.live.parts.drill_control import DrillControl
from app.live.parts.errors import SessionError
from app.live.session import Session
from app.status import MessageLevel, RecordingState
from tests.app.live.parts.test_lost_devices import said
from tests.helpers.small_instrument import until


@contextmanager
def running(drill: Drill) -> Iterator[threading.Event]:
    """Run a drill as a job does, and end it with the block."""
    stop = threading.Event()
    thread = threading.Thread(target=drill.run, args=(lambda done, total: None, stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def live(session: Session) -> Session:
    session.start_live()
    until(lambda: session.poll_view() is not None)
    return session


def test_a_bent_fibre_is_noticed_and_is_straight_again_at_the_end(live: Session) -> None:
    threshold = live.live_status().drift_threshold
    until(lambda: live.live_status().reference_correlation > threshold)
    with running(live.drill(DrillKind.BEND)):
        until(lambda: live.live_status().reference_correlation < threshold)
    until(lambda: live.live_status().reference_correlation > threshold)


def test_a_camera_stays_away_until_the_end_and_the_live_view_goes_on_by_itself(live: Session) -> None:
    with running(live.drill(DrillKind.LOST_CAMERA)):
        (lost,) = said(live, "the simulated camera was unplugged")
        assert lost.level is MessageLevel.WARNING
    said(live, "the device is back")
    until(lambda: live.poll_view() is not None)


def test_a_full_disk_ends_a_recording_with_its_reason_and_nothing_is_left(
    live: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults.FullDisk.__init__, "__defaults__", (0.2,))
    with running(live.drill(DrillKind.FULL_DISK)):
        assert live.recording_status().state is RecordingState.RECORDING
        (error,) = said(live, "No space left on device")
        assert error.level is MessageLevel.ERROR
        folder = live.recording_status().path
        assert folder is not None
        assert "stopped at frame" in live.recording_status().verdict
    assert not folder.parent.exists()
    assert live.live_status().running
    live.start_recording("after", None)
    until(lambda: live.recording_status().frames_recorded > 0)
    live.stop_recording()


def test_a_drill_ends_when_its_time_is_over(live: Session) -> None:
    class Quick:
        begun = ended = 0

        def begin(self) -> None:
            self.begun += 1

        def end(self) -> None:
            self.ended += 1

    class Breaks(Quick):
        def begin(self) -> None:
            raise OSError("it broke")

    broken = Breaks()
    with pytest.raises(OSError, match="it broke"):
        Drill(DrillKind.BEND, broken).run(lambda done, total: None, threading.Event())
    assert broken.ended == 1, "what a drill did is undone whatever happens"
    stopped = Quick()
    stop = threading.Event()
    stop.set()
    Drill(DrillKind.BEND, stopped).run(lambda done, total: None, stop)
    assert (stopped.begun, stopped.ended) == (1, 1)


def test_no_drill_without_a_live_view_or_beside_a_recording(session: Session) -> None:
    with pytest.raises(SessionError, match="start the live view first"):
        session.drill(DrillKind.BEND)
    session.start_live()
    until(lambda: session.poll_view() is not None)
    session.start_recording("mine", None)
    with pytest.raises(SessionError, match="a recording is running"):
        session.drill(DrillKind.FULL_DISK)
    session.stop_recording()


def test_no_drill_on_a_real_instrument(config: InstrumentConfig) -> None:
    rig, _ = open_rig(config)
    with rig.camera:
        DrillControl(config, rig).check_possible()
        with pytest.raises(SessionError, match="they need the simulated one"):
            DrillControl(config.model_copy(update={"camera": CameraKind.BASLER}), rig).check_possible()
