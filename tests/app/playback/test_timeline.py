"""The times of a recording: true ones, gaps as gaps, markers at their frames."""

from __future__ import annotations

import numpy as np
import pytest

from acquisition.archive.recording_faults import Marker
from acquisition.archive.rows import StoredRow
from app.playback.timeline import Gap, PlacedMarker, Timeline


def timeline(*times_s: float) -> Timeline:
    return Timeline(np.round(np.array(times_s) * 1e9).astype(np.int64))


def test_times_are_those_of_the_exposures_after_the_first():
    times = timeline(50.0, 50.1, 50.25)
    assert times.are_true
    assert times.times_s == pytest.approx([0, 0.1, 0.25])
    assert times.duration_s == pytest.approx(0.25)


def test_a_missing_frame_is_a_gap_and_jitter_is_none():
    times = timeline(0.0, 0.1, 0.21, 0.3, 0.5, 0.6)
    assert [(round(gap.start_s, 9), round(gap.end_s, 9)) for gap in times.gaps] == [(0.3, 0.5)]
    assert times.gap_after(3) == Gap(times.time_of(3), times.time_of(4))
    assert times.gap_after(2) is None


def test_the_frame_at_a_time_is_the_newest_one_and_the_nearest_one_is_that_beside_the_mouse():
    times = timeline(0.0, 1.0, 2.0)
    assert [times.position_at(t) for t in (-1, 0, 0.99, 1.0, 5)] == [0, 0, 0, 1, 2]
    assert [times.nearest(t) for t in (0.4, 0.6, 9)] == [0, 1, 2]


def test_times_that_fall_are_not_believed():
    times = timeline(10.0, 11.0, 3.0)
    assert not times.are_true
    assert (np.diff(times.times_s) > 0).all()
    assert times.gaps == ()


def test_one_frame_and_no_frame_have_a_timeline():
    assert timeline(7.0).duration_s == 0
    assert timeline(7.0).position_at(3.0) == 0
    assert len(timeline()) == 0
    assert timeline().time_of(3) == 0


def test_markers_stand_at_their_frames_in_order():
    rows = [StoredRow(frame_index=k, t_ns=k, exposure_s=0.1, index=k - 5, slot=0, shard=0) for k in range(5, 15)]
    times = Timeline.of(rows, (Marker("late", "", 13), Marker("early", "", 6), Marker("before the first frame", "", 2)))
    assert times.markers == (PlacedMarker(0, "before the first frame"), PlacedMarker(1, "early"), PlacedMarker(8, "late"))
    assert times.next_marker(1) == PlacedMarker(8, "late")
    assert times.next_marker(8) is None
    assert times.previous_marker(8) == PlacedMarker(1, "early")
    assert times.previous_marker(0) is None
