"""The export panel under the mouse and the keyboard of an X server. ``test_x_events.py`` runs it on two screens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QWidget

from acquisition.archive.reader import Archive
from acquisition.exchange.export import ExportFormat
from acquisition.exchange.formats.film_picture import FilmColours
from app.gui.data_page.entry_list.actions import EntryAction
from app.gui.data_page.page import DataPage
from app.gui.export_panel.panel import ExportPanel
from app.gui.export_panel.part_fields import RangeKind
from app.gui.main_window.page_list import DATA
from app.gui.main_window.window import MainWindow
from app.gui.session_protocol import SessionLike
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import XOperator, maximize, wait_until

FRAMES = 8


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording; nothing is kept outside the folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    times_s = [number / 10 for number in range(FRAMES)]
    return RecordingPlan(times_s=times_s, skipped=(2,)).record(tmp_path / "archive")


@pytest.fixture
def panel(
    path: Path, session: ScriptedSession, window_of: Callable[[SessionLike], MainWindow], operator: XOperator
) -> ExportPanel:
    """The panel of the recording, opened from the Data page of a window as large as the screen."""
    session.archive = path.parent
    window = window_of(session)
    maximize(window)
    operator.click(
        window.rail.widgetForAction(window.rail.actions()[DATA]),
        until=lambda: isinstance(window.pages.current_page, DataPage),
    )
    page = window.pages.current_page
    assert isinstance(page, DataPage)
    wait_until(lambda: len(page.model.entries) == 1)
    operator.click_cell(page.table, 0, 2, until=lambda: [entry.path for entry in page.table.selected] == [path])
    operator.click(page.buttons.buttons[EntryAction.EXPORT], until=lambda: window.exports.panel is not None)
    panel = window.exports.panel
    assert panel is not None
    wait_until(lambda: not panel.refusal())
    return panel


def _choose_only(panel: ExportPanel, operator: XOperator, *wanted: ExportFormat) -> None:
    for kind, box in panel.formats.boxes.items():
        if box.isChecked() is not (kind in wanted):
            box.setFocus()  # a box below the edge of the list comes into view, as with Tab
            operator.click(
                box, QPoint(8, box.height() // 2), until=lambda box=box, kind=kind: box.isChecked() is (kind in wanted)
            )


def test_a_film_and_numbers_of_a_part_are_exported_with_mouse_and_keyboard(
    panel: ExportPanel, path: Path, tmp_path: Path, operator: XOperator
) -> None:
    _check_on_screen(panel)
    out = tmp_path / "out"
    _choose_only(panel, operator, ExportFormat.NPZ, ExportFormat.VIEWING_MP4)
    labels = panel.part.layers["labels"]
    operator.click(labels, until=lambda: not labels.isChecked())
    operator.choose(panel.part.kind, panel.part.kind.findData(RangeKind.FRAMES))
    operator.fill(panel.part.start, "1")
    operator.fill(panel.part.end, "5")
    operator.choose(panel.film.colours, panel.film.colours.findData(FilmColours.GREY))
    operator.click(panel.film.scale_bar, until=lambda: not panel.film.scale_bar.isChecked())
    operator.fill(panel.folder, str(out))
    wait_until(lambda: not panel.refusal())
    assert panel.summary.text().startswith("5 frames. About")
    assert panel.missing.text().startswith("1 frame of these has no phase")
    operator.click(panel.export_button, until=lambda: panel.outcome.text() == f"Exported 2 files in {out}")
    archive = Archive.open(path)
    with np.load(out / f"{path.name}.npz") as content:
        np.testing.assert_array_equal(content["speckle"], [archive.read("speckle", number) for number in range(1, 6)])
        assert "phase" in content
        assert "labels" not in content
    with av.open(str(next(out.glob("*.mp4")))) as film:
        pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert len(pictures) == 5
    assert np.ptp(pictures[0], axis=2).max() <= 8, "a grey film has no colours"
    operator.click(panel.close_button, until=lambda: not panel.isVisible())


def _check_on_screen(panel: ExportPanel) -> None:
    screen = panel.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    kinds = QAbstractButton | QLineEdit | QComboBox | QAbstractSpinBox
    used = [one for one in panel.findChildren(QWidget) if isinstance(one, kinds) and not one.visibleRegion().isEmpty()]
    assert len(used) > len(ExportFormat)
    for widget in used:
        assert screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())), widget
