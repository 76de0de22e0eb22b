"""The verdict on a calibration: never measured, good, doubtful, stale, or against the settings, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.calibrations.kinds import FACTS, Calibration
from app.calibrations.measure import MEASURE
from app.calibrations.target import CalibrationTarget
from app.calibrations.verdict import CalibrationState, age_text, judge, value_text
from calibration.devices import camera, phase_lut, timing
from calibration.fibre import response, statistics
from calibration.registration import affine
from tests.helpers.calibrations.stored import small_config, small_target, stored_as


@pytest.fixture
def target(tmp_path: Path) -> CalibrationTarget:
    return small_target(small_config(tmp_path))[0]


def test_every_calibration_has_its_facts_and_is_stored_under_the_name_that_its_reader_knows() -> None:
    kinds = (timing.KIND, phase_lut.KIND, camera.KIND, affine.KIND, statistics.KIND, response.KIND)
    assert tuple(FACTS[what].stored_kind for what in Calibration) == kinds
    assert set(MEASURE) == set(FACTS) == set(Calibration)


@pytest.mark.parametrize("what", Calibration)
def test_what_is_measured_well_is_good_and_what_is_missing_was_never_measured(
    what: Calibration, target: CalibrationTarget
) -> None:
    verdict = judge(what, stored_as(what, target), target)
    assert verdict.state is CalibrationState.GOOD, verdict
    assert verdict.reason
    assert value_text(what, stored_as(what, target))
    assert judge(what, None, target).state is CalibrationState.NEVER


@pytest.mark.parametrize(
    ("what", "values", "reason"),
    [
        (Calibration.TIMING, {"residual_fraction": 0.12}, "do not fit the step is 0.12, at most 0.05 is good"),
        (Calibration.LUT, {"residual_rad": 0.04}, "residual of the fit is 0.04 rad, at most 0.02 rad is good"),
        (Calibration.CAMERA, {"linearity_percent": 2.5}, "deviation from a straight line is 2.5 %"),
        (Calibration.REGISTRATION, {"uncertainty_px": float("nan")}, "uncertainty is nan px"),
        (Calibration.FIBRE, {"correlation": 0.3}, "at least 0.5 is good"),
        (Calibration.RESPONSE, {"quality": 0.9}, "at least 0.98 is good"),
    ],
)
def test_what_is_measured_badly_is_doubtful(
    what: Calibration, values: dict[str, float], reason: str, target: CalibrationTarget
) -> None:
    verdict = judge(what, stored_as(what, target, **values), target)
    assert verdict.state is CalibrationState.DOUBTFUL
    assert reason in verdict.reason


def test_the_settling_time_of_the_settings_is_contradicted_with_both_numbers(target: CalibrationTarget) -> None:
    verdict = judge(Calibration.TIMING, stored_as(Calibration.TIMING, target, settle_s=0.058), target)
    assert verdict.state is CalibrationState.CONTRADICTS
    assert "58 ms measured, 15 ms declared" in verdict.reason
    late = judge(Calibration.TIMING, stored_as(Calibration.TIMING, target, latency_s=0.1), target)
    assert "100 ms measured, 50 ms declared" in late.reason


def test_response_exposure_and_phase_of_the_settings_are_contradicted(tmp_path: Path, target: CalibrationTarget) -> None:
    assumed = small_target(small_config(tmp_path, assumed_lut_gamma=1.3))[0]
    verdict = judge(Calibration.LUT, stored_as(Calibration.LUT, assumed), assumed)
    assert verdict.state is CalibrationState.CONTRADICTS
    assert "the settings assume another response" in verdict.reason
    bright = judge(Calibration.CAMERA, stored_as(Calibration.CAMERA, target), replace(target, exposure_s=0.005))
    assert "2.5 ms fill 80 % of the range, 5 ms are set" in bright.reason
    weak = judge(Calibration.FIBRE, stored_as(Calibration.FIBRE, target, phase_scale=0.87), target)
    assert "0.87 times the phase that is asked for; measure 'SLM phase response'" in weak.reason


def test_age_other_devices_and_another_fibre_make_it_stale(target: CalibrationTarget) -> None:
    old = judge(Calibration.LUT, stored_as(Calibration.LUT, target, days=31), target)
    assert old.state is CalibrationState.STALE
    assert old.reason == "older than 30 days; measure again"
    assert judge(Calibration.TIMING, stored_as(Calibration.TIMING, target, days=31), target).state is CalibrationState.GOOD
    moved = replace(target, fibre="another")
    for what, state in ((Calibration.REGISTRATION, CalibrationState.STALE), (Calibration.CAMERA, CalibrationState.GOOD)):
        assert judge(what, stored_as(what, target), moved).state is state
    other = replace(target, devices={**target.devices, "slm": "another SLM"})
    verdict = judge(Calibration.TIMING, stored_as(Calibration.TIMING, target), other)
    assert verdict.state is CalibrationState.STALE
    assert "the instrument has 'another SLM'" in verdict.reason


def test_a_calibration_without_its_numbers_is_unreadable(target: CalibrationTarget) -> None:
    stored = stored_as(Calibration.TIMING, target)
    bare = replace(stored, values={"fibre": target.fibre})
    assert judge(Calibration.TIMING, bare, target).state is CalibrationState.UNREADABLE
    assert value_text(Calibration.TIMING, bare) == ""
    text = replace(stored, values={**stored.values, "settle_s": "soon"})
    assert judge(Calibration.TIMING, text, target).state is CalibrationState.UNREADABLE
    lut = stored_as(Calibration.LUT, target)
    short = replace(lut, arrays={"phases_rad": np.zeros(3)})
    assert judge(Calibration.LUT, short, target).state is CalibrationState.UNREADABLE


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "just now"), (0.001, "1 minute ago"), (0.5, "12 hours ago"), (2, "2 days ago"), (400, "400 days ago"), (-1, "future")],
)
def test_an_age_is_said_in_words(days: float, text: str) -> None:
    assert text in age_text(days)
