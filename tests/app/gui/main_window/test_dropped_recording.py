"""A recording or a dataset that is dropped on the window is played on the Data page; the instrument goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from acquisition.archive.reader import JOURNAL
from app.gui.main_window.page_list import DATA
from app.gui.main_window.session_host import InstrumentChoice, SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.player.player import Player
from app.status import RecordingState, RecordingStatus
from tests.conftest import ROOT
from tests.helpers.archives.played_recording import RecordingPlan
from tests.helpers.dragged_files import drop, files

OLD = ROOT / "tests" / "fixtures" / "version-0.1.0"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return RecordingPlan(times_s=(1.0, 1.1)).record(tmp_path / "archive")


def played(qtbot, window: MainWindow, path: Path) -> Player:
    """Return the player, once it has opened this archive."""
    qtbot.waitUntil(lambda: window.pages.current_page is not None and window.pages.current_page.is_playing)
    player: Player = window.pages.current_page.player
    qtbot.waitUntil(lambda: player.left.archive is not None)
    assert player.left.path == path
    return player


@pytest.mark.parametrize("name", ["", JOURNAL], ids=["its folder", "a file of it"])
def test_a_recording_opens_in_the_player_while_the_instrument_records(qtbot, window, session, recording: Path, name) -> None:
    session.recording = RecordingStatus(state=RecordingState.RECORDING, frames_recorded=5)
    assert drop(window.page.pictures.panes[0].canvas.viewport, files(recording / name if name else recording))
    played(qtbot, window, recording)
    assert window.rail.actions()[DATA].isChecked()
    assert (window.host.choice, session.calls) == (InstrumentChoice(), [])
    assert window.page is not None


def test_a_dataset_and_a_recording_of_version_0_1_0_are_played_one_after_the_other(qtbot, window, tmp_path: Path) -> None:
    for name in ("dataset", "take"):
        source = next(file.parent for file in (OLD / name).glob(f"**/{JOURNAL}"))
        folder = Path(shutil.copytree(source, tmp_path / name))
        assert drop(window, files(folder))
        qtbot.waitUntil(lambda folder=folder: window.pages.current_page is not None and _path(window) == folder)
        played(qtbot, window, folder)


def test_a_recording_is_played_without_an_instrument(qtbot, styled, session, recording: Path) -> None:
    window = MainWindow(SessionHost(lambda choice: lambda: session))
    qtbot.addWidget(window, before_close_func=MainWindow.hide)
    window.stop_polling()
    window.show()
    assert drop(window.empty_page, files(recording))
    played(qtbot, window, recording)
    window.shut_down()
    window.wait_closed(30)


def _path(window: MainWindow) -> Path | None:
    player = window.pages.current_page.player
    return player.left.path if player is not None else None
