"""The Train page under the mouse and the keyboard of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QLineEdit, QWidget

from app.gui.main_window.page_list import TRAIN
from app.gui.main_window.window import MainWindow
from app.gui.train_page.page import TrainPage
from app.instrument.config import InstrumentConfig
from app.training.training_queue import QueueState
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.x_server.answers import refuses
from tests.helpers.x_server.operator import XOperator, maximize, wait_until

PATIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("specklescope: interrupted"))
print("simulating pairs: 30 of 100", file=sys.stderr, flush=True)
while True: signal.pause()
"""


@pytest.fixture
def session(tmp_path: Path) -> ScriptedSession:
    session = ScriptedSession()
    session.config = InstrumentConfig(archive=tmp_path / "archive")
    return session


@pytest.fixture
def page(window: MainWindow, operator: XOperator) -> Iterator[TrainPage]:
    """The page with its models, opened by a click on the rail of a window as large as the screen."""
    maximize(window)
    button = window.rail.widgetForAction(window.rail.actions()[TRAIN])
    assert button is not None
    operator.click(button, until=lambda: isinstance(window.pages.current_page, TrainPage))
    page = window.pages.current_page
    assert isinstance(page, TrainPage)
    page.control.program = (sys.executable, "-c", PATIENT)
    wait_until(lambda: bool(page.models.shown))
    yield page
    page.stop_polling()


def _show_sheet(page: TrainPage, number: int, operator: XOperator) -> None:
    bar = page.sheets.tabBar()
    assert bar is not None
    operator.click_at(bar.mapToGlobal(bar.tabRect(number).center()), until=lambda: page.sheets.currentIndex() == number)


def test_everything_is_on_the_screen(page: TrainPage, operator: XOperator) -> None:
    screen = page.screen().availableGeometry().adjusted(0, 0, 1, 1)  # a scale of 2 rounds
    kinds = QAbstractButton | QLineEdit | QComboBox | QAbstractSpinBox
    for sheet in (0, 1):
        _show_sheet(page, sheet, operator)
        used = [one for one in page.findChildren(QWidget) if isinstance(one, kinds) and not one.visibleRegion().isEmpty()]
        assert len(used) >= 4
        for widget in used:
            assert screen.contains(QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())), widget


def test_a_training_is_named_started_and_stopped(page: TrainPage, operator: XOperator) -> None:
    operator.fill(page.form.name, "liver")
    operator.click(page.form.train_button, until=lambda: page.control.training is not None)
    assert page.control.training is not None
    assert page.control.training.name == "liver"
    wait_until(lambda: "simulating pairs" in page.run_view.state.full_text)
    operator.click(page.queue_panel.stop, until=lambda: page.queue.trainings[0].state is QueueState.STOPPED)


@pytest.mark.slow
def test_return_keeps_the_present_model(page: TrainPage, operator: XOperator) -> None:
    requested: list[str] = []
    page.model_requested.connect(requested.append)
    _show_sheet(page, 1, operator)
    models = page.models.list
    row = [model.name for model in page.models.shown].index("unet-twin")
    viewport = models.viewport()
    assert viewport is not None
    operator.click_at(viewport.mapToGlobal(models.visualItemRect(models.item(row, 0)).center()))
    assert models.currentRow() == row
    answer = refuses(operator)
    operator.click(page.models.use, until=lambda: bool(answer.questions))
    wait_until(lambda: QApplication.activeModalWidget() is None)
    answer.stop()
    assert "unet-twin: has learned nothing" in answer.questions[0]
    assert requested == []
