"""Percentiles of recent times."""

from __future__ import annotations

import math

import pytest

from acquisition.streams.times import NO_TIMES, TimeHistogram


def test_percentiles_are_those_of_the_recent_times() -> None:
    times = TimeHistogram(window=101)
    assert times.stats() is NO_TIMES
    assert math.isnan(times.stats().to_dict()["p95_ms"])
    for k in range(1000, 1101):
        times.add(k / 1000)
    for k in range(101):  # only these are recent
        times.add(k / 1000)
    stats = times.stats()
    assert stats.count == 101
    assert (stats.p50_s, stats.p95_s, stats.p99_s) == pytest.approx((0.05, 0.095, 0.099))
    assert stats.to_dict() == pytest.approx({"count": 101, "p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0})
