"""A device that is lost or silent in the live view, or inference that has failed: what is said, and how it goes on."""

from __future__ import annotations

import threading

import pytest

from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_instrument
from app.live.session import Session
from app.status import LiveView, Message, MessageLevel, Topic
from drivers.base import SpeckleScopeError
from drivers.twin.camera import FaultConfig, SimulatedCamera
from drivers.twin.slm import SimulatedSlm
from tests.helpers.small_instrument import until


def said(session: Session, *parts: str) -> list[Message]:
    """Wait for messages that have each of these parts, in this order; return them."""
    messages: list[Message] = []
    matches: list[Message] = []

    def came() -> bool:
        messages.extend(session.pop_messages())
        matches.clear()
        waited = iter(messages)
        matches.extend(m for part in parts for m in [next((m for m in waited if part in m.text), None)] if m is not None)
        return len(matches) == len(parts)

    until(came)
    return matches


def test_an_slm_that_is_lost_while_its_pattern_stays_is_noticed(config: InstrumentConfig) -> None:
    rig, fibre, model, _ = open_instrument(config)
    assert isinstance(rig.slm, SimulatedSlm)
    with Session(config, rig, fibre, model, None) as session:  # without a scene nothing is shown any more
        session.start_live()
        until(lambda: session.poll_view() is not None)
        rig.slm.unplug()
        lost, back = said(session, "the simulated SLM was unplugged", "the device is back")
        assert (lost.level, back.level) == (MessageLevel.WARNING, MessageLevel.INFO)
        assert lost.topic is back.topic is Topic.CAMERA


def test_inference_that_has_failed_is_started_again_and_leaves_no_thread_behind(session: Session) -> None:
    errors = [SpeckleScopeError("the engine has failed")]

    def fail_once(view: LiveView) -> None:
        if errors:
            raise errors.pop()

    session.watch(fail_once)
    session.start_live()
    said(session, "the engine has failed")
    session.stop_live()
    until(lambda: not session.live_status().running)
    session.start_live()
    until(lambda: session.poll_view() is not None)
    until(lambda: [thread.name for thread in threading.enumerate()].count("segmentation") == 1)


@pytest.mark.slow
def test_a_camera_that_hangs_is_told_within_two_seconds_and_so_is_that_it_goes_on(config: InstrumentConfig) -> None:
    rig, fibre, model, _ = open_instrument(config)
    assert isinstance(rig.camera, SimulatedCamera)
    camera = SimulatedCamera(rig.slm, rig.camera.optics, rig.camera.config, FaultConfig(hang_at=(20,)))  # type: ignore[arg-type]
    with Session(config, Rig(camera, rig.slm, rig.clock), fibre, model, None) as session:
        session.start_live()
        silent, again = said(session, "no frame for 1.5 s", "frames come again")
        assert (silent.level, again.level) == (MessageLevel.WARNING, MessageLevel.INFO)
        assert silent.topic is again.topic is Topic.CAMERA


def test_the_warning_of_a_frame_that_failed_goes_when_frames_are_read_again(
    config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.capture._WELL_AFTER_NS", 0)
    rig, fibre, model, _ = open_instrument(config)
    assert isinstance(rig.camera, SimulatedCamera)
    faults = FaultConfig(failed_at=(20,))
    camera = SimulatedCamera(rig.slm, rig.camera.optics, rig.camera.config, faults)  # type: ignore[arg-type]
    with Session(config, Rig(camera, rig.slm, rig.clock), fibre, model, None) as session:
        session.start_live()
        failed, well = said(session, "declared a frame incomplete", "every frame is read again")
        assert (failed.level, well.level) == (MessageLevel.WARNING, MessageLevel.INFO)
        assert failed.topic is well.topic is Topic.CAMERA
