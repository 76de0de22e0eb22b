"""Texts follow the size of the system's texts, and the largest still fits on a small screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from PyQt6.QtGui import QFont, QFontDatabase, QFontInfo
from PyQt6.QtWidgets import QApplication

from app.gui.main_window.window import MainWindow
from app.gui.session_protocol import SessionLike
from app.gui.widgets.palette import colours, theme_in_use
from app.gui.widgets.style import LARGEST_TEXT_PX, SMALLEST_TEXT_PX, apply_style, system_text_px
from app.gui.widgets.style_sheet import style_sheet
from tests.helpers.scripted_session import ScriptedSession, make_view

SMALL_SCREEN = (1366, 745)  # without the bar of the window's title


@pytest.mark.parametrize(("system_px", "expected_px"), [(9, SMALLEST_TEXT_PX), (14, 14), (21, LARGEST_TEXT_PX)])
def test_texts_are_as_large_as_those_of_the_system_within_limits(
    qapp: QApplication, monkeypatch: pytest.MonkeyPatch, system_px: int, expected_px: int
) -> None:
    font = QFont()
    font.setPixelSize(system_px)
    assert QFontInfo(font).pixelSize() == system_px
    monkeypatch.setattr(QFontDatabase, "systemFont", lambda kind: font)
    assert system_text_px() == expected_px


def test_every_text_of_the_style_sheet_grows() -> None:
    sizes = [re.findall(r"font-size: (\d+)px", style_sheet(colours(), scale)) for scale in (1.0, 2.0)]
    assert sizes[0]
    assert sizes[1] == [str(2 * int(size)) for size in sizes[0]]


@pytest.mark.parametrize("panes", [1, 3, 4])
def test_the_largest_texts_fit_on_a_small_screen(
    qapp: QApplication, window_of: Callable[[SessionLike], MainWindow], session: ScriptedSession, panes: int
) -> None:
    apply_style(qapp, theme_in_use(), LARGEST_TEXT_PX)
    try:
        window = window_of(session)
        assert window.page is not None
        session.start_live()
        session.status = replace(session.status, choosing_engine=True)
        window.refresh_numbers()
        session.add(make_view())
        window.page.pictures.set_number(panes)
        window.resize(*SMALL_SCREEN)
        window.refresh_pictures()
        window.refresh_numbers()
        state = window.page.controls.state
        for dock in window.page.docks:
            window.page.toggle_panel(dock.objectName())
            for _ in range(4):
                QApplication.processEvents()
            smallest = window.minimumSizeHint()
            assert (smallest.width() <= SMALL_SCREEN[0], smallest.height() <= SMALL_SCREEN[1]) == (True, True), smallest
            assert state.text() == "Choosing engine\N{HORIZONTAL ELLIPSIS}"
            assert state.width() >= state.sizeHint().width(), dock.objectName()
            window.page.toggle_panel(dock.objectName())
    finally:
        apply_style(qapp, theme_in_use(), SMALLEST_TEXT_PX)
