"""The time left of a training: with loading, simulation and scores, and never the steps alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from app.training.process import TrainingOrder
from app.training.time_left import Stage, TimeLeft, estimated_s

ORDER = TrainingOrder(folder=Path("m"), minutes=10, pairs=1000)


def test_the_estimate_includes_the_preparation() -> None:
    assert estimated_s(ORDER) > 600 + 1000 * 0.05
    captured = TrainingOrder(folder=Path("m"), minutes=10, dataset=Path("d"))
    assert 600 < estimated_s(captured) < estimated_s(ORDER)


def test_every_stage_counts_what_comes_after_it() -> None:
    left = TimeLeft(ORDER, 0.0)
    starting = left.update(1.0, "", 0.0)
    assert (starting.stage, starting.seconds_left) == (Stage.STARTING, pytest.approx(estimated_s(ORDER) - 1))
    left.update(10.0, "simulating pairs: 0 of 1000", 0.0)
    simulating = left.update(30.0, "simulating pairs: 100 of 1000", 0.0)
    assert (simulating.stage, simulating.done, simulating.total) == (Stage.SIMULATING, 100, 1000)
    # 100 pairs took 20 s, so the other 900 take 180 s; then 10 minutes of training and the scores.
    assert 180 + 600 < simulating.seconds_left < 180 + 600 + 90
    left.update(210.0, "fitting in closed form: 1 of 2", 0.0)
    fitting = left.update(214.0, "fitting in closed form: 1 of 2", 0.0)
    assert fitting.stage is Stage.FITTING
    assert 4 + 600 <= fitting.seconds_left < 720
    training = left.update(220.0, "training: 0 of 600, loss 1.000", 0.0)
    assert training.stage is Stage.TRAINING
    assert 600 < training.seconds_left < 690
    later = left.update(520.0, "training: 290 of 600, loss 0.500", 290.0)
    assert (later.done, later.total) == (290, 600)
    assert 310 < later.seconds_left < 390
    assert training.fraction < later.fraction < 1
    scoring = left.update(840.0, "training: 600 of 600", 600.0)
    assert scoring.stage is Stage.SCORING
    assert 0 < left.update(900.0, "training: 600 of 600", 600.0).seconds_left < scoring.seconds_left
    compiling = left.compiling(910.0, 0, 5)
    assert (compiling.stage, compiling.done, compiling.total) == (Stage.COMPILING, 0, 5)
    # Two of five engines took 20 s, so the other three take 30 s.
    assert left.compiling(930.0, 2, 5).seconds_left == pytest.approx(30)


def test_between_two_lines_the_time_goes_on() -> None:
    left = TimeLeft(ORDER, 0.0)
    first = left.update(20.0, "training: 0 of 600", 0.0)
    assert left.update(27.0, "training: 0 of 600", 0.0).seconds_left == pytest.approx(first.seconds_left - 7, abs=1)


def test_a_resumed_run_trains_only_what_is_missing() -> None:
    left = TimeLeft(ORDER, 0.0, trained_s=540.0)
    assert left.update(1.0, "", 540.0).seconds_left < estimated_s(ORDER) - 530
    left.update(9.0, "simulating pairs: 1000 of 1000", 540.0)
    training = left.update(10.0, "training: 540 of 600", 540.0)
    assert (training.stage, training.done) == (Stage.TRAINING, 540)
    assert 60 < training.seconds_left < 140


def test_other_lines_change_nothing() -> None:
    left = TimeLeft(ORDER, 0.0)
    for line in ("waiting for process 7", "simulating pairs: 5 of 0", ": 1 of 2", "specklescope: no model: 1 of 2"):
        assert left.update(1.0, line, 0.0).stage is Stage.STARTING


def test_the_time_of_a_number_of_steps_is_not_known() -> None:
    left = TimeLeft(TrainingOrder(folder=Path("m"), minutes=0), 0.0)
    progress = left.update(9.0, "training: 30 of 120, loss 0.4", 20.0)
    assert math.isnan(progress.seconds_left)
    assert (progress.stage, progress.done, progress.total, progress.fraction) == (Stage.TRAINING, 30, 120, 0.25)
