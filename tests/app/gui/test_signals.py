"""SIGINT and SIGTERM close the window and its session, and then the program ends with their exit codes."""

from __future__ import annotations

import signal
from functools import partial

import pytest
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from app.gui import main
from app.gui.main_window.window import MainWindow
from app.signals import InterruptionError
from tests.helpers.scripted_session import ScriptedSession

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("number", CODES)
def test_a_signal_closes_the_window(
    number: signal.Signals, styled, session: ScriptedSession, store: QSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "default_store", lambda: store)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where SIGINT is ignored
    timer = QTimer()
    timer.timeout.connect(partial(_raise_when_shown, timer, number))
    timer.start(5)
    try:
        with pytest.raises(InterruptionError, match="is on disk") as raised:
            main.run_window(session)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert raised.value.exit_code == CODES[number]
    assert session.closed.is_set()


def _raise_when_shown(timer: QTimer, number: signal.Signals) -> None:
    """Raise the signal once there is a window: before that, Qt may work on events while the signals are still Python's."""
    if any(isinstance(widget, MainWindow) and widget.isVisible() for widget in QApplication.topLevelWidgets()):
        timer.stop()
        signal.raise_signal(number)
