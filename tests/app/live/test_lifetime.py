"""A closed session frees what it held, and a live view that starts again and again keeps nothing of the earlier ones."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from app.benchmarks.process_usage import ProcessUsage
from app.instrument.config import InstrumentConfig
from app.live import inference, session
from app.live.parts import live_control, processing, recording_control, slm_of_instrument
from app.live.session import Session
from app.status import LiveState, LiveView, RecordingState
from drivers.base import Frame
from reconstruction.base import ReconstructionError
from reconstruction.live.live_reconstructor import LiveReconstructor
from tests.helpers.small_instrument import small_instrument, until

ENGINES = ("torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("openvino", "onnxruntime")))
#: The names of the threads of a session.
THREADS = {"capture", "inference", "record", "acquisition", "prefetch", "store pairs"}


class Census:
    """Weak references to everything that certain classes and functions make from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._refs: list[tuple[str, weakref.ref[object]]] = []
        self._patch = monkeypatch

    def follow(self, module: object, name: str) -> None:
        """Follow what the function or class ``name`` of a module returns."""
        make = getattr(module, name)

        def made(*args: object, **keywords: object) -> object:
            return self.add(name, make(*args, **keywords))

        self._patch.setattr(module, name, made)

    def add(self, name: str, thing: object) -> object:
        """Follow one object."""
        self._refs.append((name, weakref.ref(thing)))
        return thing

    @property
    def made(self) -> set[str]:
        """What was followed."""
        return {name for name, _ in self._refs}

    def alive(self) -> dict[str, int]:
        """Return how many of each are still alive, after Python has freed cycles."""
        gc.collect()
        return self.referenced()

    def referenced(self) -> dict[str, int]:
        """Return how many of each are in memory now."""
        names = [name for name, ref in self._refs if ref() is not None]
        return {name: names.count(name) for name in names}


@pytest.fixture
def census(monkeypatch: pytest.MonkeyPatch) -> Census:
    census = Census(monkeypatch)
    for module, name in (
        (processing, "InferencePipeline"),
        (live_control, "LiveCapture"),
        (recording_control, "LiveRecording"),
        (slm_of_instrument, "Scene"),
    ):
        census.follow(module, name)
    for name in ("open_engine", "LiveReconstructor", "LiveView"):
        census.follow(inference, name)
    monkeypatch.setattr(session.DatasetRun, "new", _followed(census, "DatasetRun", session.DatasetRun.new))
    return census


def _followed(census: Census, name: str, make: Callable[..., object]) -> Callable[..., object]:
    return lambda *args: census.add(name, make(*args))


def next_view(session: Session) -> LiveView:
    views: list[LiveView | None] = []
    until(lambda: views.append(session.poll_view()) or views[-1], 60)
    assert views[-1] is not None
    return views[-1]


def use(census: Census, config: InstrumentConfig) -> Session:
    """Use everything that a session can do, close it, and return it."""
    with Session.open(config) as session:
        census.add("Session", session)
        census.add("Model", session.model)
        seen: list[Frame] = []
        session.watch(lambda view: seen.append(view.frame))
        session.start_live()
        next_view(session)
        session.start_recording("recording")
        until(lambda: session.recording_status().frames_recorded >= 2)
        session.stop_recording()
        until(lambda: session.recording_status().state is RecordingState.FINISHED)
        session.retune()
        until(lambda: session.live_status().state is LiveState.RUNNING)
        census.add("Frame", next_view(session).frame)
        session.start_acquisition("pairs", 2, "cells")
        until(lambda: not session.acquisition_status().active)
        session.start_live()
        next_view(session)
    return session


def fail_and_close(census: Census, config: InstrumentConfig) -> None:
    """Run a session until its inference fails."""
    with Session.open(config) as session:
        census.add("Session", session)
        session.start_live()
        until(lambda: any("lost its device" in message.text for message in session.pop_messages()))
        assert session.poll_view() is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_session_frees_engine_and_frames_and_its_outcome_can_still_be_read(
    engine: str, census: Census, tmp_path: Path
) -> None:
    closed = use(census, small_instrument(tmp_path, engine))
    assert census.made >= {"Session", "Model", "Frame", "open_engine", "LiveReconstructor", "LiveView", "DatasetRun"}
    assert set(census.alive()) <= {"Session"}
    assert not THREADS & {thread.name for thread in threading.enumerate()}
    assert closed.recording_status().verdict == "complete"
    assert closed.acquisition_status().pairs_acknowledged == 4
    assert closed.acquisition_report is not None
    assert closed.live_status().state is LiveState.STOPPED
    del closed
    assert census.alive() == {}


def test_a_session_whose_stages_failed_frees_everything_too(
    census: Census, config: InstrumentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(reconstructor: LiveReconstructor, frame: Frame) -> None:
        census.add("Frame", frame)
        raise ReconstructionError("the engine lost its device; restart the live view")

    monkeypatch.setattr(LiveReconstructor, "__call__", broken)
    fail_and_close(census, config)
    assert "Frame" in census.made
    assert census.alive() == {}


@pytest.mark.slow
def test_a_second_session_needs_no_search_for_cycles(census: Census, config: InstrumentConfig) -> None:
    use(census, config)  # the first one also loads libraries, whose imports leave cycles
    assert census.alive() == {}
    gc.disable()
    try:
        use(census, config)
        alive = census.referenced()
    finally:
        gc.enable()
    assert alive == {}


@pytest.mark.slow
def test_a_live_view_that_starts_200_times_keeps_no_thread_and_no_earlier_capture(census: Census, session: Session) -> None:
    def start_and_stop() -> None:
        session.start_live()
        next_view(session)
        session.stop_live()

    for _ in range(5):
        start_and_stop()
    before = ProcessUsage.now()
    for _ in range(200):
        start_and_stop()
    until(lambda: session.live_status().state is LiveState.STOPPED)
    after = ProcessUsage.now(collect=True)
    assert after.threads <= before.threads
    assert after.handles <= before.handles
    assert census.alive()["LiveCapture"] <= 2
