"""Files that are dropped on the window or on a pane: they open, or a sentence says what can be dropped."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PyQt6.QtCore import QMimeData, QUrl
from PyQt6.QtWidgets import QWidget

from app.gui.main import prepared
from app.gui.main_window.session_host import InstrumentChoice, SessionHost
from app.gui.main_window.window import MainWindow
from app.instrument.responses import SHIPPED_RESPONSES
from app.live.slm.content import SlmContent, SlmKind, SlmStatus
from app.status import MessageLevel, RecordingState, RecordingStatus
from calibration.stored import Stored, save
from reconstruction.models.model import CARD, DEFAULT_MODEL, SHIPPED
from tests.conftest import ROOT
from tests.helpers.dragged_files import drag, drop, files, leave
from tests.helpers.x_server.answers import agrees, refuses

MODEL = SHIPPED / DEFAULT_MODEL
RESPONSE = next(file.parent for file in SHIPPED_RESPONSES.glob("*/calibration.yaml"))


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    file = tmp_path / "station.yaml"
    file.write_text("name: bench 3\n")
    return file


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "dots.png"
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(file)
    return file


def archive(folder: Path) -> Path:
    source = next(file.parent for file in (ROOT / "tests" / "fixtures" / "version-0.1.0").glob("**/journal.sqlite"))
    return Path(shutil.copytree(source, folder / "liver"))


def viewport(window: MainWindow) -> QWidget:
    """The part of a pane that shows the picture."""
    widget: QWidget = window.page.pictures.panes[0].canvas.viewport
    return widget


def dropped(window: MainWindow, mime: QMimeData, qtbot) -> MainWindow:
    """Drop something on a pane, and wait until the window has dealt with it."""
    arrived: list[object] = []
    window.files.dropped.connect(arrived.append)
    window.files.refused.connect(arrived.append)
    assert drop(viewport(window), mime)
    qtbot.waitUntil(lambda: bool(arrived))
    return window


def test_an_instrument_file_opens(window, instrument, qtbot) -> None:
    dropped(window, files(instrument), qtbot)
    qtbot.waitUntil(lambda: window.host.choice == InstrumentChoice(instrument) and window.page is not None)


def test_while_a_recording_runs_an_instrument_asks_first(window, session, instrument, qtbot, operator) -> None:
    session.recording = RecordingStatus(state=RecordingState.RECORDING, frames_recorded=5)
    answer = refuses(operator)
    dropped(window, files(instrument), qtbot)
    qtbot.waitUntil(lambda: bool(answer.questions))
    answer.stop()
    assert "A recording is running" in answer.questions[0]
    assert window.host.choice == InstrumentChoice()
    assert session.calls == []


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        (MODEL, InstrumentChoice(model=str(MODEL))),
        (MODEL / CARD, InstrumentChoice(model=str(MODEL))),
        (RESPONSE, InstrumentChoice(response=RESPONSE)),
    ],
    ids=["model", "card of a model", "fibre response"],
)
def test_a_model_or_a_fibre_response_is_offered(window, path: Path, chosen: InstrumentChoice, qtbot, operator) -> None:
    for answers, result in ((refuses, InstrumentChoice()), (agrees, chosen)):
        answer = answers(operator)
        dropped(window, files(path), qtbot)
        qtbot.waitUntil(lambda answer=answer: bool(answer.questions))
        answer.stop()
        qtbot.waitUntil(lambda result=result: window.host.choice == result and window.page is not None)


def test_an_instrument_is_prepared_with_the_response_that_was_chosen() -> None:
    opener = prepared(InstrumentChoice(response=RESPONSE))
    assert opener.args[0].response == RESPONSE


def test_a_picture_goes_to_the_slm_and_its_panel_is_shown(window, session, picture, qtbot) -> None:
    for _ in range(2):  # the panel stays open
        dropped(window, files(picture), qtbot)
        assert session.calls.pop() == ("show_on_slm", SlmContent(SlmKind.PICTURE, picture))
        assert window.page.slm.isVisible()


def test_a_picture_without_an_slm_is_refused(window, session, picture, qtbot) -> None:
    session.slm = SlmStatus()
    dropped(window, files(picture), qtbot)
    assert session.calls == []
    assert "there is no SLM to show dots.png on" in window.banner.text


def test_while_it_is_dragged_the_window_says_what_a_drop_would_do(window, session, instrument, picture, tmp_path: Path) -> None:
    card = window.files.card
    for path, text in (
        (instrument, "Open the instrument file station.yaml"),
        (archive(tmp_path), "Play liver on the Data page"),
        (MODEL, f"Use the model {DEFAULT_MODEL}"),
        (RESPONSE, f"Use the fibre response {RESPONSE.name}"),
        (picture, "Show dots.png on the SLM"),
    ):
        assert drag(viewport(window), files(path))
        assert (card.isVisible(), card.heading.text(), card.text.text()) == (True, "Drop to open", text)
        leave(viewport(window))
        assert not card.isVisible()
    drag(window, files(tmp_path / "gone.yaml"))
    assert card.heading.text() == "This cannot be opened"
    assert session.calls == []


def bad_drops(folder: Path) -> dict[str, tuple[QMimeData, str]]:
    """Return what cannot be opened, with words of the reason."""
    empty = folder / "empty"
    empty.mkdir()
    film = folder / "film.mp4"
    film.write_bytes(b"\0" * 50)
    wrong = folder / "wrong.yaml"
    wrong.write_text("camera: kodak\n")
    loop = folder / "loop.png"
    loop.symlink_to(loop)
    address = QMimeData()
    address.setUrls([QUrl("sftp://server/dots.png")])
    return {
        "a missing file": (files(folder / "gone.png"), "No such file"),
        "a file that cannot be read": (files(loop), "check the path and its permissions"),
        "a folder of nothing": (files(empty), "choose an instrument file"),
        "a film": (files(film), "choose an instrument file"),
        "an instrument that cannot be": (files(wrong), "kodak"),
        "a calibration that is no response": (files(save(Stored("timing", {}, {}), folder / "timing")), "'timing'"),
        "two at once": (files(film, wrong), "one file or folder can be opened at a time, got 2; choose an instrument file"),
        "another computer": (address, "no file of this computer"),
    }


def test_anything_else_is_refused_in_a_sentence_and_changes_nothing(window, session, tmp_path: Path, qtbot) -> None:
    for mime, reason in bad_drops(tmp_path).values():
        dropped(window, mime, qtbot)
        assert reason in window.banner.text
        assert window.banner.shown.level is MessageLevel.ERROR
        assert (window.host.choice, session.calls) == (InstrumentChoice(), [])


def test_a_window_without_an_instrument_takes_files_too(qtbot, styled, session, instrument, picture) -> None:
    window = MainWindow(SessionHost(lambda choice: lambda: session))
    qtbot.addWidget(window, before_close_func=MainWindow.hide)
    window.stop_polling()
    window.show()
    with qtbot.waitSignal(window.files.dropped):
        assert drop(window.empty_page, files(picture))
    assert "there is no SLM" in window.banner.text
    assert drop(window.empty_page, files(instrument))
    qtbot.waitUntil(lambda: window.page is not None)
    assert window.host.choice == InstrumentChoice(instrument)
    window.shut_down()
    window.wait_closed(30)
