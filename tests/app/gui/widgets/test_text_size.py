"""Texts follow the size of the system's texts, and the largest still fits on a small screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PyQt6.QtGui import QFont, QFontInfo
from PyQt6.QtWidgets import QApplication, QPushButton

from app.gui.widgets import style
from app.gui.widgets.palette import theme_in_use
from app.gui.widgets.style import LARGEST_TEXT_PX, SMALLEST_TEXT_PX, apply_style, system_text_px
from tests.helpers.scripted_session import make_view


@pytest.fixture
def large(qapp: QApplication) -> Iterator[None]:
    apply_style(qapp, theme_in_use(), LARGEST_TEXT_PX)
    yield
    apply_style(qapp, theme_in_use(), SMALLEST_TEXT_PX)


@pytest.mark.parametrize(("system_px", "expected_px"), [(9, SMALLEST_TEXT_PX), (15, 15), (21, LARGEST_TEXT_PX)])
def test_texts_are_as_large_as_those_of_the_system_within_limits(qapp, monkeypatch, system_px: int, expected_px: int) -> None:
    font = QFont()
    font.setPixelSize(system_px)
    assert QFontInfo(font).pixelSize() == system_px
    monkeypatch.setattr(style.QFontDatabase, "systemFont", lambda kind: font)
    assert system_text_px() == expected_px


def test_every_text_of_the_style_sheet_grows(qapp, qtbot, large) -> None:
    button = QPushButton("Record")
    qtbot.addWidget(button)
    button.ensurePolished()
    assert button.font().pixelSize() == LARGEST_TEXT_PX
    assert f"font-size: {round(22 * LARGEST_TEXT_PX / SMALLEST_TEXT_PX)}px" in qapp.styleSheet()


def test_the_largest_texts_fit_on_a_small_screen(window, session, large) -> None:
    session.add(make_view())
    session.start_live()
    window.resize(1366, 730)
    window.refresh_pictures()
    window.refresh_numbers()
    for dock in window.page.docks:
        window.page.toggle_panel(dock.objectName())
        QApplication.processEvents()
        smallest = window.minimumSizeHint()
        assert smallest.width() <= 1366, (dock.objectName(), smallest)
        assert smallest.height() <= 730, (dock.objectName(), smallest)
        window.page.toggle_panel(dock.objectName())
