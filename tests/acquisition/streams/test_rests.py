"""Rests of long work beside the window."""

import threading
import time

import pytest

from acquisition.streams import rests
from acquisition.streams.rests import with_rests


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    times: list[float] = []
    monkeypatch.setattr(time, "sleep", times.append)
    return times


def test_work_beside_the_window_rests(slept: list[float]) -> None:
    items: list[int] = []
    thread = threading.Thread(target=lambda: items.extend(with_rests(range(50), 16)))
    thread.start()
    thread.join()
    assert items == list(range(50))
    assert slept == [rests.REST_S] * 3


def test_the_main_thread_does_not_rest(slept: list[float]) -> None:
    assert list(with_rests(range(50), 16)) == list(range(50))
    assert slept == []
