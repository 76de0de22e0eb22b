"""The verdict about a new model: from the same pictures, or from two cards, with the reason in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.training.verdict import PictureScores, Verdict, judge_cards, judge_pictures

GOOD = {"ssim": 0.87, "correlation": 0.97, "mae_rad": 0.13}


def pictures(*ssims: float) -> list[PictureScores]:
    return [PictureScores(ssim, 0.95, 0.1) for ssim in ssims]


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.05, Verdict.BETTER), (-0.05, Verdict.WORSE), (0.004, Verdict.ABOUT_EQUAL)], ids=str
)
def test_models_are_compared_picture_by_picture(gain: float, verdict: Verdict) -> None:
    # The pictures differ by far more than the models.
    present = np.linspace(0.3, 0.9, 12)
    judgement = judge_pictures(pictures(*(present + gain)), pictures(*present))
    assert judgement.verdict is verdict
    assert "on 12 held-out pictures" in judgement.reason
    assert f"{present.mean():.3f}" in judgement.reason


def test_a_gain_on_few_pictures_that_contradict_each_other_is_no_gain() -> None:
    judgement = judge_pictures(pictures(0.9, 0.5, 0.9, 0.5), pictures(0.7, 0.68, 0.7, 0.68))
    assert judgement.verdict is Verdict.ABOUT_EQUAL


@pytest.mark.parametrize(
    "scores",
    [PictureScores(-0.03, 0.01, 0.9), PictureScores(0.30, 0.037, 0.68), PictureScores(math.nan, math.nan, math.nan)],
    ids=["below zero", "the mean picture of a published network", "not a number"],
)
def test_a_model_that_has_learned_nothing_warns(scores: PictureScores) -> None:
    judgement = judge_pictures([scores] * 3, pictures(0.8, 0.8, 0.8))
    assert judgement.verdict is Verdict.LEARNED_NOTHING
    assert judgement.verdict.warns
    assert "Train it longer" in judgement.reason


def test_without_a_present_model_there_is_no_comparison() -> None:
    judgement = judge_pictures(pictures(0.8, 0.9), [])
    assert judgement.verdict is Verdict.UNKNOWN
    assert "SSIM of 0.85" in judgement.reason


@pytest.mark.parametrize(
    ("new", "present", "verdict"),
    [
        ({**GOOD, "ssim": 0.92}, GOOD, Verdict.BETTER),
        ({**GOOD, "ssim": 0.80}, GOOD, Verdict.WORSE),
        ({**GOOD, "ssim": 0.88}, GOOD, Verdict.ABOUT_EQUAL),
        ({"ssim": -0.03, "correlation": 0.02, "mae_rad": 1.0}, GOOD, Verdict.LEARNED_NOTHING),
        ({"stopped_at_step": 250}, GOOD, Verdict.UNKNOWN),
        (GOOD, None, Verdict.UNKNOWN),
        (GOOD, {"ssim": "good"}, Verdict.UNKNOWN),
    ],
)
def test_cards_give_a_verdict_before_anything_is_computed(
    new: dict[str, object], present: dict[str, object] | None, verdict: Verdict
) -> None:
    assert judge_cards(new, present).verdict is verdict
