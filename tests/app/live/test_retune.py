"""Re-tuning a live session: a bent fibre is noticed, and a few probes bring phase back without a trained model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.instrument.config import InstrumentConfig, LiveConfig
from app.live.session import Session, SessionError
from app.status import LiveView
from drivers.twin.camera import SimulatedCamera
from reconstruction.metrics import pearson
from tests.helpers.small_instrument import GRID_PX, small_instrument


@pytest.fixture
def config(tmp_path: Path) -> InstrumentConfig:
    return small_instrument(tmp_path)


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def words_of_retune(session: Session) -> str:
    """Re-tune, and return what the session says about it."""
    texts: list[str] = []

    def told() -> bool:
        session.poll_view()
        texts.extend(message.text for message in session.pop_messages() if "re-tuned" in message.text)
        return bool(texts)

    session.retune()
    assert session.live_status().retuning
    until(told)
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
        words = words_of_retune(session)
        assert "going on with 8 reference pairs" in words
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


def test_a_bend_alarms_and_a_retune_brings_the_phase_back(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        camera = session._rig.camera
        assert isinstance(camera, SimulatedCamera)
        session.start_live()
        until(lambda: session.poll_view() is not None)
        words_of_retune(session)
        until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
        camera.optics.set_drift(2.0)
        until(lambda: session.poll_view() is None or session.live_status().reference_correlation < 0.3)
        until(lambda: session.live_status().reference_correlation < session.live_status().drift_threshold)
        before = session.live_status().model_id
        words_of_retune(session)
        until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
        assert session.live_status().model_id != before
        assert agreement(views_with_truth(session, 3)) > 0.5


def test_a_bend_while_the_view_was_stopped_is_noticed(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        camera = session._rig.camera
        assert isinstance(camera, SimulatedCamera)
        session.start_live()
        until(lambda: session.poll_view() is not None)
        words_of_retune(session)
        until(lambda: session.live_status().reference_correlation > session.live_status().drift_threshold)
        session.stop_live()
        until(lambda: not session.live_status().running)
        camera.optics.set_drift(2.0)
        session.start_live()
        until(lambda: session.live_status().reference_correlation < 0.3)


def test_a_fibre_without_a_model_is_read_by_its_pairs(config: InstrumentConfig, tmp_path: Path) -> None:
    with Session.open(config) as session:
        session._model = None  # as on a real fibre for which none was trained
        session.start_live()
        until(lambda: (view := session.poll_view()) is not None and view.reconstruction is None)
        assert session.live_status().model_name == "none for this fibre"
        words_of_retune(session)
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
        assert session.recording_status().verdict == "complete"


def test_retune_needs_a_running_view(config: InstrumentConfig) -> None:
    with Session.open(config) as session, pytest.raises(SessionError, match="start the live view first"):
        session.retune()


def test_a_fibre_that_moves_on_is_not_tuned_to(config: InstrumentConfig) -> None:
    with Session.open(config) as session:
        camera = session._rig.camera
        assert isinstance(camera, SimulatedCamera)
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
        words = words_of_retune(session)
        assert "not re-tuned" in words
        assert "correlates" in words
        assert session.live_status().model_name == name
        assert np.isfinite(session.live_status().camera_fps)


def test_the_threshold_is_the_operators(tmp_path: Path) -> None:
    config = small_instrument(tmp_path)
    config = config.model_copy(update={"live": LiveConfig(engine="torch", drift_threshold=0.9)})
    with Session.open(config) as session:
        assert session.live_status().drift_threshold == 0.9
