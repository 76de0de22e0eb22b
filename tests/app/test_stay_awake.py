"""The computer is kept awake while something runs, and not longer; where that is impossible it is told."""

from __future__ import annotations

import threading

import pytest

from app.stay_awake import StayAwake


def running() -> int:
    return sum(thread.name == "stay awake" for thread in threading.enumerate())


def test_it_holds_as_long_as_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS", "1")
    before = running()  # of windows of other tests
    with StayAwake() as awake:
        awake.hold(awake=True)
        assert awake.holding
        assert running() == before + 1
    assert not awake.holding
    assert running() == before
    assert not awake.refused


def test_a_computer_that_refuses_is_told_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAKEPY_FAKE_SUCCESS", "0")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setenv("PATH", "")
    before = running()
    with StayAwake() as awake:
        pass
    assert awake.refused
    assert running() == before
