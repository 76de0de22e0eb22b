"""The Calibrate page under the mouse and the keyboard of an X server. ``test_x_events.py`` runs these tests, on two screens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, QRect
from PyQt6.QtWidgets import QAbstractButton

from app.calibrations.kinds import Calibration
from app.gui.calibrate_page.page import CalibratePage
from app.gui.pages.page import PageContext
from app.instrument.config import TwinConfig, load_config, save_config
from app.jobs.job_list import JobList
from app.live.session import Session
from drivers.twin.slm import SimulatedSlmConfig
from tests.helpers.small_instrument import OPTICS, small_instrument
from tests.helpers.x_server.answers import agrees
from tests.helpers.x_server.operator import XOperator, maximize, wait_until


@pytest.fixture
def page(qtbot, styled, tmp_path: Path) -> Iterator[CalibratePage]:
    """The page as large as the screen, on a session whose SLM settles within milliseconds."""
    slm = SimulatedSlmConfig(refresh_hz=500.0, settle_s=0.004, time_constant_s=0.0008, lut_gamma=1.2)
    file = tmp_path / "instrument.yaml"
    save_config(small_instrument(tmp_path).model_copy(update={"twin": TwinConfig(optics=OPTICS, slm=slm)}), file)
    session = Session.open(load_config(file))
    page = CalibratePage(PageContext(jobs=JobList()))
    qtbot.addWidget(page)
    page.use_session(session)
    page.enter()
    maximize(page)
    wait_until(lambda: bool(page.records))
    yield page
    page.use_session(None)
    session.close()


def test_run_look_and_apply_with_the_mouse(page: CalibratePage, operator: XOperator) -> None:
    requested: list[object] = []
    page.instrument_requested.connect(requested.append)
    operator.click(page.cards[Calibration.LUT], until=lambda: page.what is Calibration.LUT)
    operator.fill(page.run_panel.levels, "16")
    operator.click(page.run_panel.run, until=lambda: page.job is not None)
    wait_until(lambda: page.job is None and page.records[Calibration.LUT].stored is not None)
    assert page.figures.plots
    apply = page.result_panel.apply
    wait_until(apply.isEnabled)
    answer = agrees(operator)
    operator.click(apply, until=lambda: bool(requested))
    answer.stop()
    assert load_config(page.session.config.file).calibrations.lut is not None


@pytest.mark.slow
def test_keys_reach_every_card_and_run(page: CalibratePage, operator: XOperator) -> None:
    page.cards[Calibration.TIMING].setFocus()
    for what in list(Calibration)[1:]:
        operator.key("Down", until=lambda what=what: page.what is what)
    reached = set()
    for _ in range(12):
        operator.key("Tab")
        reached.add(page.focusWidget())
    assert page.run_panel.run in reached


def test_everything_of_the_left_and_the_buttons_are_on_the_screen(page: CalibratePage) -> None:
    screen = page.screen().availableGeometry().adjusted(0, 0, 1, 1)
    for button in (*page.cards.values(), page.run_panel.run, page.result_panel.apply, page.result_panel.revert):
        assert isinstance(button, QAbstractButton)
        assert screen.contains(QRect(button.mapToGlobal(QPoint(0, 0)), button.size())), button.accessibleName()
