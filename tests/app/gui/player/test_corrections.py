"""Cells are corrected by the mouse on the overlay, and stored beside the automatic labels."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF

from acquisition.archive.reader import Archive
from app.gui.image_view.contents import Content
from app.gui.player.corrections import Correction
from app.gui.player.head import Panel
from app.gui.player.player import Player
from tests.app.gui.player.conftest import settle, texts
from tests.helpers.x_server.operator import wait_until


@pytest.fixture
def shown(opened, path, qtbot) -> Player:
    player = opened(path)
    player.toggle_panel(Panel.RESULTS)
    settle(qtbot, player)
    return player


def at(player: Player, row: int, column: int) -> tuple[object, QPoint]:
    """Return the widget of the overlay, and where the middle of a pixel is seen in it."""
    pane = player.left.pictures.showing(Content.OVERLAY)
    point = QPointF((column + 0.5) * pane.pitch_um, (row + 0.5) * pane.pitch_um)
    return pane.canvas.viewport, pane.canvas.position_of(point).toPoint()


def labels(player: Player) -> np.ndarray:
    shown = player.left.pictures.showing(Content.OVERLAY).shown
    assert shown is not None
    assert shown.labels is not None
    return shown.labels


def test_a_cell_is_split_and_deleted_undone_and_stored(shown, path, operator):
    automatic = labels(shown).copy()
    assert automatic.max() == 1
    operator.click(shown.results.tools[Correction.SPLIT])
    widget, start = at(shown, 11, 3)
    operator.drag(widget, start, at(shown, 11, 17)[1], until=lambda: labels(shown).max() == 2)
    assert ((labels(shown) > 0) == (automatic > 0)).all()
    operator.click(shown.results.tools[Correction.DELETE])
    operator.click(*at(shown, 9, 9), until=lambda: len(np.unique(labels(shown))) == 2)
    operator.click(shown.results.undo, until=lambda: len(np.unique(labels(shown))) == 3)
    corrected = labels(shown).copy()
    operator.click(
        shown.results.store, until=lambda: any("Stored: 'corrected by hand'" in text for text in texts(shown.messages))
    )
    [result] = Archive.open(path).results()[0]
    np.testing.assert_array_equal(result.read("labels", 0), corrected)
    np.testing.assert_array_equal(Archive.open(path).read("labels", 0), automatic)
    assert shown.left.corrections.count == 0


def test_two_cells_are_merged_and_a_click_beside_cells_says_so(shown, operator):
    automatic = labels(shown).copy()
    operator.click(shown.results.tools[Correction.SPLIT])
    widget, start = at(shown, 11, 3)
    operator.drag(widget, start, at(shown, 11, 17)[1], until=lambda: labels(shown).max() == 2)
    operator.click(shown.results.tools[Correction.MERGE])
    operator.click(*at(shown, 9, 9))
    operator.click(*at(shown, 12, 9), until=lambda: len(np.unique(labels(shown))) == 2)
    assert ((labels(shown) > 0) == (automatic > 0)).all()
    operator.click(shown.results.tools[Correction.DELETE])
    operator.click(*at(shown, 20, 12), until=lambda: any("no cell at this place" in text for text in texts(shown.messages)))


def test_corrections_that_nobody_stored_are_stored_when_the_recording_is_left(shown, path, operator):
    operator.click(shown.results.tools[Correction.DELETE])
    operator.click(*at(shown, 9, 9), until=lambda: shown.left.corrections.count == 1)
    shown.left.forget()
    wait_until(lambda: len(Archive.open(path).results()[0]) == 1)
    assert not Archive.open(path).results()[0][0].read("labels", 0).any()
