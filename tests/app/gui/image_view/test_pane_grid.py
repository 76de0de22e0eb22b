"""The panes: what they show, and that a colour keeps its meaning from frame to frame."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, QThreadPool
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QWidget

from app.gui.image_view.annotations import Annotations
from app.gui.image_view.colour_maps import ABOVE_COLOUR, BELOW_COLOUR, ColourMap, colour_table
from app.gui.image_view.contents import Content, PaneFacts
from app.gui.image_view.levels.levels import HistogramScale
from app.gui.image_view.orientation import Orientation
from app.gui.image_view.pane_commands import PaneCommand
from app.gui.image_view.pane_grid import PaneGrid, best_columns
from app.gui.image_view.pane_options import PaneFlag, PaneOptions
from app.gui.widgets.number_box import NumberBox
from app.measuring.view_filters import FilterSettings
from app.status import LiveView, Overlay
from drivers.base import Frame, FrameMark
from reconstruction.field import field_mask
from reconstruction.phase_filters import into_turn, remove_tilt, unwrap
from tests.helpers.scripted_session import FIELD_UM, make_view
from tests.helpers.x_server.operator import XOperator, wait_until

FACTS = PaneFacts(field_um=FIELD_UM, full_scale=255, display_range_rad=(0.0, 2.6))
MASK = field_mask(128, 0.9)


@pytest.fixture
def grid(qtbot, styled) -> PaneGrid:
    grid = PaneGrid(FACTS)
    qtbot.addWidget(grid)
    grid.resize(1366, 700)
    grid.show()
    wait_until(lambda: grid.windowHandle().isExposed())
    return grid


def view_with(phase_rad: np.ndarray, **changes: object) -> LiveView:
    view = make_view(**{key: changes.pop(key) for key in ("index",) if key in changes})
    truth_rad = changes.pop("truth_rad", None)
    reconstruction = replace(view.reconstruction, phase_rad=phase_rad.astype(np.float32), **changes)
    return replace(view, reconstruction=reconstruction, truth_rad=truth_rad)


def show(grid: PaneGrid, view: LiveView) -> LiveView:
    labels = None
    if view.reconstruction is not None:
        labels = (view.reconstruction.phase_rad > 1.4).astype(np.uint16)
    grid.show_frame(view.frame)
    grid.show_view(view)
    grid.show_overlay(Overlay(view, labels, 0.01))
    grid.refresh_numbers()
    QApplication.processEvents()  # panes may wait to be laid out
    return view


def choose(grid: PaneGrid, content: Content, pane: int = 1) -> None:
    grid.panes[pane].set_options(PaneOptions.of(content))


@pytest.fixture
def press(operator) -> Callable[[PaneGrid, PaneCommand], None]:
    """Presses the key of a command."""

    def keys_of(grid: PaneGrid, command: PaneCommand) -> None:
        operator.activate(grid)
        operator.key(command.value.keys.lower())

    return keys_of


def rendered(pane) -> np.ndarray:
    """Red, green and blue as painted for every pixel of the picture: (h, w, 3)."""
    image = pane.canvas.image_item.rendered()
    return np.array([[image.pixelColor(x, y).getRgb()[:3] for x in range(image.width())] for y in range(image.height())])


def at(pane, x_um: float, y_um: float) -> QPoint:
    return pane.canvas.position_of(QPointF(x_um, y_um)).toPoint()


@pytest.fixture
def hover(operator) -> Callable[..., str]:
    """Moves the pointer over a pane; returns what the pane reads out there."""

    def move(pane, x_um: float, y_um: float) -> str:
        viewport, place = pane.canvas.viewport, None
        operator.activate(viewport)
        while place != (place := at(pane, x_um, y_um)):  # a view may wait to be laid out
            operator.move(viewport, place)
        return pane.canvas.annotations.readout

    return move


@pytest.fixture
def turn_wheel(operator) -> Callable[..., None]:
    """Turns the wheel over the middle of a pane, until the pane has zoomed."""

    def turn(pane) -> None:
        viewport, before = pane.canvas.viewport, pane.canvas.visible_um
        place = viewport.mapToGlobal(viewport.rect().center())
        operator.wheel_up(place, until=lambda: pane.canvas.visible_um.width() < before.width() * 0.95)

    return turn


def test_each_content_is_the_array_that_its_name_says(grid):
    truth = np.full((128, 128), 0.5, np.float32)
    view = show(grid, replace(make_view(), truth_rad=truth))
    phase = view.reconstruction.phase_rad
    view = show(grid, view_with(phase, uncertainty_rad=phase / 10, truth_rad=truth))
    grid.show_slm(truth * 2)
    expected = {
        Content.SPECKLE: view.frame.pixels,
        Content.PHASE: phase,
        Content.OVERLAY: phase,
        Content.UNCERTAINTY: phase / 10,
        Content.SLM: truth * 2,
        Content.TRUTH: truth,
        Content.ERROR: phase - truth,
    }
    assert set(expected) == set(Content)
    for content, values in expected.items():
        choose(grid, content)
        np.testing.assert_array_equal(grid.panes[1].image, values)
        assert grid.panes[1].title.text() == content.label


def test_nothing_outside_the_fibres_disc_is_drawn(grid):
    view = show(grid, view_with(make_view().reconstruction.phase_rad, mask=MASK))
    shown = grid.showing(Content.PHASE).image
    np.testing.assert_array_equal(np.isnan(shown), ~MASK)
    np.testing.assert_array_equal(shown[MASK], view.reconstruction.phase_rad[MASK])


def test_the_error_of_wrapped_phases_is_the_shortest_angle(grid):
    grid.set_facts(replace(FACTS, display_range_rad=(0.0, 2 * math.pi)))
    choose(grid, Content.ERROR)
    show(grid, view_with(np.full((128, 128), 0.1), truth_rad=np.full((128, 128), 6.2, np.float32)))
    np.testing.assert_allclose(grid.panes[1].image, 0.1 - 6.2 + 2 * math.pi, atol=1e-5)
    grid.refresh_numbers()
    assert grid.panes[1].subtitle.full_text.startswith("RMS 0.18 rad, frame 0, ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Content.UNCERTAINTY, "gives no uncertainty"),
        (Content.TRUTH, "our SLM"),
        (Content.ERROR, "our SLM"),
        (Content.SLM, "SLM"),
    ],
)
def test_a_content_that_is_unknown_says_why_and_shows_no_old_picture(grid, content, reason):
    choose(grid, content)
    known = view_with(make_view().reconstruction.phase_rad, uncertainty_rad=MASK.astype(np.float32), truth_rad=np.float32(MASK))
    grid.show_slm(np.float32(MASK))
    show(grid, known)
    assert grid.panes[1].image is not None
    grid.show_slm(None)
    show(grid, make_view(index=1))
    assert grid.panes[1].image is None
    assert reason in grid.panes[1].canvas.annotations.message
    assert grid.panes[1].subtitle.full_text == ""


def test_without_a_model_phase_and_overlay_say_so_and_the_speckle_lives(grid):
    show(grid, make_view())
    show(grid, replace(make_view(index=1), reconstruction=None))
    for content in (Content.PHASE, Content.OVERLAY):
        assert grid.showing(content).image is None
        assert "No model" in grid.showing(content).canvas.annotations.message
    assert "frame 1," in grid.showing(Content.SPECKLE).subtitle.full_text


def test_a_picture_that_stays_says_why_it_is_not_live(grid):
    show(grid, make_view())
    grid.show_age("", "no phase for 3 s")
    grid.refresh_numbers()
    assert grid.showing(Content.SPECKLE).canvas.annotations.notes == ()
    assert grid.showing(Content.PHASE).canvas.annotations.notes == ("Not live: no phase for 3 s",)
    grid.show_age("", "")
    grid.refresh_numbers()
    assert grid.showing(Content.PHASE).canvas.annotations.notes == ()


def test_a_message_is_wrapped_in_a_narrow_pane(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    annotations = Annotations(parent)
    annotations.resize(160, 200)
    annotations.set_message("The live view is stopped. Press Space to start it.")
    picture = QImage(annotations.size(), QImage.Format.Format_Grayscale8)
    picture.fill(0)
    annotations.render(picture)
    ink = np.array([[picture.pixelColor(x, y).value() for x in range(160)] for y in range(200)]) > 0
    assert ink.any()
    assert not ink[:, :8].any()
    assert not ink[:, -8:].any()


def test_a_message_is_shown_until_the_first_picture(grid):
    grid.show_message("Waiting for the first frame")
    pane = grid.showing(Content.SPECKLE)
    assert pane.canvas.annotations.message == "Waiting for the first frame"
    show(grid, make_view())
    assert pane.canvas.annotations.message == ""
    grid.show_message("Stopped")
    assert pane.canvas.annotations.message == ""
    grid.clear()
    assert pane.canvas.annotations.message == "Stopped"
    assert pane.image is None


def test_a_bad_frame_is_stamped_and_a_good_one_is_not(grid):
    view = make_view()
    dark = replace(view, frame=view.frame.marked((FrameMark.DARK, FrameMark.FROZEN), readable=False))
    for shown, text in ((view, ""), (dark, "dark, frozen picture"), (view, "")):
        show(grid, shown)
        assert {pane.canvas.annotations.stamp for pane in grid.panes} == {text}


def test_a_phase_without_any_number_is_shown_and_changes_no_level(grid, hover):
    pane = grid.showing(Content.PHASE)
    levels = pane.strip.levels
    levels.set_every_frame(on=True)
    before = levels.pair
    show(grid, view_with(np.full((128, 128), np.nan)))
    assert levels.pair == before
    assert hover(pane, 200, 200).endswith("not a number")


def test_levels_hold_while_the_data_change(grid):
    before = [pane.strip.levels.pair for pane in grid.panes]
    for gain in (0.1, 3.0):
        show(grid, view_with(make_view().reconstruction.phase_rad * gain))
        assert [pane.strip.levels.pair for pane in grid.panes] == before
        assert [pane.canvas.image_item.levels for pane in grid.panes] == before


def test_levels_of_every_frame_follow_the_percentiles(grid, operator):
    pane = grid.showing(Content.PHASE)
    operator.choose_in_menu(pane.strip.auto, pane.strip.every_frame.text())
    for gain in (0.1, 3.0):
        view = show(grid, view_with(make_view().reconstruction.phase_rad * gain))
        expected = np.percentile(view.reconstruction.phase_rad, (0.5, 99.5))
        assert pane.strip.levels.pair == pytest.approx(expected)
    operator.click(pane.strip.auto)
    held = pane.strip.levels.pair
    show(grid, make_view())
    assert pane.strip.levels.pair == held


def _type_into(operator: XOperator, box: NumberBox, text: str) -> None:
    """Put a number in the place of the present one, and press Return."""
    operator.click(box)
    operator.key("ctrl+a")
    operator.type(text)
    operator.key("Return")


def test_phase_overlay_and_truth_share_their_levels(grid, operator):
    phase, overlay = grid.showing(Content.PHASE), grid.showing(Content.OVERLAY)
    _, box = phase.strip.boxes
    _type_into(operator, box, "1.5")
    assert phase.strip.levels.pair == (0.0, 1.5)
    assert overlay.canvas.image_item.levels == (0.0, 1.5)
    assert overlay.strip.boxes[1].value() == 1.5
    assert grid.showing(Content.SPECKLE).strip.levels.pair == (0.0, 255.0)


def test_levels_that_do_not_ascend_or_lie_outside_the_range_are_refused(grid, operator):
    strip = grid.showing(Content.SPECKLE).strip
    strip.levels.set_pair(20.0, 10.0)
    assert strip.levels.pair == (0.0, 255.0)
    strip.levels.set_pair(-5.0, 999.0)
    assert strip.levels.pair == (0.0, 255.0)
    assert strip.boxes[1].maximum() == 255.0
    grid.set_facts(replace(FACTS, display_range_rad=(0.0, math.pi)))
    phase = grid.showing(Content.PHASE).strip
    for box in phase.boxes:
        operator.click(box)
        operator.key("Tab")  # leaving a box that was not edited must not round pi to 3.14
    assert phase.levels.pair == (0.0, math.pi)


def test_typed_levels_out_of_the_range_are_refused_in_words_and_never_cut(grid, operator):
    strip = grid.showing(Content.SPECKLE).strip
    refusals: list[str] = []
    grid.refused.connect(refusals.append)
    for box, typed in ((strip.boxes[1], "999"), (strip.boxes[0], "-3")):
        _type_into(operator, box, typed)
    assert strip.levels.pair == (0.0, 255.0)
    assert [box.text() for box in strip.boxes] == ["0", "255"]
    assert refusals == [
        "Upper level cannot be 999 counts: 0 to 255 counts is possible",
        "Lower level cannot be -3 counts: 0 to 255 counts is possible",
    ]
    strip.levels.set_by_hand(0.0, 100.0)
    _type_into(operator, strip.boxes[0], "120")
    assert strip.levels.pair == (0.0, 100.0)
    assert refusals[2] == "The lower level 120 is not below the upper level 100; the levels before are kept"


@pytest.mark.parametrize("height_px", [700, 260])
def test_dragging_the_histogram_sets_the_levels(grid, qapp, height_px, operator):
    grid.resize(1366, height_px)  # below the picture, or beside it
    qapp.processEvents()
    show(grid, make_view())
    strip = grid.showing(Content.SPECKLE).strip
    histogram = strip.histogram
    assert (histogram.height() > histogram.width()) is (height_px == 260)

    def drag(value: float, to: float) -> None:
        operator.drag(histogram, histogram.position_of(value), histogram.position_of(to))

    two_pixels = 2 / (histogram.x_of(1.0) - histogram.x_of(0.0))  # a hand meets a pixel, and so do both ends of a drag
    drag(255.0, 128.0)
    assert strip.levels.pair == pytest.approx((0.0, 128.0), abs=two_pixels)
    drag(0.0, 30.0)
    low, high = strip.levels.pair
    assert (low, high) == pytest.approx((30.0, 128.0), abs=two_pixels)
    drag(80.0, 100.0)
    assert strip.levels.pair == pytest.approx((low + 20.0, high + 20.0), abs=two_pixels)
    operator.click(histogram, histogram.position_of(120.0), times=2)
    assert strip.levels.pair == (0.0, 255.0)


def test_the_histogram_counts_the_values_on_its_scale(grid, operator):
    view = show(grid, make_view())
    strip = grid.showing(Content.SPECKLE).strip
    low, high = strip.histogram.domain
    counts, _ = np.histogram(view.frame.pixels, bins=128, range=(low, high))
    for scale, expected in (
        (HistogramScale.SQUARE_ROOT, np.sqrt(counts)),
        (HistogramScale.LOGARITHMIC, np.log1p(counts)),
        (HistogramScale.LINEAR, counts),
    ):
        operator.choose_in_menu(strip.auto, strip.scales[scale].text())
        np.testing.assert_allclose(strip.histogram.heights, expected / expected.max(), atol=0.02)


def test_one_turn_is_shown_in_cyclic_colours_and_the_operator_may_choose_others(grid):
    cyclic = colour_table(ColourMap.AUTOMATIC, 0.0, 6.28).astype(int)
    assert np.abs(cyclic[0] - cyclic[-1]).max() < 12
    sequential = colour_table(ColourMap.AUTOMATIC, 0.0, math.pi).astype(int)
    assert np.abs(sequential[0] - sequential[-1]).max() > 100
    pane = grid.showing(Content.PHASE)
    show(grid, view_with(np.tile(np.linspace(0, 2.6, 128), (128, 1))))
    for colours in ColourMap:
        pane.set_options(replace(pane.options, colours=colours))
        table = colour_table(colours, 0.0, 2.6)
        np.testing.assert_allclose(rendered(pane)[0, [0, 64, 127]], table[[0, 128, 255]], atol=6)


def test_clipped_pixels_are_marked_at_both_ends_and_counted(grid, press):
    pane = grid.showing(Content.PHASE)
    phase = np.full((128, 128), 1.0)
    phase[:16] = -0.2
    phase[16:24] = 2.9
    show(grid, view_with(phase))
    assert pane.clipped_texts == ()
    grid.current.set_options(grid.current.options)
    pane.activate()
    press(grid, PaneCommand.CLIPPED)
    colours = rendered(pane)
    assert tuple(colours[5, 5]) == BELOW_COLOUR
    assert tuple(colours[20, 5]) == ABOVE_COLOUR
    assert tuple(colours[60, 5]) not in (BELOW_COLOUR, ABOVE_COLOUR)
    assert pane.canvas.annotations.notes == ("12.50% dark (blue)", "6.25% bright (magenta)")


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (17.0, 200.0), (3.0, 5.0), (100.0, 101.0)])
def test_exactly_the_counts_at_or_beyond_a_level_are_marked(grid, low, high):
    pane = grid.showing(Content.SPECKLE)
    pane.strip.levels.set_by_hand(low, high)
    pane.set_options(pane.options.toggled(PaneFlag.CLIPPED))
    counts = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grid.show_frame(Frame(counts, 0, 0, 0.002))
    grid.refresh_numbers()
    colours = rendered(pane)
    np.testing.assert_array_equal((colours == BELOW_COLOUR).all(axis=2), counts <= low)
    np.testing.assert_array_equal((colours == ABOVE_COLOUR).all(axis=2), counts >= high)
    below, above = ((counts <= low).mean(), (counts >= high).mean())
    assert pane.clipped_texts == (f"{below:.2%} dark (blue)", f"{above:.2%} bright (magenta)")


def test_exactly_the_phases_at_or_beyond_a_level_are_marked(grid):
    pane = grid.showing(Content.PHASE)
    pane.set_options(pane.options.toggled(PaneFlag.CLIPPED))
    phase = np.linspace(-0.5, 3.1, 128 * 128, dtype=np.float32).reshape(128, 128)
    phase[0, 0], phase[0, 1], phase[0, 2] = 0.0, 2.6, 0.003
    show(grid, view_with(phase))
    colours = rendered(pane)
    np.testing.assert_array_equal((colours == BELOW_COLOUR).all(axis=2), phase <= 0.0)
    np.testing.assert_array_equal((colours == ABOVE_COLOUR).all(axis=2), phase >= np.float32(2.6))


def test_a_picture_of_a_fibre_that_has_moved_is_greyed_and_stamped(grid):
    view = make_view()
    moved = replace(view, frame=view.frame.marked((FrameMark.DECORRELATED,), readable=False))
    for shown, stamp, opacity in ((view, "", 1.0), (moved, "FIBRE MOVED", 0.35), (view, "", 1.0)):
        show(grid, shown)
        for pane in grid.panes:
            assert pane.canvas.annotations.stamp == stamp
            assert pane.canvas.image_item.opacity() == opacity


def test_saturated_pixels_are_marked_although_the_levels_reach_beyond(grid):
    pane = grid.showing(Content.SPECKLE)
    deep = np.full((64, 64), 100, np.uint16)
    deep[:16] = 1023
    grid.set_facts(replace(FACTS, full_scale=4095))
    pane.set_options(pane.options.toggled(PaneFlag.CLIPPED))
    grid.show_frame(Frame(deep, 0, 0, 0.002, bit_depth=10))
    grid.refresh_numbers()
    assert tuple(rendered(pane)[3, 3]) == ABOVE_COLOUR
    assert pane.canvas.annotations.notes[1] == "25.00% bright (magenta)"


def test_saturation_and_a_missing_segmentation_are_shown(grid):
    view = make_view()
    grid.show_frame(Frame(np.full((512, 512), 255, np.uint8), 0, 0, 0.002))
    grid.show_overlay(Overlay(view, None, 0.0))
    grid.refresh_numbers()
    assert grid.showing(Content.SPECKLE).subtitle.full_text.startswith("100.0% saturated")
    assert "512 × 512 px" in grid.showing(Content.SPECKLE).subtitle.full_text
    assert grid.showing(Content.OVERLAY).subtitle.full_text.startswith("no segmentation, frame 0")


def test_the_read_out_gives_micrometres_pixels_and_the_raw_value(grid, hover):
    view = show(grid, make_view())
    pane = grid.showing(Content.SPECKLE)
    readout = hover(pane, 200.0, 100.0)
    where, pixel, value = readout.split("    ")
    assert (float(where.split()[1]), float(where.split()[3])) == pytest.approx((200.0, 100.0), abs=2.0)
    column, row = (int(part) for part in pixel.removesuffix(" px").split(","))
    assert (column, row) == pytest.approx((256, 128), abs=3)
    assert value == f"{view.frame.pixels[row, column]} counts"
    assert hover(grid.showing(Content.PHASE), 200.0, 100.0).endswith(" rad")


@pytest.mark.parametrize(
    "orientation", [Orientation(), Orientation(1), Orientation(2, mirrored=True), Orientation(3), Orientation(0, mirrored=True)]
)
def test_flip_and_rotate_change_what_is_seen_and_no_coordinate(grid, orientation, hover):
    phase = np.arange(128 * 128, dtype=np.float32).reshape(128, 128) / 1000
    pane = grid.showing(Content.PHASE)
    pane.set_options(replace(pane.options, orientation=orientation))
    show(grid, view_with(phase))
    x_um, y_um = 100.0, 300.0
    where, pixel, value = hover(pane, x_um, y_um).split("    ")
    assert (float(where.split()[1]), float(where.split()[3])) == pytest.approx((x_um, y_um), abs=2.0)
    column, row = (int(part) for part in pixel.removesuffix(" px").split(","))
    assert value == f"{phase[row, column]:.2f} rad"
    # The corner of the picture that is seen at the upper left.
    seen = np.rot90(
        np.fliplr(np.indices((2, 2))[0] * 2 + np.indices((2, 2))[1]) if orientation.mirrored else np.array([[0, 1], [2, 3]]),
        -orientation.quarter_turns,
    )[0, 0]
    corner = QPointF(2.0 + (FIELD_UM - 4.0) * (seen % 2), 2.0 + (FIELD_UM - 4.0) * (seen // 2))
    centre = pane.canvas.position_of(QPointF(FIELD_UM / 2, FIELD_UM / 2))
    place = pane.canvas.position_of(corner)
    assert place.x() < centre.x()
    assert place.y() < centre.y()


def test_flips_are_those_of_the_screen():
    turned = Orientation(1)
    centre = QPointF(0.0, 0.0)
    before = turned.transform(centre).map(QPointF(3.0, 1.0))
    sideways = turned.flipped_horizontally().transform(centre).map(QPointF(3.0, 1.0))
    upside = turned.flipped_vertically().transform(centre).map(QPointF(3.0, 1.0))
    assert (sideways.x(), sideways.y()) == pytest.approx((-before.x(), before.y()))
    assert (upside.x(), upside.y()) == pytest.approx((before.x(), -before.y()))
    assert turned.flipped_vertically().flipped_vertically() == turned
    with pytest.raises(ValueError, match=r"0 \.\. 3"):
        Orientation(4)


def test_filters_are_applied_and_named(grid):
    y, x = np.indices((128, 128))
    phase = into_turn(0.002 * (x - 60.0) ** 2 + 0.05 * y, 0.0)
    grid.set_facts(replace(FACTS, display_range_rad=(0.0, 2 * math.pi)))
    pane = grid.showing(Content.PHASE)
    pane.set_options(replace(pane.options, filters=FilterSettings(unwrap=True, remove_tilt=True)))
    show(grid, view_with(phase, mask=MASK))
    expected = remove_tilt(unwrap(phase, MASK), MASK)
    np.testing.assert_allclose(pane.image[MASK], expected[MASK], atol=1e-5)
    assert pane.canvas.annotations.notes == ("Unwrapped, tilt removed",)
    assert grid.showing(Content.OVERLAY).canvas.annotations.notes == ()
    # It has levels of its own, that follow the picture.
    assert pane.strip.levels is not grid.showing(Content.OVERLAY).strip.levels
    assert pane.strip.levels.pair[1] > 5


def test_a_large_phase_is_unwrapped_beside_the_window_and_keeps_its_frame_number(grid, qtbot):
    y, x = np.indices((256, 256))
    pane = grid.showing(Content.PHASE)
    grid.set_facts(replace(FACTS, display_range_rad=(0.0, 2 * math.pi)))
    pane.set_options(replace(pane.options, filters=FilterSettings(unwrap=True)))
    mask = np.ones((256, 256), bool)
    phases = [into_turn(0.1 * x + 0.03 * y + k, 0.0) for k in range(3)]
    for k, phase in enumerate(phases):
        grid.show_view(view_with(phase, index=k, mask=mask))
    qtbot.waitUntil(lambda: pane.shown is not None and pane.shown.frame_index == 2)
    np.testing.assert_array_equal(pane.image, unwrap(phases[2], mask))
    grid.show_view(view_with(phases[0], index=3, mask=mask))
    grid.clear()
    QThreadPool.globalInstance().waitForDone()
    QApplication.processEvents()
    assert pane.image is None


def test_a_stored_background_is_subtracted(grid):
    pane = grid.showing(Content.SPECKLE)
    first, second = make_view(seed=1), make_view(seed=2, index=1)
    show(grid, first)
    pane.store_background()
    show(grid, second)
    np.testing.assert_array_equal(pane.image, second.frame.pixels.astype(np.float32) - first.frame.pixels)
    assert pane.canvas.annotations.notes == ("Minus background",)
    assert pane.strip.levels.pair[0] < 0


def test_an_average_counts_each_frame_once(grid):
    pane = grid.showing(Content.SPECKLE)
    pane.set_options(replace(pane.options, filters=FilterSettings(averaged_frames=4)))
    views = [make_view(seed=k, index=k) for k in range(3)]
    for view in views:
        show(grid, view)
        pane.set_options(pane.options.toggled(PaneFlag.GRID))
    np.testing.assert_allclose(pane.image, np.mean([view.frame.pixels for view in views], axis=0), atol=1e-4)


def test_one_to_four_panes_fill_the_grid(grid, press):
    show(grid, make_view())
    for number, command in enumerate((PaneCommand.ONE, PaneCommand.TWO, PaneCommand.THREE, PaneCommand.FOUR), start=1):
        press(grid, command)
        assert sum(pane.isVisible() for pane in grid.findChildren(type(grid.panes[0]))) == number
        assert grid.current in grid.panes
    assert grid.panes[3].content is Content.UNCERTAINTY


def test_panes_are_arranged_so_that_pictures_are_large(grid, qapp):
    show(grid, make_view())
    assert [best_columns(4, *size) for size in ((1290, 490), (1366, 1200), (400, 1400))] == [4, 2, 1]
    assert [best_columns(3, *size) for size in ((1290, 490), (500, 1400))] == [3, 1]
    assert best_columns(1, 300, 300) == 1
    grid.set_number(4)
    for size, columns in (((1290, 490), 4), ((1000, 1000), 2)):
        grid.resize(*size)
        qapp.processEvents()
        assert len({pane.x() for pane in grid.panes}) == columns


def test_a_double_click_enlarges_a_pane_and_brings_the_others_back(grid, operator, press):
    show(grid, make_view())
    pane = grid.showing(Content.OVERLAY)
    for visible in ([pane], list(grid.panes)):
        operator.click(pane.canvas.viewport, at(pane, 200, 200), times=2)
        assert [each for each in grid.panes if each.isVisible()] == visible
    press(grid, PaneCommand.ENLARGE)
    assert [each for each in grid.panes if each.isVisible()] == [pane]
    show(grid, make_view(index=5))
    grid.toggle_enlarged()
    assert "frame 5," in (grid.refresh_numbers(), grid.panes[0].subtitle.full_text)[1]


def test_a_pane_pops_out_lives_there_and_comes_back(grid, operator):
    show(grid, make_view())
    pane = grid.showing(Content.PHASE)
    pane.activate()
    operator.activate(grid)
    operator.key("ctrl+shift+p", until=lambda: pane.window() is not grid)
    window = pane.window()
    assert window.windowTitle().startswith("Phase")
    show(grid, make_view(index=9))
    assert "frame 9," in pane.subtitle.full_text
    window.close()
    assert pane.window() is grid
    assert pane.isVisible()
    grid.toggle_pop_out()
    grid.close_pop_outs()
    assert pane.window() is grid


def test_everything_that_acts_on_a_pane_can_be_done_from_the_keyboard(grid, operator):
    show(grid, make_view())
    first = grid.current
    seen = set()
    operator.activate(grid)
    for _ in grid.panes:
        operator.key("ctrl+Tab")
        seen.add(grid.current)
    assert seen == set(grid.panes)
    assert grid.current is first
    before = first.canvas.visible_um
    operator.key("ctrl+plus")
    closer = first.canvas.visible_um
    assert closer.width() == pytest.approx(before.width() / 1.25, rel=0.01)
    assert closer.center().x() == pytest.approx(before.center().x(), abs=0.5)
    assert grid.showing(Content.OVERLAY).canvas.visible_um.width() == pytest.approx(closer.width(), rel=0.02)
    operator.key("ctrl+minus")
    assert first.canvas.visible_um.width() == pytest.approx(before.width(), rel=0.01)
    for key, flag in (("g", PaneFlag.GRID), ("n", PaneFlag.NEAREST), ("x", PaneFlag.CROSS_HAIR)):
        operator.key(key)
        assert flag in first.options.flags
    operator.key("ctrl+2")
    assert len(grid.panes) == 2


def test_a_popped_out_pane_ends_with_its_grid(qtbot, styled):
    grid = PaneGrid(FACTS)
    grid.toggle_pop_out()
    window = grid.current.window()
    with qtbot.waitSignal(window.destroyed):
        grid.deleteLater()


@pytest.mark.parametrize("turned", [Content.PHASE, Content.OVERLAY])
def test_linked_panes_of_a_plane_zoom_together_and_others_stay(grid, turned, turn_wheel, press):
    show(grid, make_view())
    speckle, phase, overlay = (grid.showing(content) for content in (Content.SPECKLE, Content.PHASE, Content.OVERLAY))
    before = speckle.canvas.visible_um
    turn_wheel(grid.showing(turned))
    assert phase.canvas.visible_um.width() < before.width() * 0.95
    assert overlay.canvas.visible_um.width() == pytest.approx(phase.canvas.visible_um.width(), rel=0.02)
    assert overlay.canvas.visible_um.center().x() == pytest.approx(phase.canvas.visible_um.center().x(), abs=1.0)
    assert speckle.canvas.visible_um == before
    press(grid, PaneCommand.LINK)
    held = grid.showing(turned).canvas.visible_um
    turn_wheel(phase if turned is Content.OVERLAY else overlay)
    assert grid.showing(turned).canvas.visible_um == held
    grid.fit()
    for pane in grid.panes:
        assert pane.canvas.visible_um.contains(QRectF(1, 1, FIELD_UM - 2, FIELD_UM - 2))


def test_the_whole_field_stays_visible_when_the_window_changes(grid, qapp):
    show(grid, make_view())
    for number, size in ((4, (1366, 420)), (2, (700, 700)), (1, (900, 300)), (3, (1366, 700))):
        grid.set_number(number)
        grid.resize(*size)
        qapp.processEvents()
        for pane in grid.panes:
            assert pane.canvas.visible_um.adjusted(-1, -1, 1, 1).contains(QRectF(0, 0, FIELD_UM, FIELD_UM))


def test_a_linked_pane_that_is_turned_shows_the_same_part(grid):
    show(grid, make_view())
    phase, overlay = grid.showing(Content.PHASE), grid.showing(Content.OVERLAY)
    overlay.set_options(replace(overlay.options, orientation=Orientation(1)))
    part = QRectF(40.0, 250.0, 60.0, 60.0)
    phase.canvas.show_part(part)
    phase.canvas.moved.emit(phase.canvas.visible_um)
    assert overlay.canvas.visible_um.center().x() == pytest.approx(part.center().x(), abs=1.0)
    assert overlay.canvas.visible_um.center().y() == pytest.approx(part.center().y(), abs=1.0)


def test_the_scale_bar_is_as_long_as_it_says(grid):
    show(grid, make_view())
    canvas = grid.showing(Content.PHASE).canvas
    length_px, text = canvas.annotations.scale_bar
    ends = [canvas.position_of(QPointF(x, 0.0)).x() for x in (0.0, FIELD_UM)]
    assert float(text.split()[0]) / FIELD_UM == pytest.approx(length_px / (ends[1] - ends[0]), rel=0.02)
    canvas.show_part(QRectF(100.0, 100.0, 50.0, 50.0))
    _, zoomed = canvas.annotations.scale_bar
    assert float(zoomed.split()[0]) < float(text.split()[0])


def test_cross_hair_and_grid_lie_where_they_say(grid, press):
    show(grid, make_view())
    pane = grid.showing(Content.PHASE)
    pane.activate()
    for command in (PaneCommand.CROSS_HAIR, PaneCommand.GRID):
        press(grid, command)
    cross, lines = pane.canvas.annotations.lines
    centre = pane.canvas.position_of(QPointF(FIELD_UM / 2, FIELD_UM / 2))
    assert cross[0].x1() == pytest.approx(centre.x(), abs=1.0)
    assert cross[1].y1() == pytest.approx(centre.y(), abs=1.0)
    assert pane.canvas.grid_step_um == 50.0
    assert pane.canvas.annotations.notes == ("Grid 50 \N{MICRO SIGN}m",)
    assert len(lines) == 2 * 7
    assert lines[0].x1() == pytest.approx(pane.canvas.position_of(QPointF(50.0, 0.0)).x(), abs=1.0)


def test_a_copied_pane_is_the_picture_as_it_is_seen(grid, qapp, hover, press):
    show(grid, view_with(np.full((128, 128), 2.6)))
    pane = grid.showing(Content.OVERLAY)
    pane.activate()
    hover(pane, 200, 200)
    press(grid, PaneCommand.COPY)
    copied = qapp.clipboard().image()
    assert copied.width() == pytest.approx(pane.canvas.annotations.picture.width(), abs=2)
    assert copied.pixelColor(copied.width() // 2, copied.height() // 2).getRgb()[:3] == (255, 255, 255)
    bar = [copied.pixelColor(x, copied.height() - 30).lightness() for x in range(copied.width())]
    assert min(bar[-60:]) < 150  # the plate of the scale bar
    assert pane.canvas.annotations.readout  # is back


def test_the_state_is_plain_and_comes_back(grid, qtbot, press):
    grid.set_number(4)
    choose(grid, Content.TRUTH, pane=0)
    pane = grid.panes[1]
    pane.set_options(
        replace(
            pane.options.toggled(PaneFlag.GRID),
            colours=ColourMap.CYCLIC,
            orientation=Orientation(3, mirrored=True),
            filters=FilterSettings(averaged_frames=8, unwrap=True),
        )
    )
    grid.panes[2].strip.levels.set_by_hand(0.5, 1.5)
    press(grid, PaneCommand.LINK)
    state = json.loads(json.dumps(grid.state()))
    other = PaneGrid(FACTS)
    qtbot.addWidget(other)
    assert other.restore(state) == []
    assert other.state() == state
    assert [each.options for each in other.panes] == [each.options for each in grid.panes]
    assert other.panes[2].strip.levels.pair == (0.5, 1.5)


@pytest.mark.parametrize(
    "damage",
    [
        {"number": 7},
        {"number": "four"},
        {"panes": [{"content": "moon"}]},
        {"panes": ["speckle"]},
        {"panes": [{"content": "phase", "flags": ["no such"]}]},
        {"panes": [{"content": "phase", "filters": {"averaged_frames": 0}}]},
        {"levels": {"counts": {"low": 5.0, "high": 1.0, "every_frame": False, "histogram": "linear"}}},
        {"levels": {"counts": 3}},
    ],
)
def test_a_damaged_state_gives_one_warning_and_changes_nothing(grid, damage):
    before = grid.state()
    assert len(grid.restore(damage)) == 1
    assert grid.state() == before


class Paints(QObject):
    """Counts how often a widget is painted."""

    def __init__(self, widget):
        super().__init__()
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched, event):
        self.count += event.type() == QEvent.Type.Paint
        return False


def test_the_window_shows_what_it_polls(window, session):
    view = make_view(index=7)
    overlay = session.add(view)
    for _ in range(3):
        window.refresh_pictures()
    window.refresh_numbers()
    pictures = window.page.pictures
    np.testing.assert_array_equal(rendered(pictures.showing(Content.SPECKLE))[::16, ::16, 0], view.frame.pixels[::16, ::16])
    np.testing.assert_array_equal(pictures.showing(Content.PHASE).image, view.reconstruction.phase_rad)
    assert pictures.showing(Content.OVERLAY).subtitle.full_text.startswith(f"{overlay.labels.max()} objects, frame 7")
    assert window.views_shown == 1


def test_paints_do_not_outnumber_polls(window, session, qapp):
    paints = [Paints(pane.canvas.viewport) for pane in window.page.pictures.panes]
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


def test_twelve_bit_frames_keep_their_counts(grid):
    pixels = make_view().frame.pixels
    grid.set_facts(replace(FACTS, full_scale=4095))
    grid.show_frame(Frame(pixels.astype(np.uint16) * 16, 0, 0, 0.002, bit_depth=12))
    np.testing.assert_allclose(rendered(grid.showing(Content.SPECKLE))[::16, ::16, 0], pixels[::16, ::16], atol=1)


def test_nothing_new_paints_nothing(grid, qapp):
    show(grid, make_view(index=7))
    item = grid.showing(Content.SPECKLE).canvas.image_item
    shown = item.picture
    grid.refresh_numbers()
    assert item.picture is shown


def test_the_read_out_is_of_the_last_of_many_moves(grid, operator):
    show(grid, make_view())
    pane = grid.showing(Content.SPECKLE)
    places = [at(pane, float(x_um), 100.0) for x_um in range(20, 200, 4)]
    operator.sweep(pane.canvas.viewport, places)  # faster than any rate at which moves may be dropped
    readout = pane.canvas.annotations.readout
    assert float(readout.split()[1]) == pytest.approx(196.0, abs=2.0)
