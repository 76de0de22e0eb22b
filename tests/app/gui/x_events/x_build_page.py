"""The Build page under the mouse and the keyboard of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QWidget

from acquisition.capture.states import AcquisitionState
from app.gui.build_page.page import BuildPage
from app.gui.main_window.page_list import BUILD
from app.gui.main_window.window import MainWindow
from app.instrument.config import InstrumentConfig
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.operator import XOperator, maximize, wait_until


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def session(tmp_path: Path) -> ScriptedSession:
    session = ScriptedSession()
    session.config = InstrumentConfig(archive=tmp_path / "archive")
    return session


@pytest.fixture
def page(window: MainWindow, operator: XOperator) -> BuildPage:
    """The page in a window as large as the screen, opened by a click on the rail."""
    maximize(window)
    button = window.rail.widgetForAction(window.rail.actions()[BUILD])
    assert button is not None
    operator.click(button, until=lambda: isinstance(window.pages.current_page, BuildPage))
    page = window.pages.current_page
    assert isinstance(page, BuildPage)
    wait_until(page.acquire.start_button.isEnabled)
    return page


def _is_on(screen: QRect, widget: QWidget) -> bool:
    return screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size()))


def test_a_dataset_is_planned_and_started_with_the_mouse(
    page: BuildPage, session: ScriptedSession, operator: XOperator
) -> None:
    form = page.acquire.form
    operator.fill(form.name, "liver")
    assert form.source.hasFocus()
    operator.fill(form.numbers["pairs"], "60")
    wait_until(lambda: len(page.acquire.patterns.names) == 12)
    operator.click(page.acquire.start_button, until=lambda: bool(session.calls))
    _, name, plan = session.calls[0]
    assert (name, plan.pairs) == ("liver", 60)
    session.acquisition = replace(session.acquisition, state=AcquisitionState.CAPTURING, pairs_acknowledged=5)
    wait_until(page.run.pause.isVisible)
    operator.click(page.run.pause, until=lambda: session.calls[-1] == ("pause_acquisition", True))
    operator.click(page.run.stop, until=lambda: session.calls[-1] == ("stop_acquisition",))
    session.acquisition = replace(session.acquisition, state=AcquisitionState.FINISHED)


def test_everything_is_on_the_screen(page: BuildPage, session: ScriptedSession, operator: XOperator) -> None:
    screen = page.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    session.acquisition = replace(session.acquisition, state=AcquisitionState.CAPTURING, drift=((0, 1.0), (26, 0.9)))
    wait_until(page.run.isVisible)
    bar = page.tabs.tabBar()
    assert bar is not None
    for number in range(page.tabs.count()):
        place = bar.mapToGlobal(bar.tabRect(number).center())
        operator.click_at(place, until=lambda number=number: page.tabs.currentIndex() == number)
        used = [
            widget
            for widget in page.findChildren(QWidget)
            if isinstance(widget, QAbstractButton | QLineEdit | QComboBox) and not widget.visibleRegion().isEmpty()
        ]
        assert len(used) > 5
        for widget in used:
            assert _is_on(screen, widget), (number, widget.accessibleName() or widget.toolTip())
    session.acquisition = replace(session.acquisition, state=AcquisitionState.FINISHED)
