"""The name of a recording follows its pattern, and the counter never gives a name twice."""

from __future__ import annotations

from datetime import datetime

import pytest

from app.live.recordings.disk_room import disk_room
from app.live.recordings.name_pattern import recording_name
from app.live.recordings.options import RecordingOptionsError

NOW = datetime(2026, 11, 29, 14, 5, 9)


def name(pattern: str, *used: str) -> str:
    return recording_name(pattern, "liver", NOW, lambda candidate: candidate in used)


@pytest.mark.parametrize(
    ("pattern", "result"),
    [
        ("{name}", "liver"),
        ("{name}_{date}_{time}", "liver_2026-11-29_14-05-09"),
        ("{name}-{counter:03}", "liver-001"),
        ("{counter}", "1"),
        ("plain", "plain"),
    ],
)
def test_a_pattern_is_filled_in(pattern: str, result: str) -> None:
    assert name(pattern) == result


def test_the_counter_is_the_first_that_is_not_used() -> None:
    assert name("{name}-{counter:02}", "liver-01", "liver-02", "liver-04") == "liver-03"


@pytest.mark.parametrize("pattern", ["{sample}", "{name", "name}", "{name:03}", "{}", "{counter:x}", "", " "])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(RecordingOptionsError, match=r"use \{name\}, \{date\}"):
        name(pattern)


@pytest.mark.parametrize(
    ("free", "rate", "text"),
    [
        (52e9, 0.0, "52 GB free"),
        (60e9, 2.0, "60 GB free, 8 h 20 min left"),
        (600e6, 2.0, "0.6 GB free, 5 min left"),
        (60e6, 2.0, "0.06 GB free, 30 s left"),
    ],
)
def test_the_room_on_the_disk_lasts_as_long_as_the_rate_says(free: float, rate: float, text: str) -> None:
    assert disk_room(round(free), 1_000_000, rate).text == text
