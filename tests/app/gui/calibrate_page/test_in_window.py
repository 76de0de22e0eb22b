"""The Calibrate page in the window: what is applied counts in the same window, and the live view goes on."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QSettings

from app.calibrations.kinds import Calibration
from app.calibrations.verdict import CalibrationState
from app.gui.calibrate_page.page import CalibratePage
from app.gui.main import prepared
from app.gui.main_window.page_list import CALIBRATE
from app.gui.main_window.session_host import HostState, InstrumentChoice, SessionHost
from app.gui.main_window.window import MainWindow
from app.instrument.config import TwinConfig, load_config, save_config
from drivers.twin.slm import SimulatedSlmConfig
from tests.helpers.small_instrument import OPTICS, small_instrument
from tests.helpers.x_server.answers import agrees
from tests.helpers.x_server.operator import XOperator


def test_what_is_applied_is_used_in_the_same_window(qtbot, styled, tmp_path: Path, operator: XOperator) -> None:
    slm = SimulatedSlmConfig(refresh_hz=500.0, settle_s=0.004, time_constant_s=0.0008, lut_gamma=1.2)
    file = tmp_path / "instrument.yaml"
    save_config(small_instrument(tmp_path).model_copy(update={"twin": TwinConfig(optics=OPTICS, slm=slm)}), file)
    host = SessionHost(prepared)
    window = MainWindow(host, QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat))
    qtbot.addWidget(window, before_close_func=_end)
    window.show()
    host.open(InstrumentChoice(file))
    qtbot.waitUntil(lambda: host.state is HostState.OPEN, timeout=30_000)
    window.pages.show_page(CALIBRATE)
    page = window.pages.current_page
    assert isinstance(page, CalibratePage)
    qtbot.waitUntil(lambda: bool(page.records), timeout=20_000)
    operator.click(page.cards[Calibration.LUT])
    operator.fill(page.run_panel.levels, "16")
    operator.click(page.run_panel.run)
    qtbot.waitUntil(lambda: page.records[Calibration.LUT].stored is not None, timeout=60_000)
    assert [job.name for job in window.jobs.statuses()] == ["Calibrate: SLM phase response"]
    assert page.records[Calibration.LUT].verdict.state is CalibrationState.CONTRADICTS
    first = host.session
    answer = agrees(operator)
    operator.click(page.result_panel.apply, until=lambda: bool(answer.questions))
    qtbot.waitUntil(lambda: host.state is HostState.OPEN and host.session is not first, timeout=30_000)
    answer.stop()
    assert host.session.config.twin.slm.assumed_lut_gamma == load_config(file).twin.slm.assumed_lut_gamma != 1.0
    assert window.pages.current_page is page
    qtbot.waitUntil(lambda: bool(page.records), timeout=20_000)
    assert page.records[Calibration.LUT].in_use == page.records[Calibration.LUT].folder
    assert page.records[Calibration.LUT].verdict.state is not CalibrationState.CONTRADICTS


def _end(window: MainWindow) -> None:
    window.shut_down()
    window.wait_closed(30)
    window.hide()
