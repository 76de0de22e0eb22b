"""A model that was chosen for an instrument is used again after a restart, unless it cannot be used any more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings

from app.gui.main_window.session_host import InstrumentChoice, SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.pages.model_choices import ModelChoices
from app.instrument.config import save_config
from reconstruction.models.model import DEFAULT_MODEL
from tests.helpers.scripted_session import ScriptedSession
from tests.helpers.small_instrument import small_instrument, small_model


@pytest.fixture
def start(qtbot, styled, store: QSettings) -> Callable[[], MainWindow]:
    """Starts the window again with the same store; ``opened`` has what was opened."""

    def make() -> MainWindow:
        opened: list[InstrumentChoice] = []

        def prepare(choice: InstrumentChoice):
            opened.append(choice)
            return ScriptedSession

        window = MainWindow(SessionHost(prepare), store)
        window.stop_polling()
        window.opened = opened
        qtbot.addWidget(window, before_close_func=_end)
        return window

    return make


def _end(window: MainWindow) -> None:
    window.shut_down()
    window.wait_closed(30)
    window.hide()


def opens(qtbot, window: MainWindow, action: Callable[[], object]) -> InstrumentChoice:
    """Return what the window has opened when the action is done."""
    count = len(window.opened)
    with qtbot.waitSignal(window.host.opened, timeout=10_000):
        action()
    assert len(window.opened) == count + 1
    return window.opened[-1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of an instrument with a model of its own."""
    save_config(small_instrument(tmp_path), tmp_path / "instrument.yaml")
    return tmp_path / "instrument.yaml"


def test_a_chosen_model_is_used_again_after_a_restart(qtbot, start, tmp_path, file) -> None:
    mine = str(small_model(tmp_path / "mine") and tmp_path / "mine")
    window = start()
    opens(qtbot, window, lambda: window.instruments.open(InstrumentChoice(file)))
    assert opens(qtbot, window, lambda: window.instruments.use_model(mine)).model == mine
    again = start()
    assert opens(qtbot, again, lambda: again.instruments.open(InstrumentChoice(file))) == InstrumentChoice(file, mine)
    assert opens(qtbot, again, again.instruments.use_simulated).model is None  # another instrument, another fibre


def test_a_chosen_model_that_is_gone_is_refused_and_that_of_the_file_is_used(qtbot, start, store, tmp_path, file) -> None:
    small_model(tmp_path / "mine")
    ModelChoices(store).remember(file, str(tmp_path / "small-model"), str(tmp_path / "mine"))
    shutil.rmtree(tmp_path / "mine")
    window = start()
    assert opens(qtbot, window, lambda: window.instruments.open(InstrumentChoice(file))).model is None
    texts = [entry.message.text for entry in window.banner.log]
    assert any("mine that you chose is not there any more; small-model is used instead" in text for text in texts)


def test_a_chosen_model_of_another_fibre_is_refused(qtbot, start, store, file) -> None:
    ModelChoices(store).remember(file, str(file.parent / "small-model"), DEFAULT_MODEL)
    window = start()
    assert opens(qtbot, window, lambda: window.instruments.open(InstrumentChoice(file))).model is None
    assert any("cannot be used. It was trained for fibre" in entry.message.text for entry in window.banner.log)


def test_a_file_that_names_another_model_now_is_obeyed(store: QSettings, tmp_path: Path) -> None:
    ModelChoices(store).remember(tmp_path / "i.yaml", "default-twin", "/models/mine")
    choices = ModelChoices(store)
    assert choices.of(tmp_path / "i.yaml", "default-twin") == "/models/mine"
    assert choices.of(tmp_path / "i.yaml", "unet-twin") == ""
    assert choices.of(None, "default-twin") == ""


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 5}', '{"a": ["b"]}', "[" * 100_000])
def test_a_damaged_entry_chooses_nothing(store: QSettings, text: str) -> None:
    store.setValue("train/models", text)
    assert ModelChoices(store).of(None, "default-twin") == ""
