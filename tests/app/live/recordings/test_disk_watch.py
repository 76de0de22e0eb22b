"""A disk that stalls is told once, and so is that it goes on; a disk that keeps up is not mentioned."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from app.live.recordings.disk_watch import STALLED_S, DiskWatch
from app.status import MessageLevel, Topic


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the seconds of the monotonic clock."""
    return lambda seconds: monkeypatch.setattr(time, "monotonic", lambda: seconds)


def test_a_stall_is_told_once_and_so_is_its_end(at: Callable[[float], None]) -> None:
    at(0.0)
    watch = DiskWatch()
    assert watch.look(10, 0) is None
    assert watch.look(10, 500) is None
    at(STALLED_S)
    message = watch.look(10, 1000)
    assert message is not None
    assert (message.level, message.topic) == (MessageLevel.WARNING, Topic.RECORDING)
    assert "the disk does not answer" in message.text
    at(60.0)
    assert watch.look(10, 9000) is None
    again = watch.look(20, 9000)
    assert again is not None
    assert (again.level, again.topic) == (MessageLevel.INFO, Topic.RECORDING)
    assert watch.look(30, 9000) is None


def test_frames_that_wait_for_their_reconstruction_say_nothing_about_the_disk(at: Callable[[float], None]) -> None:
    at(0.0)
    watch = DiskWatch()
    at(100.0)
    assert watch.look(0, 0) is None
    assert watch.look(0, 500) is None


def test_a_disk_that_stores_frames_is_not_called_stalled(at: Callable[[float], None]) -> None:
    at(0.0)
    watch = DiskWatch()
    for second in range(1, 20):
        at(float(second))
        assert watch.look(second, 500) is None
