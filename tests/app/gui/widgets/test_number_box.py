"""Fields for numbers: steps that reach any size of number with few clicks."""

from __future__ import annotations

import pytest

from app.gui.widgets.number_box import NumberBox


@pytest.fixture
def box(qtbot) -> NumberBox:
    box = NumberBox()
    box.setRange(0.1, 1_000_000)
    box.setDecimals(1)
    box.step_by_digit()
    qtbot.addWidget(box)
    return box


@pytest.mark.parametrize(
    ("start", "steps", "reached"),
    [
        (1000, -13, 60),  # 900 ... 100, 90, 80, 70, 60
        (30, -11, 1),  # 20, 10, 9 ... 1
        (1, -1, 0.9),
        (60, 5, 200),
        (0.9, 2, 2),
        (0.1, -3, 0.1),
        (1374, -1, 1000),
        (1374, 1, 2000),
        (999_999, 2, 1_000_000),
    ],
)
def test_a_step_changes_the_first_digit(box, start, steps, reached):
    box.setValue(start)
    box.stepBy(steps)
    assert box.value() == pytest.approx(reached)


def test_whole_numbers_stay_whole(box):
    box.setDecimals(0)
    box.setRange(1, 1000)
    box.setValue(3)
    box.stepBy(-5)
    assert box.value() == 1


def test_other_fields_step_as_before(qtbot):
    box = NumberBox()
    qtbot.addWidget(box)
    box.setSingleStep(0.5)
    box.stepBy(3)
    assert box.value() == 1.5
