"""The Cells panel: numbers of the cells that are shown, their course over time, and what the operator asks for."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint
from PyQt6.QtWidgets import QApplication, QWidget

from app.gui.command import Command
from app.gui.image_view.cell_marks import CellColour
from app.gui.image_view.contents import Content
from app.gui.live_page.cells.panel import CellsPanel
from app.gui.live_page.cells.texts import value_text
from app.gui.main_window.window import MainWindow
from app.status import LiveView, Overlay
from drivers.base import Frame
from reconstruction.base import Reconstruction
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellScale
from reconstruction.segmentation.config import SegmentationConfig
from tests.helpers.scripted_session import FIELD_UM, ScriptedSession
from tests.helpers.x_server.operator import XOperator

SIDE = 128
#: Row, column and side of square cells in pixels of the phase, and their phase in radians. The last one is small.
CELLS = ((20, 20, 16, 1.0), (60, 30, 20, 0.5), (70, 90, 12, 2.0), (20, 90, 4, 1.0))
DASH = "\N{EN DASH}"


def overlay(index: int, cells=CELLS, *, increment: float | None = 0.19) -> Overlay:
    """Return a frame with cells that keep their identities 1, 2, ... and grow with time."""
    phase, labels = np.full((SIDE, SIDE), 0.1, np.float32), np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column, side, height_rad) in enumerate(cells, start=1):
        phase[row : row + side, column : column + side] += height_rad * (1 + 0.1 * index)
        labels[row : row + side, column : column + side] = number
    mask = np.ones((SIDE, SIDE), np.bool_)
    scale = CellScale(pixel_um=FIELD_UM / SIDE, wavelength_um=0.532, refractive_increment_um3_per_pg=increment)
    noise = np.full((SIDE, SIDE), 0.05, np.float32)
    table = measure_cells(phase, labels, mask, scale, noise)
    table = table.with_identities(table.label.astype(np.int32))
    reconstruction = Reconstruction(phase, index, 0.04, 0.01, "model", "torch", mask)
    frame = Frame(np.zeros((SIDE, SIDE), np.uint8), index, index * 10**9, 0.002)
    return Overlay(LiveView(frame, reconstruction), labels, 0.01, table)


def show(window: MainWindow, session: ScriptedSession, *overlays: Overlay) -> None:
    for each in overlays:
        session.overlays.append(each)
        window.refresh_pictures()
    window.refresh_numbers()


@pytest.fixture
def panel(window: MainWindow, session: ScriptedSession) -> CellsPanel:
    session.start_live()
    window.page.toggle_panel("cells")
    show(window, session, overlay(0), overlay(1), overlay(2))
    return window.page.cells


def columns(panel: CellsPanel, column: int) -> list[str]:
    return [panel.rows.text(row, column) for row in range(panel.rows.rowCount())]


def asked(session: ScriptedSession) -> list[SegmentationConfig]:
    return [call[1] for call in session.calls if call[0] == "choose_segmentation" and isinstance(call[1], SegmentationConfig)]


def test_every_cell_has_a_row_with_its_numbers(panel: CellsPanel, window: MainWindow, session: ScriptedSession) -> None:
    assert panel.number.full_text == "4 cells"
    assert columns(panel, 0) == ["1", "2", "3", "4"]
    pitch_um2 = (FIELD_UM / SIDE) ** 2
    assert columns(panel, 1)[0] == value_text(256 * pitch_um2)
    assert columns(panel, 2)[1] == "0.600"
    first = panel.rows.item(1, 2)
    assert first is not None
    assert first.toolTip().startswith("0.600 ± 0.00")
    assert all(" ± " in text for text in columns(panel, 4))
    show(window, session, overlay(3, CELLS[1:3], increment=None))
    assert panel.number.full_text == "2 cells"
    assert columns(panel, 4) == [DASH, DASH], "without a refractive increment the mass is not known"


def test_the_table_saves_its_numbers(panel: CellsPanel, tmp_path: Path, window: MainWindow) -> None:
    panel.save.save(tmp_path / "cells.csv")
    lines = [line for line in (tmp_path / "cells.csv").read_text("utf-8").splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert len(rows) == 12
    assert {row["frame"] for row in rows} == {"0", "1", "2"}
    assert float(rows[0]["mean_phase_rad"]) == pytest.approx(1.0, abs=1e-5)
    assert float(rows[0]["x_um"]) == pytest.approx(27.5 * FIELD_UM / SIDE)
    assert "cells.csv" in window.banner.text


def test_cells_that_are_selected_are_plotted_over_time(panel: CellsPanel, operator: XOperator) -> None:
    assert panel.plot is None
    assert panel.hint.isVisible()
    operator.click_cell(panel.rows, 1, 2, until=lambda: panel.rows.chosen == (2,))
    assert panel.plot is not None
    operator.choose(panel.quantity, 1)
    time_s, phase = panel.plot.data("2")
    assert list(time_s) == [-2, -1, 0]
    assert phase == pytest.approx([0.5, 0.55, 0.6], abs=1e-5)
    assert not panel.hint.isVisible()


def test_a_selected_cell_stays_selected_when_rows_come_and_go(
    panel: CellsPanel, window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    operator.click_cell(panel.rows, 2, 1, until=lambda: panel.rows.chosen == (3,))
    without = overlay(3)
    assert without.cells is not None
    renamed = without.cells.with_identities(np.array([2, 5, 3, 4], np.int32))
    show(window, session, replace(without, cells=renamed))
    assert columns(panel, 0) == ["2", "3", "4", "5"]
    assert [item.row() for item in panel.rows.selectedItems()] == [1] * 5
    assert panel.rows.chosen == (3,)


def test_the_threshold_acts_at_each_move_and_can_follow_the_noise_again(
    panel: CellsPanel, window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    slider = panel.threshold.slider
    assert panel.automatic.isChecked()
    assert not slider.isEnabled()
    operator.click(panel.automatic, QPoint(8, panel.automatic.height() // 2), until=lambda: slider.isEnabled())
    assert asked(session)[-1].threshold == pytest.approx(0.3)
    operator.click(slider, until=slider.hasFocus)
    operator.key("Home")
    operator.key("Right", "Right", until=lambda: asked(session)[-1].threshold == pytest.approx(0.03))
    assert panel.threshold.value.text() == "0.03 rad"
    session.segmentation = SegmentationConfig(threshold=0.5, min_area_px=40)
    window.refresh_numbers()
    assert (slider.value(), panel.smallest.step) == (50, 40)
    operator.click(panel.automatic, QPoint(8, panel.automatic.height() // 2), until=lambda: not slider.isEnabled())
    assert asked(session)[-1] == SegmentationConfig(min_area_px=40)


def test_cells_of_other_sizes_are_counted_and_not_listed(panel: CellsPanel, window: MainWindow, operator: XOperator) -> None:
    slider = panel.low.slider
    operator.click(slider, until=slider.hasFocus)
    operator.key("Home")
    operator.key(*["Prior"] * 6, until=lambda: slider.value() == 60)
    assert panel.number.full_text == "3 cells, 1 of other sizes"
    assert columns(panel, 0) == ["1", "2", "3"]
    assert window.page.pictures.showing(Content.OVERLAY).canvas.annotations.texts == ("1", "2", "3")
    assert ",4," not in panel.csv_text()


def test_outlines_have_the_colour_of_what_is_chosen_and_cells_their_numbers(
    panel: CellsPanel, window: MainWindow, operator: XOperator
) -> None:
    pane = window.page.pictures.showing(Content.OVERLAY)
    assert pane.shown is not None
    assert pane.shown.outline_colours is not None
    assert len({tuple(colour) for colour in pane.shown.outline_colours}) == 1
    assert pane.canvas.annotations.texts == ("1", "2", "3", "4")
    operator.choose(panel.colour, list(CellColour).index(CellColour.IDENTITY))
    assert len({tuple(colour) for colour in pane.shown.outline_colours}) == 4
    operator.choose(panel.colour, list(CellColour).index(CellColour.MEAN_PHASE))
    assert panel.scale.text() == "blue 0, red 3.00 rad"
    operator.click(panel.numbers, QPoint(8, panel.numbers.height() // 2), until=lambda: not panel.numbers.isChecked())
    assert pane.canvas.annotations.texts == ()


def test_the_key_shows_and_hides_the_panel(window: MainWindow, operator: XOperator) -> None:
    assert not window.page.cells.isVisible()
    operator.key("F9", until=window.page.cells.isVisible)
    assert window.commands[Command.CELLS_PANEL].shortcut().toString() == "F9"
    operator.key("F9", until=lambda: not window.page.cells.isVisible())


def test_every_part_has_a_name_and_says_what_it_does(panel: CellsPanel) -> None:
    rows = (panel.threshold, panel.smallest, panel.low, panel.high)
    parts: list[QWidget] = [*(row.slider for row in rows), panel.kind, panel.colour, panel.quantity]
    assert all(part.accessibleName() for part in [*parts, panel.rows])
    assert all(part.toolTip() for part in [*parts, panel.automatic, panel.numbers, panel.save])


@pytest.mark.parametrize("size", [(1366, 740), (3840, 2100)])
def test_it_fits_a_small_and_a_large_screen(
    panel: CellsPanel, window: MainWindow, session: ScriptedSession, size: tuple[int, int]
) -> None:
    window.resize(*size)
    show(window, session, overlay(3))
    for _ in range(4):
        QApplication.processEvents()
    smallest = window.minimumSizeHint()
    assert smallest.width() <= size[0]
    assert smallest.height() <= size[1]
    assert (window.width(), window.height()) == size
    assert panel.visibleRegion().boundingRect().width() == panel.width(), "nothing is cut off at the side"


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [
        (245.31, 12.4, "245 ± 12"),
        (245.31, 3.4, "245 ± 3"),
        (245.31, 0.124, "245.31 ± 0.12"),
        (0.5, float("nan"), "0.500"),
        (1234.5, 0.0, "1234"),
        (float("nan"), 1.0, DASH),
        (0.0, float("nan"), "0.00"),
    ],
)
def test_numbers_are_written_down_to_the_first_digit_of_their_deviation(value: float, std: float, text: str) -> None:
    assert value_text(value, std) == text


def test_a_preset_brings_settings_and_marks_back(panel: CellsPanel, window: MainWindow, session: ScriptedSession) -> None:
    chosen = SegmentationConfig(threshold=0.4, min_area_px=30, weights=Path("cells.safetensors"))
    session.choose_segmentation(chosen)
    panel.restore({"colour": "Area", "numbers": False, "area_from": 60, "area_to": 100, "quantity": "dry_mass_pg"})
    look = panel.look
    assert look.colour is CellColour.AREA
    window.page.save_preset("cells")
    session.choose_segmentation(SegmentationConfig())
    assert len(panel.restore({"colour": "smell", "numbers": True, "area_from": 0, "area_to": 999})) == 2
    window.page.apply_preset("cells")
    assert session.segmentation == chosen
    assert (panel.look.colour, panel.look.sizes, panel.look.has_numbers) == (look.colour, look.sizes, False)
