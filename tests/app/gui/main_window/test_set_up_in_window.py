"""The way from the window to the set-up form and back, and what closes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from app.gui.main_window.page_list import RIG
from app.gui.main_window.session_host import HostState
from app.gui.main_window.window import MainWindow
from app.gui.rig_page.page import RigPage
from app.gui.rig_page.set_up.panel import TrialState
from app.instrument.config import load_config, save_config
from app.instrument.device_facts import RigFacts
from app.status import RecordingState, RecordingStatus
from drivers.camera_settings import CameraSetting, Choices, SettingName
from drivers.device_facts import DeviceFact
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.small_instrument import small_instrument
from tests.helpers.x_server.answers import refuses
from tests.helpers.x_server.operator import XOperator, wait_until

#: A program that has not ended by itself is ended, in seconds.
_LONGEST_S = 60.0


class _Watcher(QTimer):
    """Does something with each window on the screen, every 50 ms, while the program runs.

    The program shows what goes wrong in its window, and stays open; so it is ended here, and ``stop`` raises what went wrong.
    """

    def __init__(self, act: Callable[[MainWindow], object]) -> None:
        super().__init__()
        self._act = act
        self._error: Exception | None = None
        self._end_s = time.monotonic() + _LONGEST_S
        self.setSingleShot(True)  # what is done with a window can wait for it, and must not begin twice meanwhile
        self.timeout.connect(self._look)
        self.start(50)

    def _look(self) -> None:
        windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, MainWindow) and one.isVisible()]
        try:
            for window in windows:
                self._act(window)
            assert time.monotonic() < self._end_s, [(one.windowTitle(), one.banner.text) for one in windows]
        except Exception as error:
            self._error = self._error or error
            for window in windows:
                window.shut_down()
            QApplication.quit()
        else:
            self.start(50)

    def stop(self) -> None:
        super().stop()
        if self._error is not None:
            raise self._error


def _shows_session(window: MainWindow) -> bool:
    """Whether an instrument is open and all pages know it."""
    return window.host.state is HostState.OPEN and "(simulated)" in window.windowTitle()


@pytest.fixture
def kept(tmp_path, monkeypatch) -> QSettings:
    """What the window remembers."""
    from app.gui import main

    store = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(main, "default_store", lambda: store)
    return store


def _rig(window: MainWindow) -> RigPage:
    page = window.pages.page(RIG)
    assert isinstance(page, RigPage)
    return page


def test_an_instrument_is_set_up_and_opened_in_one_window(qtbot, styled, tmp_path, kept) -> None:
    from app.gui import main

    file = tmp_path / "instrument.yaml"
    save_config(small_instrument(tmp_path), file)
    titles: list[str] = []
    windows: set[int] = set()

    def act(widget: MainWindow) -> None:
        if not _shows_session(widget):
            return
        windows.add(id(widget))
        titles.append(widget.windowTitle())
        if "second" in widget.windowTitle():
            assert [one.path for one in _recent(widget)] == [file]
            widget.close()
        elif widget.pages.number != RIG:
            widget.instruments.go_to_setup()
            rig = _rig(widget)
            assert rig.set_up.path.text() == str(file)
            rig.set_up.name.setText("second")
            rig.set_up.use()

    watcher = _Watcher(act)
    code = main.run_instrument(file)
    watcher.stop()
    assert code == 0
    assert list(dict.fromkeys(titles)) == [
        f"SpeckleScope: small instrument (simulated) [{file}]",
        f"SpeckleScope: second (simulated) [{file}]",
    ]
    assert len(windows) == 1
    assert load_config(file).name == "second"


def _recent(window: MainWindow) -> tuple[object, ...]:
    from app.gui.pages import recent_store

    return recent_store.remembered(_rig(window).context.store)


def test_a_test_closes_the_instrument_and_opens_it_again_at_its_end(qtbot, styled, tmp_path, kept) -> None:
    from app.gui import main

    file = tmp_path / "instrument.yaml"
    save_config(small_instrument(tmp_path), file)
    steps: list[str] = []

    def act(widget: MainWindow) -> None:
        if not steps and _shows_session(widget):
            widget.instruments.go_to_setup()
            _rig(widget).set_up.try_devices()
            steps.append("asked")
        elif steps == ["asked"] and "frames/s" in _rig(widget).set_up.camera.state.text():
            assert widget.host.session is None
            steps.append("tested")
            widget.show_page(0)  # a page that is not seen holds no devices
        elif steps == ["asked", "tested"] and _shows_session(widget):
            steps.append("open again")
            widget.close()

    watcher = _Watcher(act)
    code = main.run_instrument(file)
    watcher.stop()
    assert code == 0
    assert steps == ["asked", "tested", "open again"]


def test_a_recording_is_asked_about_before_a_test_closes_the_instrument(
    window: MainWindow, session: ScriptedSession, operator: XOperator
) -> None:
    session.recording = RecordingStatus(state=RecordingState.RECORDING, path=Path("r"), frames_recorded=12, seconds=1.5)
    window.instruments.go_to_setup()
    rig = _rig(window)
    assert window.pages.number == RIG
    assert f"A test closes {session.title} first" in (rig.refresh() or rig.set_up.closing_note.text)
    answer = refuses(operator)
    operator.click(rig.set_up.try_button, until=lambda: bool(answer.questions))
    answer.stop()
    assert "recording" in answer.questions[0].lower()
    assert rig.set_up.state is TrialState.IDLE
    assert window.host.state is HostState.OPEN


def test_keys_go_to_fields_that_were_made_later(window: MainWindow, session: ScriptedSession, operator: XOperator) -> None:
    session.settings = (CameraSetting(name=SettingName.BINNING, value=1, limits=Choices((1, 2, 4)), live=False),)
    session.facts = RigFacts(camera=(DeviceFact("Model", "acA1920"),))
    window.show_page(RIG)
    rig = _rig(window)
    rig.use_session(session)
    rig.tabs.setCurrentWidget(rig.devices)
    rig.refresh()
    field = rig.devices.fields[SettingName.BINNING]
    field.setFocus()
    wait_until(field.hasFocus)
    operator.key("r")  # it would record, or say why not
    assert session.calls == []
    assert not window.banner.text


def test_a_broken_instrument_is_told_in_the_window_which_stays(styled, tmp_path, kept, operator: XOperator) -> None:
    from app.gui import main

    (tmp_path / "bad.yaml").write_text("camera: kodak")
    texts: list[str] = []

    def act(widget: MainWindow) -> None:
        if not texts and "kodak" in widget.empty_page.text.text():
            texts.append(widget.empty_page.text.text())
            operator.click(widget.empty_page.setup, until=lambda: widget.pages.number == RIG)
            texts.append(_rig(widget).set_up.note.text)
            assert widget.close(), "nothing is open that would have to be finished first"

    watcher = _Watcher(act)
    code = main.run_instrument(tmp_path / "bad.yaml")
    watcher.stop()
    assert code == 0
    assert "'camera' = 'kodak'" in texts[0]
    assert "'camera' = 'kodak'" in texts[1], "the form says why it was not opened"


def test_an_instrument_that_does_not_open_ends_a_start_without_screen(kept, tmp_path: Path, capsys, monkeypatch) -> None:
    from app.gui import main

    monkeypatch.setattr(QApplication, "platformName", lambda *_: "offscreen")
    (tmp_path / "bad.yaml").write_text("camera: kodak")
    assert main.run_instrument(tmp_path / "bad.yaml") == 2
    assert "'camera' = 'kodak'" in capsys.readouterr().err


def test_closing_asks_before_a_set_up_that_is_not_saved_is_lost(window, session, operator) -> None:
    window.instruments.go_to_setup()
    rig = _rig(window)
    operator.fill(rig.set_up.name, "another name")
    assert rig.set_up.edited
    answer = refuses(operator)
    operator.key("alt+F4", until=lambda: bool(answer.questions))
    answer.stop()
    assert answer.questions == ["The set-up form has changes that are not saved."]
    assert not session.closed.is_set()
    assert window.isVisible()
