"""SIGINT and SIGTERM close the window and its session, and then the program ends with their exit codes."""

from __future__ import annotations

import signal
from functools import partial

import pytest
from PyQt6.QtCore import QSettings, QTimer

from app.gui import main
from app.signals import InterruptionError
from tests.helpers.scripted_session import ScriptedSession

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.parametrize("number", CODES)
def test_a_signal_closes_the_window(
    number: signal.Signals, styled, session: ScriptedSession, store: QSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "default_store", lambda: store)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where SIGINT is ignored
    QTimer.singleShot(0, partial(signal.raise_signal, number))
    try:
        with pytest.raises(InterruptionError, match="is on disk") as raised:
            main.run_window(session)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert raised.value.exit_code == CODES[number]
    assert session.closed.is_set()
