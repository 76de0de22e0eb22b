"""The slider shows true times: gaps, frames without phase, markers; the mouse goes to the nearest frame."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF

from app.gui.player.time_slider import TimeSlider
from app.gui.player.time_text import clock_text, tick_step_s, tick_text, time_text
from app.playback.timeline import PlacedMarker, Timeline
from tests.helpers.x_server.operator import wait_exposed

#: A frame a second, without those of the seconds 4 to 6; the marker is at 8 s.
TIMES_S = np.array([0, 1, 2, 3, 7, 8, 9, 10])
HAS_PHASE = np.array([True, True, False, True, True, True, True, True])


@pytest.fixture
def slider(qtbot, styled) -> TimeSlider:
    slider = TimeSlider()
    qtbot.addWidget(slider)
    slider.resize(1020, slider.sizeHint().height())
    slider.show_timeline(Timeline(TIMES_S * 10**9, (PlacedMarker(5, "clamped"),)), HAS_PHASE)
    slider.show()
    wait_exposed(slider)
    return slider


def place(slider: TimeSlider, time_s: float) -> QPoint:
    return slider.place_of(time_s).toPoint()


def test_times_are_places(slider):
    track = slider.track
    assert slider.place_of(0).x() == track.left()
    assert slider.place_of(10).x() == track.right()
    assert slider.place_of(5).x() == track.center().x()


def test_gaps_and_frames_without_phase_are_seen_where_they_are(slider):
    columns = slider.columns()
    per_s = len(columns) / 10
    kinds = [columns[int(t * per_s)] for t in (0.5, 1.5, 2.5, 3.5, 5.0, 6.5, 7.5)]
    assert kinds == [0, 0, 1, 2, 2, 2, 0]


def test_a_gap_is_seen_however_short_it_is(slider):
    times_s = np.concatenate([np.arange(5000), np.arange(5002, 10000)])
    slider.show_timeline(Timeline(times_s * 10**9), np.ones(len(times_s), bool))
    assert np.count_nonzero(slider.columns() == 2) == 1


def test_pressing_and_dragging_goes_to_the_nearest_frame(slider, operator):
    sought: list[int] = []
    slider.sought.connect(sought.append)
    operator.drag(slider, place(slider, 2.2), place(slider, 6.1))
    assert sought[0] == 2
    assert sought[-1] == 4
    assert set(sought) <= {2, 3, 4}


def test_a_press_on_a_marker_goes_to_its_frame_exactly(slider, operator):
    sought: list[int] = []
    slider.sought.connect(sought.append)
    operator.click(slider, place(slider, 8) + QPoint(4, -16))
    assert sought == [5]


def test_it_says_what_lies_below_the_mouse(slider):
    def text(time_s: float, above: int = 0) -> str:
        return slider.text_at(QPointF(place(slider, time_s) - QPoint(0, above)))

    assert text(8, above=16) == "Marker: clamped"
    assert text(5) == "Gap: no frame for 4.000 s"
    assert text(2) == "2.000 s, frame 3, not reconstructed"
    assert text(1.1) == "1.000 s, frame 2"


def test_nothing_can_be_sought_where_there_is_nothing(slider, operator):
    slider.show_timeline(Timeline(np.zeros(0, np.int64)), np.zeros(0, bool))
    sought: list[int] = []
    slider.sought.connect(sought.append)
    operator.click(slider, QPoint(200, 20))
    assert sought == []
    assert not slider.grab().isNull()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.25, "3.250 s"), (0, "0.000 s"), (123.25, "2:03.250"), (3723.25, "1:02:03.250"), (59.9996, "1:00.000")],
)
def test_times_are_written_with_the_digits_they_need(seconds, text):
    assert time_text(seconds) == text


def test_times_below_the_slider_are_round():
    assert tick_step_s(10, 10) == 1
    assert tick_step_s(0.9, 9) == pytest.approx(0.1)
    assert tick_step_s(95, 8) == 20
    assert tick_step_s(0, 8) == 0
    assert tick_text(0.3, 0.1) == "0.3 s"
    assert tick_text(90, 30) == "1:30"


def test_the_time_of_day_is_that_of_this_computer():
    assert clock_text("2026-06-01T12:00:00.123456+00:00").endswith(".123")
    assert clock_text("nonsense") == ""
