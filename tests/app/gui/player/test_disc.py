"""Outside the fibre's disc the player shows nothing, measures nothing, and films nothing, like the live page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QSize

from acquisition.archive.reader import Archive
from app.gui.export_panel.displayed_film import DisplayedLook, HiddenPane
from app.gui.image_view.contents import Content, Shown
from app.gui.image_view.pane_options import PaneOptions
from app.gui.player.moment import moment_of, pane_facts
from app.playback.played_archive import PlayedArchive
from tests.helpers.archives.played_recording import RecordingPlan, disc
from tests.helpers.x_server.operator import XOperator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=(1.0, 1.1), has_disc=True, uncertainty=True).record(tmp_path)


@pytest.mark.parametrize("content", [Content.PHASE, Content.OVERLAY, Content.UNCERTAINTY])
def test_a_pane_shows_the_recorded_values_inside_the_disc_and_nothing_outside(opened, path: Path, content: Content) -> None:
    player = opened(path)
    pane = player.left.pictures.showing(content)
    layer = "uncertainty" if content is Content.UNCERTAINTY else "phase"
    recorded = Archive.open(path).read(layer, 0)
    np.testing.assert_array_equal(pane.image, np.where(disc(), recorded, np.nan))
    np.testing.assert_array_equal(pane.shown.mask, disc())


def test_the_speckle_is_shown_as_a_whole(opened, path: Path) -> None:
    pane = opened(path).left.pictures.showing(Content.SPECKLE)
    np.testing.assert_array_equal(pane.image, Archive.open(path).read("speckle", 0))


def test_the_value_under_the_mouse_is_a_number_inside_the_disc_alone(opened, path: Path, operator: XOperator) -> None:
    canvas = opened(path).left.pictures.showing(Content.PHASE).canvas
    operator.move(canvas.viewport, canvas.annotations.picture.center().toPoint())
    assert canvas.annotations.readout.endswith(" rad")
    corner = canvas.annotations.picture.topLeft().toPoint()  # only now: the first move has waited for the layout
    operator.move(canvas.viewport, corner + QPoint(4, 4))
    assert canvas.annotations.readout.endswith("not a number")


def test_a_film_as_displayed_is_dark_outside_the_disc(qtbot, styled, path: Path) -> None:
    archive = PlayedArchive(path)
    facts, side_px = pane_facts(archive), 240
    look = DisplayedLook(
        options=PaneOptions.of(Content.PHASE), levels=(-5.0, 5.0), part_um=None, size_px=QSize(side_px, side_px)
    )
    pictures: list[np.ndarray] = []
    hidden = HiddenPane(facts, look, pictures.append)
    moment = moment_of(archive.load(0), facts)
    shown = moment.picture(Content.PHASE)
    assert isinstance(shown, Shown)
    assert np.isnan(shown.values[0, 0])
    hidden.show_moment(moment)
    [picture] = pictures
    hidden.close()
    assert picture[20, 20].max() < 60  # blue, green and red of the dark ground; a phase of 0 would be as bright as the middle
    assert picture[side_px // 2, side_px // 2].max() > 120
