"""Sessions that are opened and closed: what they leave is measured, and a session that leaves something is noticed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from app.benchmarks.reliability import sessions
from app.benchmarks.reliability.budget import Budget, Numbers
from app.live.session import Session
from tests.helpers.small_instrument import small_instrument

KEYS = {"sessions", "session_starts", "session_growth_mb_per_100", "threads_left", "handles_left"}


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""


def line(session: int, resident_mb: float, threads: int = 12) -> dict[str, float]:
    return {"session": session, "starts": 3, "resident_mb": resident_mb, "handles": 6, "threads": threads, "seconds": 1.0}


def test_the_growth_is_that_after_the_warm_up_and_the_engines_take_turns() -> None:
    lines = [line(number, 500 + 40 * min(number, 20) + 0.1 * number + 30 * (number % 2)) for number in range(121)]
    numbers = sessions.numbers_of(lines)
    assert numbers["sessions"] == 120
    assert numbers["session_starts"] == 363
    assert numbers["session_growth_mb_per_100"] == pytest.approx(10, abs=1)
    assert (numbers["threads_left"], numbers["handles_left"]) == (0, 0)


def test_few_sessions_claim_nothing_about_memory() -> None:
    numbers = sessions.numbers_of([line(0, 400, 4), line(1, 500), line(2, 600)])
    assert numbers.keys() >= KEYS
    assert (numbers["sessions"], numbers["session_growth_mb_per_100"], numbers["session_growth_known"]) == (2, 0.0, 0)
    assert numbers["threads_left"] == 0
    assert sessions.numbers_of([]).keys() >= KEYS


def used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> Numbers:
    """Use sessions in this process, with a warm-up of one of them."""
    monkeypatch.setattr(sessions, "WARM_UP", 1)
    monkeypatch.setattr(sessions, "ENGINES", ("torch",))
    return sessions.numbers_of(list(sessions.usage_lines(small_instrument(tmp_path), count, 0.0)))


@pytest.mark.slow
def test_sessions_that_keep_memory_threads_and_files_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    end = threading.Event()
    close = Session.close

    def leaking(session: Session) -> None:
        close(session)
        kept.append(np.ones(5_000_000))
        kept.append(os.open(os.devnull, os.O_RDONLY))
        threading.Thread(target=end.wait).start()

    monkeypatch.setattr(Session, "close", leaking)
    try:
        numbers = used(tmp_path, monkeypatch, 4)
    finally:
        end.set()
        for handle in kept:
            if isinstance(handle, int):
                os.close(handle)
    assert numbers["sessions"] == 4
    assert isinstance(numbers["session_growth_mb_per_100"], float)
    assert numbers["session_growth_mb_per_100"] > 2000
    assert numbers["threads_left"] == 3
    assert numbers["handles_left"] == 3


@pytest.mark.slow
def test_a_quick_run_gives_every_number() -> None:
    numbers = sessions.measure(Budget(quick=True, quick_s=10.0), silent)
    assert numbers.keys() >= KEYS
    assert numbers["sessions_findings"] == []
    assert numbers["sessions"] >= 1
    assert numbers["session_starts"] == 3 * numbers["sessions"]
    assert (numbers["threads_left"], numbers["handles_left"]) == (0, 0)


@pytest.mark.slow
def test_a_process_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECKLESCOPE_LOG", "ERROR")
    monkeypatch.setattr(sessions, "SESSIONS", "many")
    numbers = sessions.measure(Budget(quick=True, quick_s=1.0), silent)
    assert numbers["sessions"] == 0
    assert "exit code 1: ValueError" in str(numbers["sessions_findings"])
