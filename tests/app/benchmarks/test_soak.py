"""The soak: a short one gives every number and notices what grows; a long one shows that nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.benchmarks import soak
from app.benchmarks.process_usage import ProcessUsage, growth, slope
from app.benchmarks.soak import SoakPlan
from app.live.session import Session
from reconstruction.base import ReconstructionError
from reconstruction.live.live_reconstructor import LiveReconstructor
from tests.helpers.small_instrument import small_instrument

KEYS = {"soak_minutes", "soak_rss_slope_mb_per_min", "soak_handles_growth", "soak_threads_growth", "soak_findings"}


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""


def test_slope_and_growth_ignore_single_peaks() -> None:
    minutes = np.arange(100.0)
    assert slope(minutes, np.where(minutes % 10 == 3, 900.0, 2 * minutes)) == pytest.approx(2, abs=0.1)
    assert slope([1.0], [5.0]) == 0
    assert growth([4, 4, 9, 4, 4, 4]) == 0
    assert growth([4, 4, 5, 6, 7, 7]) == 3
    assert growth([]) == 0


def test_usage_counts_open_files_and_threads(tmp_path: Path) -> None:
    before = ProcessUsage.now()
    with (tmp_path / "file").open("w"):
        assert ProcessUsage.now().handles == before.handles + 1
    assert before.threads >= 1
    assert before.resident_mb > 10


def test_a_short_soak_does_everything_and_gives_every_number(tmp_path: Path) -> None:
    config = small_instrument(tmp_path)
    numbers = soak.soak(config, SoakPlan(minutes=0.06, cycle_s=3.0), silent)
    assert numbers.keys() >= KEYS
    assert numbers["soak_findings"] == []
    assert numbers["soak_recordings"] >= 1
    assert numbers["soak_views"] > 3
    assert abs(numbers["soak_handles_growth"]) < 20
    assert not config.archive.exists()


def test_an_error_of_the_session_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ReconstructionError("the engine lost its device")

    monkeypatch.setattr(LiveReconstructor, "__call__", broken)
    numbers = soak.soak(small_instrument(tmp_path), SoakPlan(minutes=0.01), silent)
    assert numbers["soak_findings"] == ["the engine lost its device"]


@pytest.mark.slow
def test_files_that_stay_open_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    poll = Session.poll_view

    def leaking(session: Session) -> object:
        kept.append(os.open(os.devnull, os.O_RDONLY))
        return poll(session)

    monkeypatch.setattr(Session, "poll_view", leaking)
    try:
        numbers = soak.soak(small_instrument(tmp_path), SoakPlan(minutes=0.06, cycle_s=30.0), silent)
    finally:
        for handle in kept:
            os.close(handle)
    assert numbers["soak_handles_growth"] > 5


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_half_an_hour_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    command = [sys.executable, "-P", "-m", soak.__spec__.name, "30", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(Path(soak.__file__).parents[2])}
    subprocess.run(command, check=True, env=environment, timeout=2300)
    numbers = json.loads(file.read_text())
    assert numbers["soak_findings"] == []
    assert numbers["soak_minutes"] >= 30
    assert numbers["soak_rss_slope_mb_per_min"] < 0.5
    assert numbers["soak_handles_growth"] <= 0
    assert numbers["soak_threads_growth"] <= 0
