"""Every n-th frame, or the first frame of every interval; options that cannot be are refused."""

from __future__ import annotations

import numpy as np
import pytest

from app.live.recordings.frame_choice import FrameChoice
from app.live.recordings.options import Credits, RecordingOptions, RecordingOptionsError
from app.status import RecordingLength
from drivers.base import Frame

PIXELS = np.zeros((2, 2), np.uint8)


def chosen(options: RecordingOptions, times_s: list[float]) -> list[float]:
    choice = FrameChoice(options)
    return [t_s for index, t_s in enumerate(times_s) if choice.wants(Frame(PIXELS, index, round(t_s * 1e9) + 10**15, 0.01))]


def test_by_default_every_frame_is_recorded() -> None:
    assert chosen(RecordingOptions(), [0.0, 0.1, 5.0]) == [0.0, 0.1, 5.0]


def test_every_third_frame_begins_with_the_first() -> None:
    assert chosen(RecordingOptions(every_nth=3), [float(k) for k in range(8)]) == [0.0, 3.0, 6.0]


def test_an_interval_has_its_first_frame_and_delays_do_not_add_up() -> None:
    times_s = [0.0, 0.4, 1.1, 1.9, 2.05, 2.5, 5.7, 5.9, 6.3]
    assert chosen(RecordingOptions(every_s=1.0), times_s) == [0.0, 1.1, 2.05, 5.7, 6.3]


def test_the_first_interval_may_begin_later() -> None:
    assert chosen(RecordingOptions(every_s=10.0, first_due_s=4.0), [0.0, 3.9, 4.1, 13.9, 14.0]) == [4.1, 14.0]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"every_nth": 0}, "not one of 0"),
        ({"every_s": 0.0}, "longer than 0 s"),
        ({"every_s": float("nan")}, "longer than 0 s"),
        ({"every_s": 2.0, "every_nth": 2}, "choose either"),
        ({"every_s": 2.0, "before_s": 2.0}, "choose either"),
        ({"before_s": -1.0}, "0 or more"),
        ({"length": RecordingLength(frames=0)}, "more than 0 frames"),
        ({"length": RecordingLength(seconds=-2.0)}, "more than 0 seconds"),
        ({"notes": "x" * 10_001}, "shorter"),
    ],
)
def test_options_that_cannot_be_are_refused(values: dict[str, object], reason: str) -> None:
    with pytest.raises(RecordingOptionsError, match=reason):
        RecordingOptions(**values)  # type: ignore[arg-type]


def test_the_metadata_say_what_differs_from_the_default() -> None:
    assert RecordingOptions().metadata() == {}
    options = RecordingOptions(
        every_nth=2,
        notes="left knee",
        tags=("knee",),
        length=RecordingLength(seconds=3.0),
        credits=Credits(operator="A. Nowak"),
    )
    assert options.metadata() == {
        "notes": "left knee",
        "tags": ["knee"],
        "every_nth_frame": 2,
        "set_seconds": 3.0,
        "operator": "A. Nowak",
    }


def test_a_credit_is_as_short_as_in_an_instrument_file() -> None:
    with pytest.raises(RecordingOptionsError, match="the sample has 201 letters; write at most 200"):
        Credits(sample="x" * 201)
