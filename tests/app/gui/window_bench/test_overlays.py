"""The benchmark notices outlines and numbers that do not belong to the phase that is painted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.gui.image_view.contents import Content, PaneFacts
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.window_bench.overlays import PaintedOverlays
from app.live.segmentation import segmented
from app.status import LiveView, Overlay
from tests.helpers.scripted_session import FIELD_UM, make_view
from tests.helpers.x_server.operator import wait_exposed


@pytest.fixture
def grid(qtbot: QtBot) -> PaneGrid:
    grid = PaneGrid(PaneFacts(field_um=FIELD_UM, full_scale=255, display_range_rad=(0.0, 2.6)))
    qtbot.addWidget(grid)
    grid.resize(900, 400)
    grid.show()
    wait_exposed(grid)
    return grid


def mismatches(qtbot: QtBot, grid: PaneGrid, overlay: Overlay, noted: LiveView) -> int:
    """Paint an overlay; return how many mismatches are found with the reconstruction that was noted."""
    painted = PaintedOverlays(grid.showing(Content.OVERLAY))
    painted.note_view(noted)
    painted.begin()
    grid.show_overlay(overlay)

    def compared() -> bool:
        painted.compare()
        return painted.compared > 0

    qtbot.waitUntil(compared)
    return painted.mismatches


def test_an_overlay_of_its_own_phase_is_right(qtbot: QtBot, grid: PaneGrid) -> None:
    view = make_view(7)
    assert mismatches(qtbot, grid, segmented(view), view) == 0


def test_outlines_of_another_phase_are_noticed(qtbot: QtBot, grid: PaneGrid) -> None:
    view = make_view(7)
    overlay = segmented(view)
    assert overlay.labels is not None
    assert mismatches(qtbot, grid, replace(overlay, labels=np.roll(overlay.labels, 5, 0)), view) == 1


def test_a_number_of_another_frame_is_noticed(qtbot: QtBot, grid: PaneGrid) -> None:
    view = make_view(7)
    assert view.reconstruction is not None
    other = replace(view, reconstruction=replace(view.reconstruction, phase_rad=view.reconstruction.phase_rad[::-1].copy()))
    assert mismatches(qtbot, grid, segmented(view), other) == 1
