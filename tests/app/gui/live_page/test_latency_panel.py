"""The times of every stage and of the window, the loop-back measurement, and both as CSV."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from PyQt6.QtCore import QEvent, QObject
from PyQt6.QtWidgets import QWidget

from acquisition.streams.times import TimeStats
from app.gui.image_view.contents import Content
from app.gui.image_view.pane_options import PaneOptions
from app.live.loop_back.results import Flash, LoopBackState, LoopBackStatus, Moment
from app.status import LiveState, MessageLevel, StageName
from drivers.base import SpeckleScopeError
from tests.helpers.scripted_session import make_view
from tests.helpers.x_server.operator import wait_until

AFTER_S = {Moment.EXPOSURE: 0.03, Moment.FRAME: 0.04, Moment.RECONSTRUCTION: 0.05, Moment.PAINT: 0.0612}
GOOD = Flash(commanded_ns=0, frame_index=8, after_s=AFTER_S)
LOST = Flash(commanded_ns=0, frame_index=None, after_s={})


@pytest.fixture
def panel(window):
    window.page.toggle_panel("latency")
    return window.page.latency


def run(session) -> None:
    times = {StageName.INFERENCE: TimeStats(count=9, p50_s=0.0123, p95_s=0.02, p99_s=0.0301)}
    session.status = replace(session.status, state=LiveState.RUNNING, stage_times=times)


class _Drawings(QObject):
    """Counts how often a window is drawn."""

    def __init__(self, window: QWidget) -> None:
        super().__init__()
        self.count = 0
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        self.count += event is not None and event.type() is QEvent.Type.UpdateRequest
        return False


def _wait_drawn(window: QWidget, change: Callable[[], object]) -> None:
    """Change something, and wait until the window is drawn."""
    drawings = _Drawings(window)
    change()
    wait_until(lambda: drawings.count > 0)


def row(table, number: int) -> list[str]:
    return [table.text(number, column) for column in range(4)]


def test_the_times_of_stages_are_shown_while_the_live_view_runs(panel, window, session) -> None:
    run(session)
    window.refresh_numbers()
    assert row(panel.stages, 1) == ["Engine", "12.3", "20.0", "30.1"]
    assert row(panel.stages, 0)[1:] == ["\N{EN DASH}"] * 3
    session.status = replace(session.status, state=LiveState.STOPPED, stage_times={})
    window.refresh_numbers()
    assert row(panel.stages, 1)[1:] == ["\N{EN DASH}"] * 3


def test_the_window_times_its_own_drawing_of_pictures(panel, window, session, qtbot) -> None:
    run(session)
    window.refresh_numbers()
    session.add(make_view(7))
    window.refresh_pictures()
    qtbot.waitUntil(lambda: bool(session.painted))
    window.refresh_numbers()
    drawing = row(panel.stages, 4)
    assert drawing[0] == "Drawing"
    assert 0 < float(drawing[1]) <= float(drawing[3])
    before = panel.stages_csv()
    assert ",".join(before.splitlines()[-1].split(",")[:2]) == "paint,1"
    _wait_drawn(window, window.page.controls.update)  # a button that is drawn is no picture
    window.refresh_numbers()
    assert panel.stages_csv() == before
    session.status = replace(session.status, state=LiveState.STOPPED)
    window.refresh_numbers()
    assert row(panel.stages, 4)[1:] == ["\N{EN DASH}"] * 3


def test_only_a_phase_that_is_on_the_screen_is_painted(window, session, qtbot) -> None:
    run(session)
    window.page.pictures.set_number(1)
    window.page.pictures.panes[0].set_options(PaneOptions.of(Content.SPECKLE))
    session.add(make_view(7))
    _wait_drawn(window, window.refresh_pictures)
    assert session.painted == []
    window.page.pictures.panes[0].set_options(PaneOptions.of(Content.PHASE))
    session.add(make_view(8))
    window.refresh_pictures()
    qtbot.waitUntil(lambda: bool(session.painted))
    assert session.painted == [8]


def test_a_loop_back_is_started_followed_and_stopped(panel, window, session, operator) -> None:
    panel.flashes.setValue(20)
    operator.click(panel.measure)
    assert ("start_loop_back", 20) in session.calls
    session.loop_back = LoopBackStatus(state=LoopBackState.FLASHING, requested=20, flashes=(GOOD, LOST))
    window.refresh_numbers()
    assert panel.measure.text() == "Stop"
    assert not panel.flashes.isEnabled()
    assert panel.result.text() == "2 of 20 flashes, 1 not found"
    operator.click(panel.measure)
    assert ("stop_loop_back",) in session.calls
    session.loop_back = replace(session.loop_back, state=LoopBackState.STOPPED)
    window.refresh_numbers()
    assert row(panel.moments, 3) == ["Paint", "61.2", "61.2", "61.2"]
    assert panel.result.text().startswith("SLM to screen, measured by 1 flashes, 1 not found; includes the SLM's refresh")
    assert panel.measure.text() == "Measure"


def test_a_refusal_is_shown_and_a_measurement_that_could_not_be_says_why(panel, window, session, operator) -> None:
    session.failure = SpeckleScopeError("the fibre has moved")
    operator.click(panel.measure)
    assert window.banner.shown.level is MessageLevel.ERROR
    assert "the fibre has moved" in window.banner.shown.text
    session.loop_back = LoopBackStatus(state=LoopBackState.REFUSED, requested=9, problem="too noisy")
    window.refresh_numbers()
    assert panel.result.text() == "Not measured: too noisy"
    assert not panel.save_flashes.isEnabled()
    assert math.isnan(session.loop_back.times()[Moment.PAINT].p50_s)


def test_both_tables_are_saved_as_csv_or_refused(panel, window, session, tmp_path) -> None:
    run(session)
    session.loop_back = LoopBackStatus(state=LoopBackState.FINISHED, requested=2, flashes=(GOOD, LOST))
    window.refresh_numbers()
    panel.save_stages.save(tmp_path / "times.csv")
    assert "inference,9,12.300,20.000,30.100" in (tmp_path / "times.csv").read_text()
    panel.save_flashes.save(tmp_path / "flashes.csv")
    assert (tmp_path / "flashes.csv").read_text().splitlines()[3:] == ["1,yes,8,30,40,50,61.2", "2,no,,,,,"]
    assert "flashes.csv" in window.banner.shown.text
    panel.save_flashes.save(tmp_path / "flashes.csv" / "below.csv")
    assert window.banner.shown.level is MessageLevel.ERROR
