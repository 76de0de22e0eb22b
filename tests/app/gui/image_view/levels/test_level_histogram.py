"""The unit in a histogram never lies on a handle."""

from __future__ import annotations

import numpy as np
import pytest

from app.gui.image_view.levels.level_histogram import LevelHistogram

TABLE = np.zeros((256, 3), np.uint8)
WIDTHS_PX = (90, 210, 900)


@pytest.fixture
def histogram(qtbot, styled) -> LevelHistogram:
    shown = LevelHistogram()
    qtbot.addWidget(shown)
    shown.set_unit("rad")
    shown.show_values(np.linspace(0.0, 3.0, 1000, dtype=np.float32).reshape(20, 50))
    return shown


@pytest.mark.parametrize("width_px", WIDTHS_PX)
@pytest.mark.parametrize("levels", [(0.0, 3.0), (0.0, 2.85), (1.0, 2.7), (2.6, 2.9), (0.0, 0.1), (1.5, 1.6)])
def test_the_unit_keeps_clear_of_both_handles(histogram, width_px: int, levels: tuple[float, float]) -> None:
    histogram.resize(width_px, 40)
    histogram.set_levels(levels, TABLE)
    place = histogram.unit_place
    assert place is not None
    assert 0 < place[0] < place[1] <= width_px
    for level in levels:
        assert not place[0] - 5 < histogram.x_of(level) < place[1] + 5


def test_a_unit_for_which_there_is_no_room_is_left_out(histogram) -> None:
    histogram.resize(50, 40)
    histogram.set_levels((0.9, 2.1), TABLE)
    assert histogram.unit_place is None
    histogram.grab()
