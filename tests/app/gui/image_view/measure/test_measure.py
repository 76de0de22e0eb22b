"""Shapes are drawn and moved with the mouse, and their numbers are those of the raw array of the frame that they name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from PyQt6.QtCore import QPoint, QPointF
from PyQt6.QtWidgets import QApplication, QFileDialog

from app.gui.image_view.contents import Content, PaneFacts
from app.gui.image_view.measure.measure_panel import MeasurePanel, Sheet
from app.gui.image_view.measure.measurements import MAX_MEASUREMENTS
from app.gui.image_view.measure.tool import Tool
from app.gui.image_view.orientation import Orientation
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.image_view.pane_options import PaneOptions
from app.measuring.alignment import alignment_numbers
from app.measuring.line_profile import line_profile
from app.measuring.measurement import Kind
from app.measuring.region_statistics import region_statistics
from app.measuring.shapes import EllipseShape, LineShape, PointShape, RectangleShape
from app.status import Overlay
from tests.helpers.scripted_session import FIELD_UM, make_view
from tests.helpers.x_server.operator import show_in_front


@pytest.fixture(autouse=True)
def _every_mouse_event() -> Iterator[None]:
    """The mouse of a test is faster than any hand; pyqtgraph would skip its events."""
    before = pg.getConfigOption("mouseRateLimit")
    pg.setConfigOption("mouseRateLimit", -1)
    yield
    pg.setConfigOption("mouseRateLimit", before)


@pytest.fixture
def grid(qtbot, styled) -> PaneGrid:
    grid = PaneGrid(PaneFacts(field_um=FIELD_UM, full_scale=255, display_range_rad=(0.0, 2.6)))
    qtbot.addWidget(grid)
    grid.resize(1366, 700)
    show_in_front(grid)
    show(grid)
    return grid


@pytest.fixture
def panel(qtbot, grid) -> MeasurePanel:
    panel = MeasurePanel(grid.measure)
    qtbot.addWidget(panel)
    panel.resize(500, 600)
    show_in_front(panel)
    return panel


@pytest.fixture
def delete(operator) -> Callable[[PaneGrid], None]:
    """Presses the key that removes a measurement."""

    def press(grid: PaneGrid) -> None:
        operator.activate(grid)
        operator.key("Delete")

    return press


def show(grid: PaneGrid, index: int = 0, *, gain: float = 1.0):
    view = make_view(index=index, seed=index)
    frame = replace(view.frame, t_ns=index * 20_000_000)
    phase = view.reconstruction.phase_rad * np.float32(gain)
    view = replace(view, frame=frame, reconstruction=replace(view.reconstruction, phase_rad=phase))
    grid.show_frame(view.frame)
    grid.show_view(view)
    grid.show_overlay(Overlay(view, None, 0.0))
    grid.refresh_numbers()
    QApplication.processEvents()
    return view


@pytest.fixture
def drag(operator) -> Callable[..., None]:
    """Drags the mouse over a pane; places are in micrometres."""

    def move(pane, start: tuple[float, float], end: tuple[float, float]) -> None:
        first, last = (pane.canvas.position_of(QPointF(*point)).toPoint() for point in (start, end))
        operator.drag(pane.canvas.viewport, first, last)

    return move


@pytest.fixture
def draw(drag, operator) -> Callable[..., str]:
    """Draws a shape on the pane of a content; returns its name."""

    def with_mouse(grid: PaneGrid, tool: Tool, content: Content, *ends: tuple[float, float]) -> str:
        operator.activate(grid)
        operator.key(grid.measure.actions[tool].shortcut().toString().lower())
        drag(grid.showing(content), ends[0], ends[-1])
        grid.refresh_numbers()
        return grid.measure.measurements.names[-1]

    return with_mouse


def result(grid: PaneGrid, name: str):
    return next(each for each in grid.measure.measurements.results if each.measurement.name == name)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))


@pytest.mark.parametrize(("tool", "shape"), [(Tool.RECTANGLE, RectangleShape), (Tool.ELLIPSE, EllipseShape)])
def test_a_region_is_drawn_where_the_mouse_goes_and_counts_the_raw_pixels(grid, tool, shape, draw):
    name = draw(grid, tool, Content.SPECKLE, (100, 80), (250, 200))
    drawn = grid.measure.measurements[name].shape
    assert isinstance(drawn, shape)
    assert (drawn.x_um, drawn.y_um, drawn.width_um, drawn.height_um) == pytest.approx((100, 80, 150, 120), abs=2.5)
    view = show(grid, 3)
    numbers, expected = result(grid, name).numbers, region_statistics(view.frame.pixels, drawn, FIELD_UM / 512, 255)
    assert (numbers["mean"], numbers["std"]) == (expected.mean, expected.std)
    assert (numbers["area_um2"], numbers["saturated_fraction"]) == (expected.area_um2, expected.saturated_fraction)
    assert result(grid, name).picture.frame_index == 3
    assert grid.measure.actions.tool is Tool.MOVE


def test_a_rectangle_agrees_with_a_slice_of_the_array(grid, draw):
    name = draw(grid, Tool.RECTANGLE, Content.PHASE, (100, 80), (250, 200))
    shape = grid.measure.measurements[name].shape
    pitch = FIELD_UM / 128
    rows, columns = (
        slice(int(np.ceil(a / pitch - 0.5)), int(np.floor(b / pitch - 0.5)) + 1)
        for a, b in ((shape.y_um, shape.y_um + shape.height_um), (shape.x_um, shape.x_um + shape.width_um))
    )
    raw = show(grid, 2).reconstruction.phase_rad[rows, columns].astype(np.float64)
    numbers = result(grid, name).numbers
    assert (numbers["mean"], numbers["std"], numbers["min"], numbers["max"]) == pytest.approx(
        (raw.mean(), raw.std(), raw.min(), raw.max())
    )
    assert numbers["pixels"] == raw.size


@pytest.mark.parametrize("orientation", [Orientation(), Orientation(1, mirrored=True)])
def test_distance_and_angle_are_those_of_the_picture_however_it_is_turned(grid, orientation, draw):
    pane = grid.showing(Content.PHASE)
    pane.set_options(replace(pane.options, orientation=orientation))
    QApplication.processEvents()
    name = draw(grid, Tool.DISTANCE, Content.PHASE, (100, 200), (220, 110))
    numbers = result(grid, name).numbers
    assert numbers["length_um"] == pytest.approx(150.0, abs=3.0)
    assert numbers["angle_deg"] == pytest.approx(36.87, abs=1.5)


def test_a_profile_is_that_of_the_newest_frame(grid, panel, draw):
    panel.choose(Sheet.PROFILE)
    name = draw(grid, Tool.PROFILE, Content.PHASE, (40, 200), (360, 210))
    view = show(grid, 5)
    expected = line_profile(view.reconstruction.phase_rad, grid.measure.measurements[name].shape, FIELD_UM / 128)
    x, y = panel.profile.data(name)
    np.testing.assert_array_equal(x, expected.distance_um)
    np.testing.assert_array_equal(y, expected.values)
    rows = table(panel.csv_text())
    assert {row["frame"] for row in rows} == {"5"}
    np.testing.assert_array_equal([float(row["value"]) for row in rows], expected.values)


def test_a_point_follows_its_pixel_over_time(grid, panel, draw):
    panel.choose(Sheet.TIME)
    name = draw(grid, Tool.POINT, Content.PHASE, (150, 120), (150, 120))
    shape = grid.measure.measurements[name].shape
    assert (shape.x_um, shape.y_um) == pytest.approx((150, 120), abs=2.0)
    row, column = int(shape.y_um / FIELD_UM * 128), int(shape.x_um / FIELD_UM * 128)
    gains = (1.0, 0.5, 2.0)
    views = [show(grid, k, gain=gain) for k, gain in enumerate(gains, start=1)]
    rows = table(panel.csv_text())
    assert [float(row_["mean"]) for row_ in rows] == [float(view.reconstruction.phase_rad[row, column]) for view in views]
    assert [row_["frame"] for row_ in rows] == ["1", "2", "3"]
    x, y = panel.time.data(name)
    np.testing.assert_allclose(x, [-0.04, -0.02, 0.0], atol=1e-9)
    np.testing.assert_array_equal(y, [float(row_["mean"]) for row_ in rows])


def test_counts_and_radians_have_plots_of_their_own(grid, panel, draw):
    panel.choose(Sheet.TIME)
    assert panel.time.units == ()
    phase = draw(grid, Tool.POINT, Content.PHASE, (150, 120), (150, 120))
    speckle = draw(grid, Tool.RECTANGLE, Content.SPECKLE, (100, 100), (200, 180))
    show(grid, 1)
    assert panel.time.units == ("counts", "rad")
    assert panel.time.data(speckle)[1][0] > 10 > panel.time.data(phase)[1][0]
    grid.measure.measurements.remove(speckle)
    grid.refresh_numbers()
    assert panel.time.units == ("rad",)
    with pytest.raises(KeyError):
        panel.time.data(speckle)


def test_a_shape_is_moved_by_dragging_and_begins_its_course_again(grid, draw, drag):
    name = draw(grid, Tool.RECTANGLE, Content.PHASE, (100, 100), (200, 180))
    show(grid, 1)
    assert len(grid.measure.measurements.traces[name]) == 1
    before = grid.measure.measurements[name].shape
    drag(grid.showing(Content.PHASE), (150, 140), (190, 170))
    after = grid.measure.measurements[name].shape
    assert (after.x_um - before.x_um, after.y_um - before.y_um) == pytest.approx((40, 30), abs=4.0)
    assert after.width_um == pytest.approx(before.width_um)
    assert len(grid.measure.measurements.traces[name]) == 0
    drag(grid.showing(Content.PHASE), (after.x_um + after.width_um, after.y_um + after.height_um), (320, 300))
    grown = grid.measure.measurements[name].shape
    assert (grown.x_um + grown.width_um, grown.y_um + grown.height_um) == pytest.approx((320, 300), abs=5.0)
    assert (grown.x_um, grown.y_um) == pytest.approx((after.x_um, after.y_um), abs=0.5)


def test_a_line_is_moved_by_its_ends(grid, draw, drag):
    name = draw(grid, Tool.DISTANCE, Content.PHASE, (100, 100), (200, 100))
    drag(grid.showing(Content.PHASE), (200, 100), (200, 200))
    line = grid.measure.measurements[name].shape
    assert (line.x1_um, line.y1_um, line.x2_um, line.y2_um) == pytest.approx((100, 100, 200, 200), abs=4.0)


def test_the_same_shape_is_seen_on_every_pane_of_its_picture(grid, draw, drag):
    grid.panes[2].set_options(PaneOptions.of(Content.PHASE))
    name = draw(grid, Tool.RECTANGLE, Content.PHASE, (100, 100), (200, 180))
    drag(grid.panes[1], (150, 140), (190, 170))
    shape = grid.measure.measurements[name].shape
    assert shape.x_um > 120
    assert [grid.measure.shapes_on(pane) for pane in grid.panes] == [{}, {name: shape}, {name: shape}]
    grid.panes[2].set_options(PaneOptions.of(Content.OVERLAY))
    assert [grid.measure.shapes_on(pane) for pane in grid.panes] == [{}, {name: shape}, {}]


def test_a_click_without_a_drag_draws_a_shape_that_can_be_seen(grid, draw):
    for tool in (Tool.RECTANGLE, Tool.ELLIPSE, Tool.PROFILE):
        name = draw(grid, tool, Content.PHASE, (150, 150), (150, 150))
        shape = grid.measure.measurements[name].shape
        assert (shape.length_um if isinstance(shape, LineShape) else shape.width_um) > 30


def test_numbers_are_unknown_while_no_pane_shows_the_picture(grid, panel, draw):
    name = draw(grid, Tool.RECTANGLE, Content.PHASE, (100, 100), (200, 180))
    assert panel.table.text(0, "Mean") != "\N{EN DASH}"
    grid.showing(Content.PHASE).set_options(PaneOptions.of(Content.TRUTH))
    grid.refresh_numbers()
    assert result(grid, name).picture is None
    assert [panel.table.text(0, heading) for heading in ("Mean", "Frame", "Unit")] == ["\N{EN DASH}"] * 3


def test_the_table_shows_name_frame_and_numbers(grid, panel, draw):
    draw(grid, Tool.RECTANGLE, Content.SPECKLE, (100, 100), (200, 180))
    draw(grid, Tool.DISTANCE, Content.SPECKLE, (100, 100), (200, 100))
    show(grid, 8)
    numbers = result(grid, "Rectangle 1").numbers
    assert panel.table.text(0, "Name") == "Rectangle 1"
    assert panel.table.text(0, "Frame") == "8"
    assert float(panel.table.text(0, "Mean")) == pytest.approx(numbers["mean"], rel=1e-3)
    assert panel.table.text(0, "Saturated") == f"{numbers['saturated_fraction']:.2%}"
    assert panel.table.text(1, "Mean") == "\N{EN DASH}"
    assert float(panel.table.text(1, "Length")) == pytest.approx(100.0, abs=2.5)


def test_delete_removes_what_was_drawn_last_and_a_row_can_be_chosen(grid, panel, operator, draw, delete):
    first, second, third = (draw(grid, Tool.POINT, Content.PHASE, (x, 100), (x, 100)) for x in (80, 160, 240))
    delete(grid)
    assert grid.measure.measurements.names == (first, second)
    panel.refresh()
    operator.click_cell(panel.table, 0)
    delete(grid)
    assert grid.measure.measurements.names == (second,)
    assert draw(grid, Tool.POINT, Content.PHASE, (300, 100), (300, 100)) == "Point 4"
    assert third not in grid.measure.measurements.names
    operator.click(panel.clear_button)
    assert grid.measure.measurements.names == ()
    assert panel.table.rowCount() == 0


def test_a_clicked_shape_is_selected_in_the_table_and_removed_by_delete(grid, panel, draw, drag, delete):
    first = draw(grid, Tool.RECTANGLE, Content.PHASE, (60, 60), (160, 140))
    second = draw(grid, Tool.RECTANGLE, Content.PHASE, (200, 200), (300, 280))
    assert grid.measure.selection == second
    drag(grid.showing(Content.PHASE), (110, 100), (110, 100))
    assert grid.measure.selection == first
    panel.refresh()
    assert {item.row() for item in panel.table.selectedItems()} == {0}
    delete(grid)
    assert grid.measure.measurements.names == (second,)
    assert grid.measure.selection == second


def test_there_is_a_largest_number_of_measurements(grid):
    for _ in range(MAX_MEASUREMENTS):
        assert grid.measure.measurements.add(Kind.POINT, "truth", PointShape(1.0, 1.0))
    assert grid.measure.measurements.add(Kind.POINT, "truth", PointShape(1.0, 1.0)) is None


def test_alignment_numbers_run_only_while_they_are_seen(grid, panel):
    show(grid, 1)
    assert len(grid.measure.alignment) == 0
    panel.choose(Sheet.ALIGNMENT)
    views = [show(grid, k) for k in (2, 3)]
    expected = [alignment_numbers(view.frame.pixels, 255, view.frame.index) for view in views]
    rows = table(panel.csv_text())
    for name in ("mean", "saturated_fraction", "contrast", "focus"):
        assert [float(row[name]) for row in rows] == [getattr(numbers, name) for numbers in expected]
    assert "Brenner" in panel.csv_text()
    _, y = panel.alignment.plots["saturated_fraction"].data("saturated_fraction")
    np.testing.assert_allclose(y, [100 * numbers.saturated_fraction for numbers in expected])
    panel.hide()
    show(grid, 4)
    show(grid, 5)
    assert len(grid.measure.alignment) == 3


def test_another_session_begins_all_courses_again(grid, panel, draw):
    panel.choose(Sheet.ALIGNMENT)
    name = draw(grid, Tool.POINT, Content.PHASE, (80, 100), (80, 100))
    show(grid, 1)
    show(grid, 2)
    grid.clear()
    assert len(grid.measure.alignment) == len(grid.measure.measurements.traces[name]) == 0


def test_csv_is_saved_whole_or_refused(grid, panel, qtbot, tmp_path, draw):
    draw(grid, Tool.RECTANGLE, Content.SPECKLE, (100, 100), (200, 180))
    file = tmp_path / "numbers.csv"
    with qtbot.waitSignal(panel.saved):
        panel.save(file)
    assert file.read_text("utf-8").replace("\r\n", "\n") == panel.csv_text().replace("\r\n", "\n")
    assert table(file.read_text("utf-8"))[0]["name"] == "Rectangle 1"
    (tmp_path / "file").write_text("")
    with qtbot.waitSignal(panel.refused) as refused:
        panel.save(tmp_path / "file" / "numbers.csv")
    assert "choose another folder" in refused.args[0]


def test_csv_is_copied(grid, panel, qapp, operator, draw):
    draw(grid, Tool.RECTANGLE, Content.SPECKLE, (100, 100), (200, 180))
    operator.click(panel.copy_button)
    assert qapp.clipboard().text().replace("\r\n", "\n") == panel.csv_text().replace("\r\n", "\n")


@pytest.fixture
def drawn_panel(grid, panel, draw) -> MeasurePanel:
    """The panel with a rectangle in its table."""
    draw(grid, Tool.RECTANGLE, Content.SPECKLE, (100, 100), (200, 180))
    return panel


def test_the_file_dialog_saves_what_was_shown_at_the_click(grid, drawn_panel, qtbot, tmp_path, operator):
    text = drawn_panel.csv_text()
    operator.click(drawn_panel.save_button)
    dialog = drawn_panel.findChild(QFileDialog)
    show(grid, 7)
    operator.activate(dialog)
    operator.type(str(tmp_path / "numbers.csv"))
    with qtbot.waitSignal(drawn_panel.saved):
        operator.key("Return", until=lambda: not dialog.isVisible())
    assert (tmp_path / "numbers.csv").read_bytes().decode() == text


def test_a_camera_roi_is_drawn_in_pixels_of_the_frame(grid, qtbot, drag):
    grid.draw_roi()
    with qtbot.waitSignal(grid.roi_drawn) as drawn:
        drag(grid.showing(Content.SPECKLE), (100, 50), (300, 200))
    roi = drawn.args[0]
    assert (roi.x(), roi.y(), roi.width(), roi.height()) == pytest.approx((128, 64, 256, 192), abs=4)
    assert grid.measure.actions.tool is Tool.MOVE
    grid.draw_roi()
    with qtbot.waitSignal(grid.roi_drawn) as drawn:
        drag(grid.showing(Content.SPECKLE), (200, 100), (420, 420))  # cut to the frame
    assert drawn.args[0].bottomRight() == QPoint(511, 511)
    assert (drawn.args[0].x(), drawn.args[0].y()) == pytest.approx((256, 128), abs=4)
    grid.draw_roi()
    with qtbot.assertNotEmitted(grid.roi_drawn):
        drag(grid.showing(Content.PHASE), (100, 50), (300, 200))


def test_a_roi_can_be_drawn_although_no_pane_shows_the_speckle(grid):
    grid.showing(Content.SPECKLE).set_options(PaneOptions.of(Content.TRUTH))
    grid.draw_roi()
    assert grid.current.content is Content.SPECKLE


def test_measurements_are_part_of_the_state(grid, qtbot, draw):
    names = [
        draw(grid, tool, Content.PHASE, (100, 100), (200, 180))
        for tool in (Tool.POINT, Tool.DISTANCE, Tool.PROFILE, Tool.RECTANGLE, Tool.ELLIPSE)
    ]
    state = json.loads(json.dumps(grid.state()))
    other = PaneGrid(PaneFacts(field_um=FIELD_UM, full_scale=255, display_range_rad=(0.0, 2.6)))
    qtbot.addWidget(other)
    assert other.restore(state) == []
    assert [other.measure.measurements[name] for name in names] == [grid.measure.measurements[name] for name in names]
    state["measurements"][1]["shape"] = {"x1_um": "far"}
    assert len(other.restore(state)) == 1
    assert other.measure.measurements.names == (names[0], *names[2:])


def test_every_command_has_a_name_a_tip_and_a_key_of_its_own(grid):
    commands = grid.all_commands()
    keys = [command.shortcut().toString() for command in commands if not command.shortcut().isEmpty()]
    assert len(set(keys)) == len(keys)
    assert len({command.objectName() for command in commands}) == len(commands)
    for command in commands:
        assert command.objectName().startswith(("panes.", "measure."))
        assert command.toolTip()
        assert command.text()


def test_tools_are_chosen_by_their_keys(grid, operator):
    for tool, key in ((Tool.PROFILE, "p"), (Tool.ELLIPSE, "o"), (Tool.MOVE, "v")):
        operator.key(key)
        assert grid.measure.actions.tool is tool
