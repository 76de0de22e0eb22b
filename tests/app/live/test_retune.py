"""Re-tuning a live session: a bent fibre is noticed, and a few probe patterns bring the phase back without a trained model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from acquisition.archive.kinds import FinishReason
from acquisition.capture.pair_capture import Rig
from app.instrument.config import InstrumentConfig, LiveConfig
from app.instrument.opening import open_instrument
from app.live import session as session_module
from app.live.session import Session, SessionError
from app.live.slm.scene import Scene
from app.status import LiveState, LiveView
from drivers.base import DeviceError, Pattern
from drivers.twin.camera import SimulatedCamera
from drivers.twin.slm import SimulatedSlm
from reconstruction.metrics import pearson
from reconstruction.models.model import Model
from tests.helpers.small_instrument import GRID_PX, until


@contextmanager
def with_camera(config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Session, SimulatedCamera]]:
    """Open a session, and give the test its camera, to bend the simulated fibre."""
    rigs: list[Rig] = []

    def open_and_keep(config: InstrumentConfig) -> tuple[Rig, str, Model | None, str]:
        opened = open_instrument(config)
        rigs.append(opened[0])
        return opened

    monkeypatch.setattr(session_module, "open_instrument", open_and_keep)
    with Session.open(config) as session:
        camera = rigs[0].camera
        assert isinstance(camera, SimulatedCamera)
        yield session, camera


def retune(session: Session) -> str:
    """Re-tune, and return the message of the session about it."""
    texts: list[str] = []

    def answered() -> bool:
        session.poll_view()
        texts.extend(message.text for message in session.pop_messages() if "re-tuned" in message.text)
        return bool(texts)

    session.retune()
    assert session.live_status().retuning
    until(answered)
    return texts[0]


def views_with_truth(session: Session, count: int) -> list[LiveView]:
    """Return views made with the newest references, one for each object."""
    views: dict[str, LiveView] = {}

    def enough() -> bool:
        view = session.poll_view()
        if view is not None and view.truth_rad is not None and view.reconstruction is not None and view.frame.pattern_id:
            views[view.frame.pattern_id] = view
        return len(views) == count

    until(enough)
    return list(views.values())


def agreement(views: list[LiveView]) -> float:
    """Mean correlation of phase and truth; the fibre of the small instrument is only seven times wider than a phase's reach."""
    values = []
    for view in views:
        assert view.reconstruction is not None
        assert view.truth_rad is not None
        inside = view.reconstruction.phase_rad != 0
        values.append(pearson(view.reconstruction.phase_rad[inside], view.truth_rad[inside]))
    return float(np.mean(values))


def test_pairs_take_over_from_a_model_that_does_worse(config: InstrumentConfig) -> None:
    with Session.open(config) as session:  # its model is untrained
        session.start_live()
        until(lambda: session.poll_view() is not None)
        text = retune(session)
        assert "going on with 8 reference pairs" in text
        status = session.live_status()
        assert status.model_name == "8 reference pairs"
        assert status.engine == "displacements"
        assert not status.retuning
        views = views_with_truth(session, 3)
        for view in views:
            assert view.reconstruction is not None
            assert view.reconstruction.model_id == status.model_id
            assert view.reconstruction.phase_rad.shape == (GRID_PX, GRID_PX)
        assert agreement(views) > 0.5


def test_a_bend_alarms_and_a_retune_brings_the_phase_back(config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with with_camera(config, monkeypatch) as (session, camera):
        session.start_live()
        until(lambda: session.poll_view() is not None)
        retune(session)
        until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
        camera.optics.set_drift(2.0)
        until(lambda: session.poll_view() is None or session.live_status().reference_correlation < 0.3)
        until(lambda: session.live_status().reference_correlation < session.live_status().drift_threshold)
        before = session.live_status().model_id
        retune(session)
        until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
        assert session.live_status().model_id != before
        assert agreement(views_with_truth(session, 3)) > 0.5


def test_a_bend_while_the_view_was_stopped_is_noticed(config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with with_camera(config, monkeypatch) as (session, camera):
        session.start_live()
        until(lambda: session.poll_view() is not None)
        retune(session)
        until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
        session.stop_live()
        until(lambda: not session.live_status().running)
        camera.optics.set_drift(2.0)
        session.start_live()
        until(lambda: session.live_status().reference_correlation < 0.3)


def test_a_fibre_without_a_model_is_read_by_its_pairs(config: InstrumentConfig) -> None:
    rig, fibre, _, _ = open_instrument(config)  # its model is ignored, as on a real fibre for which none was trained
    scene = Scene(config.scene, rig.display().capabilities.shape, GRID_PX, config.phase_range_rad)
    with Session(config, rig, fibre, None, scene) as session:
        session.start_live()
        until(lambda: (view := session.poll_view()) is not None and view.reconstruction is None)
        assert session.live_status().model_name == "none for this fibre"
        retune(session)
        (view,) = views_with_truth(session, 1)
        assert view.reconstruction is not None
        assert view.reconstruction.phase_rad.shape == (GRID_PX, GRID_PX)
        session.start_recording("with pairs")
        with pytest.raises(SessionError, match="a recording is running"):
            session.retune()
        assert not session.live_status().can_retune
        until(lambda: session.recording_status().frames_recorded > 3)
        session.stop_recording()
        until(lambda: not session.recording_status().active)
        assert session.recording_status().finish_reason is FinishReason.COMPLETED


def test_retune_needs_a_running_view(config: InstrumentConfig) -> None:
    with Session.open(config) as session, pytest.raises(SessionError, match="start the live view first"):
        session.retune()


def test_a_fibre_that_moves_on_is_not_tuned_to(config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with with_camera(config, monkeypatch) as (session, camera):
        session.start_live()
        until(lambda: session.poll_view() is not None)
        name = session.live_status().model_name
        show, shown = camera.optics.intensity, 0

        def drifting(*arguments: object) -> object:
            nonlocal shown
            shown += 1
            camera.optics.set_drift(0.3 * shown)
            return show(*arguments)  # type: ignore[arg-type]

        camera.optics.intensity = drifting  # type: ignore[method-assign,assignment]
        text = retune(session)
        assert "not re-tuned" in text
        assert "correlates" in text
        assert session.live_status().model_name == name
        assert np.isfinite(session.live_status().camera_fps)


def test_the_threshold_is_the_operators(config: InstrumentConfig) -> None:
    config = config.model_copy(update={"live": LiveConfig(engine="torch", drift_threshold=0.9)})
    with Session.open(config) as session:
        assert session.live_status().drift_threshold == 0.9


@contextmanager
def with_slm(config: InstrumentConfig) -> Iterator[tuple[Session, SimulatedSlm]]:
    """Open a session whose live view shows nothing, and give the test its SLM."""
    rig, fibre, model, _ = open_instrument(config)
    assert isinstance(rig.slm, SimulatedSlm)
    with Session(config, rig, fibre, model, None) as session:
        session.start_live()
        until(lambda: session.live_status().state is LiveState.RUNNING)
        yield session, rig.slm


def test_a_stop_ends_a_retune_after_the_pattern_that_is_shown(
    config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, reached, stopped = list[Pattern](), threading.Event(), threading.Event()
    with with_slm(config) as (session, slm):
        show = slm.show

        def held(pattern: Pattern) -> int:
            shown.append(pattern)
            if len(shown) == 3:
                reached.set()
                assert stopped.wait(10)
            return show(pattern)

        monkeypatch.setattr(slm, "show", held)
        session.retune()
        assert reached.wait(30)
        session.stop_live()
        stopped.set()
        until(lambda: session.live_status().state is LiveState.STOPPED)
        assert len({pattern.id for pattern in shown}) == 2  # the flat pattern, and the first of eight
        assert session.pop_messages() == []


def test_a_retune_that_a_device_refuses_is_an_error_and_the_live_view_goes_on(
    config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with with_slm(config) as (session, slm):

        def refuse(pattern: Pattern) -> int:
            raise DeviceError("the SLM is switched off")

        monkeypatch.setattr(slm, "show", refuse)
        assert "not re-tuned: the SLM is switched off" in retune(session)
        until(lambda: session.poll_frame() is not None)
        assert session.live_status().state is LiveState.RUNNING
