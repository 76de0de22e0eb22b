"""The loop-back measurement on the twin: its known latency is found again, and what cannot be found is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from app.instrument.config import InstrumentConfig
from app.instrument.opening import open_instrument
from app.live.loop_back.results import LoopBackState, LoopBackStatus, Moment
from app.live.session import Session, SessionError
from app.live.slm.content import SlmContent, SlmKind
from app.status import LiveView
from drivers.base import Frame
from drivers.camera_settings import SettingName
from drivers.twin.camera import SimulatedCamera
from drivers.twin.slm import SimulatedSlm
from tests.helpers.small_instrument import until

_NS = 1e-9


def begin(session: Session) -> None:
    """Start the live view, and re-tune: the model of the small instrument is untrained, and reference pairs take over."""
    session.start_live()
    until(lambda: session.poll_view() is not None)
    session.retune()
    until(lambda: "pairs" in session.live_status().model_name)
    until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)


def finished(session: Session) -> LoopBackStatus:
    until(lambda: not session.loop_back_status().state.active)
    return session.loop_back_status()


def test_the_known_latency_of_the_twin_is_found_within_a_frame(config: InstrumentConfig, monkeypatch) -> None:
    slms: list[SimulatedSlm] = []
    make = SimulatedSlm.__init__
    monkeypatch.setattr(SimulatedSlm, "__init__", lambda self, *rest, **named: slms.append(self) or make(self, *rest, **named))
    with Session.open(config) as session:
        begin(session)
        frames: list[Frame] = []
        session.watch(lambda view: frames.append(view.frame))
        session.start_loop_back(4)
        edges_ns: set[int] = set()  # the twin forgets old ones
        until(lambda: edges_ns.update(slms[-1].edges_between(0, 2**62)) or not session.loop_back_status().state.active)
        status = session.loop_back_status()
        assert (status.state, status.timed, status.missed) == (LoopBackState.FINISHED, 4, 0), status.problem
        period_s = max(np.diff([frame.t_ns for frame in frames]) * _NS)
        for flash in status.flashes:
            light_ns = min(edge_ns for edge_ns in edges_ns if edge_ns > flash.commanded_ns)
            latency_s = (light_ns - flash.commanded_ns) * _NS
            assert 1 / 60 < latency_s < 3.1 / 60  # one or two refreshes after the next one
            assert 0 < flash.after_s[Moment.EXPOSURE] - latency_s < period_s + slms[-1].config.settle_s
            assert flash.after_s[Moment.EXPOSURE] < flash.after_s[Moment.FRAME] < flash.after_s[Moment.RECONSTRUCTION]
        until(lambda: any("SLM to reconstruction: p50" in message.text for message in session.pop_messages()))
        until(lambda: (view := session.poll_view()) is not None and view.truth_rad is not None and view.truth_rad.any())


@pytest.mark.slow
def test_the_paint_is_that_of_a_reconstruction_that_shows_the_flash(session: Session) -> None:
    begin(session)
    waiting: list[int] = []

    def paint_the_one_before(view: LiveView) -> None:
        if waiting:
            session.note_painted(waiting.pop())
        waiting.append(view.frame.index)

    session.watch(paint_the_one_before)
    session.start_loop_back(3)
    status = finished(session)
    assert (status.timed, status.painted) == (3, True)
    for flash in status.flashes:
        late_s = flash.after_s[Moment.PAINT] - flash.after_s[Moment.RECONSTRUCTION]
        assert 0 < late_s < 0.5
    assert status.text.startswith("SLM to screen: p50")


@pytest.mark.slow
def test_an_slm_that_does_not_react_is_not_measured(session: Session, monkeypatch) -> None:
    begin(session)
    still = np.zeros(session.slm_phase().shape, np.float32)
    monkeypatch.setattr(SimulatedSlm, "displayed_phase", lambda self, phase_rad: still)
    session.start_loop_back(3)
    status = finished(session)
    assert (status.state, status.flashes) == (LoopBackState.REFUSED, ())
    assert "the speckle does not show the flash" in status.problem


@pytest.mark.slow
def test_a_flash_that_does_not_come_is_counted_as_not_found(session: Session, monkeypatch) -> None:
    begin(session)
    session.start_loop_back(3)
    until(lambda: session.loop_back_status().timed == 1)
    still = np.zeros(session.slm_phase().shape, np.float32)
    monkeypatch.setattr(SimulatedSlm, "displayed_phase", lambda self, phase_rad: still)
    status = finished(session)
    assert status.state is LoopBackState.FINISHED
    assert status.timed < 3
    assert not status.flashes[-1].timed
    assert status.flashes[-1].after_s == {}
    assert f"{status.missed} not found" in status.label


@pytest.mark.slow
def test_a_model_that_does_not_see_the_flash_is_refused(session: Session) -> None:
    session.start_live()
    until(lambda: session.poll_view() is not None)
    until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
    session.start_loop_back(3)
    status = finished(session)
    assert (status.state, status.flashes) == (LoopBackState.REFUSED, ())
    assert "the reconstruction does not show the flash" in status.problem


def test_what_cannot_be_measured_is_refused_with_a_reason(session: Session, monkeypatch) -> None:
    with pytest.raises(SessionError, match="start the live view first"):
        session.start_loop_back()
    begin(session)
    with pytest.raises(SessionError, match="1 to 1000 flashes, got 0"):
        session.start_loop_back(0)
    session.start_recording("flashes")
    until(lambda: session.recording_status().frames_recorded > 0)
    with pytest.raises(SessionError, match="a recording is running"):
        session.start_loop_back()
    session.stop_recording()
    until(lambda: not session.recording_status().active)
    moved = replace(session.live_status(), reference_correlation=0.1)
    monkeypatch.setattr(session, "live_status", lambda: moved)
    with pytest.raises(SessionError, match=r"the fibre has moved \(correlation 0.10, below 0.5\)"):
        session.start_loop_back()
    assert session.loop_back_status().state is LoopBackState.IDLE


@pytest.mark.slow
def test_a_fibre_that_moves_meanwhile_ends_the_measurement(config: InstrumentConfig, monkeypatch) -> None:
    cameras: list[SimulatedCamera] = []
    make = SimulatedCamera.__init__
    monkeypatch.setattr(
        SimulatedCamera, "__init__", lambda self, *rest, **named: cameras.append(self) or make(self, *rest, **named)
    )
    with Session.open(config) as session:
        begin(session)
        session.start_loop_back(100)
        until(lambda: session.loop_back_status().flashes)
        cameras[-1].optics.set_drift(2.0)
        status = finished(session)
        assert status.state is LoopBackState.REFUSED
        assert "the fibre has moved" in status.problem or "does not come back" in status.problem


@pytest.mark.parametrize("removed", ["slm", "model"])
def test_without_an_slm_or_a_model_there_is_nothing_to_flash(removed: str, config: InstrumentConfig) -> None:
    rig, fibre, model, _ = open_instrument(config)
    with Session(
        config, replace(rig, slm=None) if removed == "slm" else rig, fibre, model if removed == "slm" else None, None
    ) as session:
        session.start_live()
        until(lambda: session.poll_view() is not None)
        until(lambda: session.live_status().running)
        with pytest.raises(SessionError, match="has no SLM" if removed == "slm" else "there is no model"):
            session.start_loop_back()


@pytest.mark.slow
def test_while_it_flashes_nothing_else_uses_the_slm_and_stop_keeps_what_was_found(session: Session) -> None:
    begin(session)
    views: list[LiveView] = []
    session.start_loop_back(1000)
    refused: list[Callable[[], object]] = [
        lambda: session.start_recording("no"),
        lambda: session.start_loop_back(3),
        lambda: session.show_on_slm(SlmContent(SlmKind.BLANK)),
        lambda: session.set_camera(SettingName.EXPOSURE_S, 0.005),
        session.retune,
        session.new_reference,
        session.auto_exposure,
    ]
    for command in refused:
        with pytest.raises(SessionError, match="a loop-back measurement lets the SLM flash; stop it"):
            command()
    until(lambda: session.loop_back_status().flashes)
    session.stop_loop_back()
    status = finished(session)
    assert status.state is LoopBackState.STOPPED
    assert status.timed
    session.watch(views.append)
    until(lambda: views and views[-1].truth_rad is not None)  # the scene is shown again
    session.start_loop_back(1000)
    session.stop_live()
    assert finished(session).state is LoopBackState.STOPPED
