"""The way from the window to the set-up form and back, and what closes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication, QWidget

from app.gui.main_window.page_list import RIG
from app.gui.main_window.session_host import HostState
from app.gui.main_window.window import MainWindow
from app.gui.rig_page.page import RigPage
from app.gui.rig_page.set_up.panel import TrialState
from app.gui.widgets.questions import QuestionBox
from app.instrument.config import load_config, save_config
from app.instrument.device_facts import RigFacts
from app.status import RecordingState, RecordingStatus
from drivers.camera_settings import CameraSetting, Choices, SettingName
from drivers.device_facts import DeviceFact
from tests.helpers.answers import refuses
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.small_instrument import small_instrument


def _operator(act: Callable[[QWidget], object]) -> QTimer:
    """Look every 50 ms at the windows on the screen."""
    timer = QTimer()
    timer.timeout.connect(lambda: [act(widget) for widget in QApplication.topLevelWidgets() if widget.isVisible()])
    timer.start(50)
    return timer


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

    def act(widget: QWidget) -> None:
        if not isinstance(widget, MainWindow) or widget.page is None or widget.host.state is not HostState.OPEN:
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

    timer = _operator(act)
    assert main.run_instrument(file) == 0
    timer.stop()
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

    def act(widget: QWidget) -> None:
        if not isinstance(widget, MainWindow):
            return
        if not steps and widget.page is not None:
            widget.instruments.go_to_setup()
            _rig(widget).set_up.try_devices()
            steps.append("asked")
        elif steps == ["asked"] and "frames/s" in _rig(widget).set_up.camera.state.text():
            assert widget.host.session is None
            steps.append("tested")
            widget.show_page(0)  # a page that is not seen holds no devices
        elif steps == ["asked", "tested"] and widget.page is not None:
            steps.append("open again")
            widget.close()

    timer = _operator(act)
    assert main.run_instrument(file) == 0
    timer.stop()
    assert steps == ["asked", "tested", "open again"]


def test_a_recording_is_asked_about_before_a_test_closes_the_instrument(
    window: MainWindow, session: ScriptedSession, qtbot
) -> None:
    session.recording = RecordingStatus(state=RecordingState.RECORDING, path=Path("r"), frames_recorded=12, seconds=1.5)
    window.instruments.go_to_setup()
    rig = _rig(window)
    assert window.pages.number == RIG
    assert f"A test closes {session.title} first" in (rig.refresh() or rig.set_up.closing_note.text)
    asked: list[str] = []

    def answer() -> None:
        box = next(box for box in QApplication.topLevelWidgets() if isinstance(box, QuestionBox) and box.isVisible())
        asked.append(box.text())
        box.refuse.click()

    QTimer.singleShot(50, answer)
    rig.set_up.try_devices()
    assert "recording" in asked[0].lower()
    assert rig.set_up.state is TrialState.IDLE
    assert window.host.state is HostState.OPEN


def test_keys_go_to_fields_that_were_made_later(window: MainWindow, session: ScriptedSession, qtbot) -> None:
    session.settings = (CameraSetting(name=SettingName.BINNING, value=1, limits=Choices((1, 2, 4)), live=False),)
    session.facts = RigFacts(camera=(DeviceFact("Model", "acA1920"),))
    window.show_page(RIG)
    rig = _rig(window)
    rig.use_session(session)
    rig.tabs.setCurrentWidget(rig.devices)
    rig.refresh()
    field = rig.devices.fields[SettingName.BINNING]
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    qtbot.keyClicks(field, "r")  # it would record, or say why not
    assert session.calls == []
    assert not window.banner.text


def test_a_broken_instrument_is_told_in_the_window_which_stays(qtbot, styled, tmp_path, kept, monkeypatch) -> None:
    from app.gui import main

    (tmp_path / "bad.yaml").write_text("camera: kodak")
    monkeypatch.setattr(QApplication, "platformName", lambda *_: "xcb")
    texts: list[str] = []

    def act(widget: QWidget) -> None:
        if isinstance(widget, MainWindow) and "kodak" in widget.empty_page.text.text():
            texts.append(widget.empty_page.text.text())
            widget.empty_page.setup.click()
            texts.append(_rig(widget).set_up.note.text)
            widget.close()

    timer = _operator(act)
    assert main.run_instrument(tmp_path / "bad.yaml") == 0
    timer.stop()
    assert "'camera' = 'kodak'" in texts[0]
    assert "'camera' = 'kodak'" in texts[1], "the form says why it was not opened"


def test_an_instrument_that_does_not_open_ends_a_start_without_screen(kept, tmp_path: Path, capsys, monkeypatch) -> None:
    from app.gui import main

    monkeypatch.setattr(QApplication, "platformName", lambda *_: "offscreen")
    (tmp_path / "bad.yaml").write_text("camera: kodak")
    assert main.run_instrument(tmp_path / "bad.yaml") == 2
    assert "'camera' = 'kodak'" in capsys.readouterr().err


def test_closing_asks_before_a_set_up_that_is_not_saved_is_lost(window, session) -> None:
    rig = _rig(window)
    rig.set_up.name.setText("another name")
    rig.set_up.name.textEdited.emit("another name")
    assert rig.set_up.edited
    answer = refuses()
    assert not window.close()
    answer.stop()
    assert answer.questions == ["The set-up form has changes that are not saved."]
    assert not session.closed.is_set()
    assert window.isVisible()
