"""The verdict of the reliability benchmark, and the time that a quick part may take."""

from __future__ import annotations

import pytest

from app.benchmarks.reliability.bench import broken_promises
from app.benchmarks.reliability.budget import QUICK_S, Budget, Part


def test_numbers_that_should_be_zero_or_equal_are_named() -> None:
    numbers = {"kills": 60, "lost": 1, "faults_injected": 84, "faults_matched": 83, "session_growth_mb_per_100": 21.5}
    assert broken_promises(numbers) == [
        "lost is 1 instead of 0",
        "faults_matched is 83, faults_injected is 84",
        "session_growth_mb_per_100 is 21.5, more than 20",
    ]


def test_parts_that_did_not_run_break_nothing() -> None:
    assert not broken_promises({"kills": 60, "lost": 0})


def test_a_key_that_a_part_forgot_is_a_broken_promise() -> None:
    assert broken_promises({"faults_injected": 0}) == ["faults_matched is missing, faults_injected is 0"]


@pytest.mark.parametrize(("quick_s", "rounds"), [(0.0, 1), (60.0, 5)])
def test_a_quick_part_does_one_round_at_least(quick_s: float, rounds: int) -> None:
    assert list(Budget(quick=True, quick_s=quick_s).rounds(5)) == list(range(rounds))


def test_the_quick_parts_together_take_less_than_three_minutes() -> None:
    assert set(QUICK_S) == set(Part)
    assert sum(QUICK_S.values()) < 160
