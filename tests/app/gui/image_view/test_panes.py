"""The panes: what they show of a view, and that their colours keep their meaning from frame to frame."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, Qt
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication

from app.gui.image_view.colormaps import phase_table
from app.gui.image_view.level_bar import LevelBar
from app.gui.image_view.overlay import count_objects, outline_path
from drivers.base import Frame, FrameMark
from tests.helpers.scripted_session import FIELD_UM, make_view


class Paints(QObject):
    """Counts how often a widget is painted."""

    def __init__(self, widget):
        super().__init__()
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched, event):
        self.count += event.type() == QEvent.Type.Paint
        return False


def hover(pane, x_um, y_um):
    viewport = pane.canvas.viewport()
    at = QPointF(pane.canvas.mapFromScene(pane.view_box.mapViewToScene(QPointF(x_um, y_um))))
    no = Qt.MouseButton.NoButton
    move = QMouseEvent(QEvent.Type.MouseMove, at, QPointF(viewport.mapToGlobal(at)), no, no, Qt.KeyboardModifier(0))
    QApplication.sendEvent(viewport, move)


def turn_wheel(pane):
    viewport = pane.canvas.viewport()
    at = QPointF(viewport.rect().center())
    no, phase, inverted = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase, False
    where = QPointF(viewport.mapToGlobal(at))
    turn = QWheelEvent(at, where, QPoint(), QPoint(0, 360), no, Qt.KeyboardModifier(0), phase, inverted)
    QApplication.sendEvent(viewport, turn)


def rendered(pane) -> np.ndarray:
    """Grey values of the pane's ImageItem as painted: (h, w)."""
    pane.image_item.render()
    image = pane.image_item.qimage
    return np.array([[image.pixelColor(x, y).red() for x in range(0, image.width(), 16)] for y in range(0, image.height(), 16)])


def test_each_pane_shows_its_part_of_the_polled_view(window, session):
    view = make_view(index=7)
    overlay = session.add(view)
    window.refresh_pictures()
    pictures = window.page.pictures
    np.testing.assert_array_equal(rendered(pictures.speckle), view.frame.pixels[::16, ::16])
    np.testing.assert_array_equal(pictures.phase.image, view.reconstruction.phase_rad)
    level = np.round(view.reconstruction.phase_rad / 2.6 * 255).astype(int)[::16, ::16]
    np.testing.assert_allclose(rendered(pictures.overlay), level, atol=1)
    np.testing.assert_allclose(rendered(pictures.phase), phase_table(0.0, 2.6)[level, 0], atol=4)
    assert pictures.overlay.subtitle.full_text == ""
    window.refresh_numbers()
    assert pictures.overlay.subtitle.full_text == f"frame 7, {overlay.labels.max()} objects"
    assert "512 × 512 px" in pictures.speckle.subtitle.full_text


def test_a_bad_frame_is_stamped_on_every_picture_and_a_good_one_is_not(window, session):
    view = make_view()
    dark = replace(view, frame=view.frame.marked((FrameMark.DARK, FrameMark.FROZEN), readable=False))
    for shown, text in ((view, ""), (dark, "dark, frozen picture"), (view, "")):
        session.add(shown)
        window.refresh_pictures()
        assert {pane.annotations.stamp for pane in window.page.pictures.panes} == {text}
        assert window.page.pictures.speckle.annotations.grab().size().isValid()


def test_a_phase_without_any_number_is_shown_and_has_no_objects(window, session):
    view = make_view()
    reconstruction = replace(view.reconstruction, phase_rad=np.full_like(view.reconstruction.phase_rad, np.nan))
    session.add(replace(view, frame=reconstruction.with_mark(view.frame), reconstruction=reconstruction))
    window.refresh_pictures()
    window.refresh_numbers()
    assert window.page.pictures.overlay.subtitle.full_text == "frame 0, no segmentation"
    assert window.page.pictures.phase.annotations.stamp == "not a number"
    levels = window.page.pictures.phase.levels.levels
    window.page.pictures.phase.levels.auto_requested.emit()
    assert window.page.pictures.phase.levels.levels == levels


def test_levels_hold_while_the_data_change(window, session):
    before = [pane.levels.levels for pane in window.page.pictures.panes]
    for gain in (0.1, 3.0):
        view = make_view()
        scaled = replace(view.reconstruction, phase_rad=view.reconstruction.phase_rad * np.float32(gain))
        session.add(replace(view, reconstruction=scaled))
        window.refresh_pictures()
        window.refresh_numbers()
        for pane, levels in zip(window.page.pictures.panes, before, strict=True):
            assert pane.levels.levels == levels
            assert tuple(pane.image_item.getLevels()) == levels


def test_a_level_typed_on_the_phase_holds_for_the_overlay_too(window, qtbot):
    _, box = window.page.pictures.phase.levels.boxes
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, "1.5")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert window.page.pictures.phase.levels.levels == (0.0, 1.5)
    assert window.page.pictures.overlay.levels.levels == (0.0, 1.5)
    assert tuple(window.page.pictures.overlay.image_item.getLevels()) == (0.0, 1.5)
    assert not box.hasFocus()  # so that the next key is a shortcut again


def test_levels_that_do_not_ascend_are_refused(qtbot):
    bar = LevelBar((0.0, math.pi), "rad", 2, phase_table)
    qtbot.addWidget(bar)
    with qtbot.assertNotEmitted(bar.changed):
        bar.set_levels(2.0, 2.0)
        for box in bar.boxes:
            box.editingFinished.emit()  # leaving a box that was not edited must not round pi to 3.14
    assert bar.levels == (0.0, math.pi)


def test_one_turn_is_shown_in_cyclic_colours():
    cyclic = phase_table(0.0, 6.28).astype(int)
    assert np.abs(cyclic[0] - cyclic[-1]).max() < 12
    sequential = phase_table(0.0, math.pi).astype(int)
    assert np.abs(sequential[0] - sequential[-1]).max() > 100


def test_nothing_new_leaves_the_last_picture(window, session):
    session.add(make_view(index=7))
    window.refresh_pictures()
    shown = window.page.pictures.speckle.image
    for _ in range(5):
        window.refresh_pictures()
    assert window.page.pictures.speckle.image is shown
    assert window.views_shown == 1


def test_paints_do_not_outnumber_polls(window, session, qapp):
    paints = [Paints(pane.canvas.viewport()) for pane in window.page.pictures.panes]
    for view in [make_view(seed=k % 3, index=k) for k in range(3)] * 34:
        session.add(view)
    for _ in range(100):
        window.refresh_pictures()
    qapp.processEvents()
    assert [counter.count for counter in paints] == pytest.approx([2, 2, 2], abs=2)  # what was not painted is not owed
    for counter in paints:
        counter.count = 0
    window.refresh_pictures()
    qapp.processEvents()
    assert all(counter.count >= 1 for counter in paints)


def test_the_read_out_gives_position_and_value_with_units(window, session):
    view = make_view()
    session.add(view)
    window.refresh_pictures()
    hover(window.page.pictures.speckle, FIELD_UM * 0.5, FIELD_UM * 0.25)
    readout = window.page.pictures.speckle.annotations.readout
    assert readout.startswith("x ")
    x_um, y_um = float(readout.split()[1]), float(readout.split()[3])
    assert (x_um, y_um) == pytest.approx((200.0, 100.0), abs=2.0)
    row, column = int(y_um / FIELD_UM * 512), int(x_um / FIELD_UM * 512)
    near = view.frame.pixels[row - 1 : row + 2, column - 1 : column + 2]
    assert readout.endswith(" counts")
    assert int(readout.split()[-2]) in near
    hover(window.page.pictures.phase, FIELD_UM * 0.5, FIELD_UM * 0.25)
    assert window.page.pictures.phase.annotations.readout.endswith(" rad")


def test_the_scale_bar_is_as_long_as_it_says(window, session):
    session.add(make_view())
    window.refresh_pictures()
    pane = window.page.pictures.phase
    length_px, text = pane.annotations.scale_bar
    field_px = pane.annotations.picture.width()
    assert float(text.split()[0]) / FIELD_UM == pytest.approx(length_px / field_px, rel=0.01)
    pane.show_field(QRectF(100.0, 100.0, 50.0, 50.0))
    _, zoomed = pane.annotations.scale_bar
    assert float(zoomed.split()[0]) < float(text.split()[0])


@pytest.mark.parametrize("turned", ["phase", "overlay"])
def test_phase_and_overlay_zoom_together_and_the_speckle_stays(window, session, qtbot, turned):
    session.add(make_view())
    window.refresh_pictures()
    pictures = window.page.pictures
    before = pictures.speckle.view_box.viewRect()
    turn_wheel(getattr(pictures, turned))
    phase, overlay = pictures.phase.view_box.viewRect(), pictures.overlay.view_box.viewRect()
    assert phase.width() < before.width() * 0.95
    assert overlay.width() == pytest.approx(phase.width(), rel=0.02)
    assert overlay.center().x() == pytest.approx(phase.center().x(), abs=1.0)
    assert pictures.speckle.view_box.viewRect() == before
    qtbot.keyClick(window, Qt.Key.Key_F)
    for pane in pictures.panes:
        assert pane.view_box.viewRect().contains(QRectF(1, 1, FIELD_UM - 2, FIELD_UM - 2))


def test_saturation_and_a_missing_segmentation_are_shown(window, session):
    view = make_view()
    burnt = Frame(np.full((512, 512), 255, np.uint8), 0, 0, 0.002)
    session.add(replace(view, frame=burnt, reconstruction=replace(view.reconstruction, mask=None)))
    window.refresh_pictures()
    window.refresh_numbers()
    assert window.page.pictures.speckle.subtitle.full_text.startswith("100.0% saturated")
    assert window.page.pictures.overlay.subtitle.full_text == "frame 0, no segmentation"


def test_twelve_bit_frames_keep_their_counts(window, session):
    view = make_view()
    deep = Frame(view.frame.pixels.astype(np.uint16) * 16, 0, 0, 0.002, bit_depth=12)
    window.page.pictures.speckle.levels.set_levels(0.0, 4095.0)
    session.add(replace(view, frame=deep))
    window.refresh_pictures()
    np.testing.assert_allclose(rendered(window.page.pictures.speckle), view.frame.pixels[::16, ::16], atol=1)


def test_outlines_enclose_each_object_and_part_touching_ones():
    labels = np.zeros((64, 64), np.uint16)
    labels[10:20, 10:20] = 1
    labels[10:20, 20:30] = 2  # touches the first
    labels[40, 40] = 9
    assert count_objects(labels) == 3
    path = outline_path(labels)
    assert len(path.toSubpathPolygons()) == 3
    assert path.boundingRect().left() == pytest.approx(10, abs=0.6)
    assert path.boundingRect().bottom() == pytest.approx(41, abs=0.6)
    assert outline_path(np.zeros((64, 64), np.uint16)).isEmpty()
