"""The Data page of the window under the mouse and the keyboard of an X server. ``test_x_events.py`` runs it on two screens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton, QComboBox, QLineEdit

from acquisition.archive.reader import Archive
from app.gui.data_page.entry_list.actions import EntryAction
from app.gui.data_page.entry_list.entry_model import COLUMNS, Column
from app.gui.data_page.page import DataPage
from app.gui.main_window.page_list import DATA
from app.gui.main_window.window import MainWindow
from app.gui.session_protocol import SessionLike
from tests.helpers.archives.library_archive import recording
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.answers import agrees
from tests.helpers.x_server.operator import XOperator, maximize, wait_until


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of three recordings; nothing is kept outside the folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("liver left", "liver right", "kidney"):
        recording(tmp_path / "archive", name)
    return tmp_path / "archive"


@pytest.fixture
def page(
    archive: Path, session: ScriptedSession, window_of: Callable[[SessionLike], MainWindow], operator: XOperator
) -> DataPage:
    """The Data page, opened by a click on the rail of a window as large as the screen."""
    session.archive = archive
    window = window_of(session)
    maximize(window)
    button = window.rail.widgetForAction(window.rail.actions()[DATA])
    assert button is not None
    operator.click(button, until=lambda: isinstance(window.pages.current_page, DataPage))
    page = window.pages.current_page
    assert isinstance(page, DataPage)
    wait_until(lambda: len(page.model.entries) == 3)
    return page


def _names(page: DataPage) -> list[str]:
    return sorted(entry.name for entry in page.model.entries)


def _click_cell(operator: XOperator, page: DataPage, name: str, column: Column) -> None:
    row = [entry.name for entry in page.model.entries].index(name)
    place = page.table.visualRect(page.model.index(row, COLUMNS.index(column))).center()
    operator.click(page.table.viewport_, place)


def test_search_star_rename_and_trash_with_mouse_and_keyboard(page: DataPage, operator: XOperator, archive: Path) -> None:
    operator.click(page.bar.search, until=page.bar.search.hasFocus)
    operator.type("left", until=lambda: _names(page) == ["liver left"])
    operator.key("ctrl+a")
    operator.key("BackSpace", until=lambda: len(page.model.entries) == 3)
    _click_cell(operator, page, "kidney", Column.NAME)
    operator.key("ctrl+d", until=lambda: any(entry.notes.star for entry in page.model.entries))
    _click_cell(operator, page, "kidney", Column.STAR)
    wait_until(lambda: not any(entry.notes.star for entry in page.model.entries))
    operator.key("F2", until=page.details.name.hasFocus)
    operator.type("spleen", until=lambda: page.details.name.text() == "spleen")
    operator.key("Return", until=lambda: "spleen" in _names(page))
    wait_until(lambda: [entry.name for entry in page.table.selected] == ["spleen"])
    assert Archive.open(page.table.selected[0].path).status["name"] == "spleen"
    operator.click(page.details.notes, until=page.details.notes.hasFocus)
    operator.type("warm", until=lambda: page.details.notes.toPlainText() == "warm")
    _click_cell(operator, page, "liver left", Column.NAME)
    wait_until(lambda: bool(page.archives.search("warm")))
    operator.key("Delete", until=lambda: _names(page) == ["liver right", "spleen"])
    operator.click(page.bar.trash, until=lambda: len(page.trash.entries) == 1)
    answer = agrees(operator)
    operator.click(page.trash.empty, until=lambda: not page.trash.entries)
    answer.stop()
    assert "1 entry of" in answer.questions[0]
    operator.click(page.trash.back, until=page.table.isVisible)


def test_everything_of_the_page_is_on_the_screen(page: DataPage, operator: XOperator) -> None:
    _click_cell(operator, page, "kidney", Column.NAME)
    wait_until(lambda: bool(page.details.fact_texts()))
    screen = page.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    used = [
        widget for kind in (QAbstractButton, QLineEdit, QComboBox) for widget in page.findChildren(kind) if widget.isVisible()
    ]
    assert len(used) > len(EntryAction)
    for widget in used:
        if not page.details.isAncestorOf(widget):  # the details can be scrolled
            assert screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())), widget
    name = page.table.columnWidth(COLUMNS.index(Column.NAME))
    assert name >= 120
    last = page.table.visualRect(page.model.index(0, COLUMNS.index(Column.ENDED)))
    assert last.right() <= page.table.viewport_.width()
