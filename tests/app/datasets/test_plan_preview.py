"""The preview of a plan shows the patterns that the run will show, in its order, with their grey levels."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from acquisition.capture.plan import CapturePlan
from acquisition.patterns.source_name import PatternError
from app.datasets.plan_preview import SHOWN, SIDE_PX, preview

SHAPE = (48, 64)


@pytest.mark.parametrize("order", ["sequential", "shuffled"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_the_pictures_are_those_of_the_run(order: str, repeats: int) -> None:
    plan = CapturePlan(source="cells", pairs=40, reference_every=4, order=order, repeats=repeats, phase_range_rad=2.0)
    pictures = preview(plan, SHAPE)
    shots = {shot.number: shot for shot in plan.shots(SHAPE)}
    names = list(dict.fromkeys(shot.pattern.name for shot in shots.values() if not shot.is_reference))
    assert [picture.name for picture in pictures] == names[:SHOWN]
    for picture in pictures:
        shot = shots[picture.shot]
        assert not shot.is_reference
        assert shot.pattern.name == picture.name
        assert np.array_equal(picture.grey, np.clip(shot.pattern.phase_rad * (255 / 2), 0, 255).round().astype(np.uint8))


def test_there_are_no_more_pictures_than_patterns() -> None:
    assert len(preview(CapturePlan(source="cells", pairs=9, repeats=4), SHAPE)) == 3


def test_phases_beyond_a_turn_begin_at_black_again() -> None:
    within, beyond = (CapturePlan(source="gratings", pairs=1, phase_range_rad=white_rad) for white_rad in (6.0, 12.0))
    assert preview(within, SHAPE)[0].grey.max() == 255
    wrapped = preview(beyond, SHAPE)[0].grey  # its grating has 0 and 12 rad: 12 rad is 5.72 rad after a turn
    assert wrapped.max() == int((12.0 - 2 * np.pi) * 255 / (2 * np.pi))


def test_large_patterns_are_made_small() -> None:
    assert preview(CapturePlan(source="usaf", pairs=1), (400, 800))[0].grey.shape == (SIDE_PX // 2, SIDE_PX)


def test_a_source_that_does_not_exist_is_refused_in_words() -> None:
    with pytest.raises(PatternError, match="no pattern source or folder named 'dogs'"):
        preview(CapturePlan(source="dogs", pairs=1), SHAPE)


def test_a_drawing_that_is_stopped_ends() -> None:
    stop = threading.Event()
    stop.set()
    assert preview(CapturePlan(source="cells", pairs=40), SHAPE, stop) == ()
