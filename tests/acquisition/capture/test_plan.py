"""A capture plan: every pattern once, references where they belong, the same from any starting point."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acquisition.capture.plan import CapturePlan, PlanError, read_plan
from acquisition.patterns.source_name import PatternError
from acquisition.patterns.sources import blank

SHAPE = (8, 8)


@given(pairs=st.integers(1, 60), every=st.integers(1, 30))
def test_a_plan_shows_every_object_once_between_references(pairs: int, every: int) -> None:
    plan = CapturePlan(source="cells", pairs=pairs, seed=2, reference_every=every)
    kinds = [plan.is_reference(number) for number in range(len(plan))]
    assert kinds.count(False) == pairs
    assert kinds[0]
    assert kinds[-1]
    gaps = "".join("R" if kind else "o" for kind in kinds).strip("R").split("R")
    assert max(len(gap) for gap in gaps) <= every
    assert "RR" not in "".join("R" if kind else "o" for kind in kinds), "a reference after a reference is wasted"


def test_the_shots_are_the_patterns_of_the_source_in_order() -> None:
    plan = CapturePlan(source="cells", pairs=7, seed=5, reference_every=3)
    shots = list(plan.shots(SHAPE))
    assert [shot.number for shot in shots] == list(range(len(plan)))
    source = plan.patterns(SHAPE)
    assert [shot.pattern.id for shot in shots if not shot.is_reference] == [source[k].id for k in range(7)]
    assert {shot.pattern.id for shot in shots if shot.is_reference} == {blank(SHAPE).id}


@given(start=st.integers(0, 11))
def test_a_plan_goes_on_from_anywhere(start: int) -> None:
    plan = CapturePlan(source="cells", pairs=7, seed=5, reference_every=3)
    whole = [(shot.number, shot.pattern.id, shot.is_reference) for shot in plan.shots(SHAPE)]
    assert [(shot.number, shot.pattern.id, shot.is_reference) for shot in plan.shots(SHAPE, start)] == whole[start:]


def test_the_hash_tells_any_two_plans_apart() -> None:
    plan = CapturePlan(source="cells", pairs=7)
    others = [
        plan.model_copy(update={name: value})
        for name, value in {
            "source": "leaves",
            "pairs": 8,
            "seed": 1,
            "phase_range_rad": 1.0,
            "reference_every": 5,
            "exposure_s": 0.02,
            "max_saturated": 0.5,
            "min_mean_fraction": 0.1,
            "min_reference_correlation": 0.1,
            "min_frame_correlation": 0.5,
            "repeats": 2,
            "order": "shuffled",
            "dark_frames": 3,
            "preamble": False,
        }.items()
    ]
    assert set(plan.to_dict()) == set(CapturePlan.model_fields)
    assert len(others) == len(plan.to_dict()), "a new field needs its line here"
    assert len({plan.hash, *(other.hash for other in others)}) == len(others) + 1
    assert CapturePlan.model_validate(plan.to_dict()).hash == plan.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": 0}, "'pairs' = 0: Input should be greater than or equal to 1"),
        ({"reference_every": 0}, "'reference_every' = 0"),
        ({"repeats": 0}, "'repeats' = 0"),
        ({"dark_frames": -1}, "'dark_frames' = -1"),
        ({"exposure_s": 0}, "'exposure_s' = 0: Input should be greater than 0"),
        ({"exposure_s": float("nan")}, "'exposure_s' = nan"),
        ({"exposure_s": float("inf")}, "'exposure_s' = inf: Input should be a finite number"),
        ({"phase_range_rad": -1.5}, "'phase_range_rad' = -1.5"),
        ({"max_saturated": float("nan")}, "'max_saturated' = nan: Input should be a finite number"),
        ({"min_frame_correlation": float("nan")}, "'min_frame_correlation' = nan"),
        ({"min_mean_fraction": -0.1}, "'min_mean_fraction' = -0.1"),
        ({"seed": -1}, "'seed' = -1"),
        ({"order": "random"}, "'order' = 'random': Input should be 'sequential' or 'shuffled'"),
    ],
)
def test_an_impossible_plan_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(PatternError, match=re.escape(message)):
        CapturePlan.model_validate({"source": "cells", "pairs": 5, **change})
    plan = CapturePlan(source="cells", pairs=5)
    with pytest.raises(PlanError, match=re.escape(message)):
        plan.model_copy(update=change)


@pytest.mark.parametrize("stored", [{"source": "cells", "pairs": 6}, {"source": "mixed", "pairs": 10_000, "exposure_s": 1}])
def test_a_plan_keeps_its_values_as_they_were_written(stored: dict[str, object]) -> None:
    values = CapturePlan.model_validate(stored).to_dict()
    assert [repr(values[name]) for name in stored] == [repr(value) for value in stored.values()]


def test_the_hash_of_a_plan_is_the_same_in_every_release() -> None:
    assert CapturePlan(source="cells", pairs=6).hash == "90d2691f56dd7ce7"
    assert CapturePlan(source="mixed", pairs=10_000, exposure_s=1, order="shuffled").hash == "f51d283408ca4d99"


def test_repeats_show_each_pattern_again_and_shuffling_moves_them() -> None:
    plain = CapturePlan(source="cells", pairs=6, reference_every=100)
    objects = [shot.pattern.id for shot in plain.shots(SHAPE) if not shot.is_reference]
    twice = [shot.pattern.id for shot in plain.model_copy(update={"repeats": 2}).shots(SHAPE) if not shot.is_reference]
    assert twice == [objects[0], objects[0], objects[1], objects[1], objects[2], objects[2]]
    shuffled = [
        shot.pattern.id
        for shot in plain.model_copy(update={"order": "shuffled", "seed": 0}).shots(SHAPE)
        if not shot.is_reference
    ]
    assert sorted(shuffled) == sorted(objects)
    assert shuffled != objects


def test_a_plan_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("source: mixed\npairs: 10000\nexposure_s: 1\norder: shuffled\n")
    assert read_plan(file) == CapturePlan(source="mixed", pairs=10_000, exposure_s=1, order="shuffled")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: mixed", "'pairs' is missing"),
        ("source: mixed\npairs: many", "'pairs' = 'many': Input should be a valid integer"),
        ("source: mixed\npairs: true", "'pairs' = True: Input should be a valid integer"),
        ("source: mixed\npairs: 5\npreamble: 1", "'preamble' = 1: Input should be a valid boolean"),
        ("source: mixed\npairs: 5\norder: random", "'order' = 'random': Input should be 'sequential' or 'shuffled'"),
        ("source: mixed\npairs: 5\nexposure: 1", "unknown key 'exposure'; did you mean 'exposure_s'?"),
        ("- a", "must hold 'field: value' lines"),
        ("a: [", "cannot read the plan"),
    ],
)
def test_a_mistake_in_a_plan_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    with pytest.raises(PlanError, match=re.escape(message)) as caught:
        read_plan(file)
    assert "\n" not in str(caught.value)
    with pytest.raises(PlanError, match="no plan file"):
        read_plan(tmp_path / "gone.yaml")
