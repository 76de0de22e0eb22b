"""The first hour of a newcomer, with the mouse alone. ``test_newcomer.py`` runs this on a screen of its own.

Everything is real: the window, the simulated instrument, its datasets, a training in a process of its own, films. Settings and
cache are empty at the start. Nothing is typed: what is proposed has to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import pytest
from PyQt6.QtCore import QPoint, QSettings
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QCheckBox, QToolButton, QWidget

from app.gui.build_page.page import BuildPage
from app.gui.calibrate_page.page import CalibratePage
from app.gui.command import Command
from app.gui.data_page.entry_list.actions import EntryAction
from app.gui.data_page.page import DataPage
from app.gui.export_panel.panel import ExportPanel
from app.gui.image_view.contents import Content
from app.gui.image_view.measure.measure_panel import Sheet
from app.gui.image_view.measure.tool import Tool
from app.gui.live_page.page import LivePage
from app.gui.main_window.guide import STEPS
from app.gui.main_window.page_list import BUILD, CALIBRATE, DATA, RIG, TRAIN
from app.gui.main_window.session_host import HostState, InstrumentChoice, SessionHost
from app.gui.main_window.window import MainWindow
from app.gui.main_window.window_state import fit_to_screen
from app.gui.pages.page import Page
from app.gui.rig_page.page import RigPage
from app.gui.train_page.page import TrainPage
from app.playback.playhead import PlayState
from app.status import MessageLevel, RecordingState
from app.training.time_left import Stage
from app.training.training_queue import QueueState
from tests.app.gui.newcomer.mouse import part, show_sheet, step
from tests.app.gui.newcomer.pictures import Photographer
from tests.helpers.x_server.answers import agrees
from tests.helpers.x_server.operator import Condition, XOperator, wait_until

#: Where the pictures go; without it they are checked and thrown away.
PICTURES_VARIABLE = "SPECKLESCOPE_NEWCOMER_PICTURES"
#: The longest time for what the instrument has to do, on a computer that is busy, in seconds.
PATIENCE_S = 240.0
#: From the left end of a box to tick to its middle.
_BOX_PX = 10


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has never started the program, in an empty folder."""
    folder = tmp_path / "newcomer"
    folder.mkdir()
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("SPECKLESCOPE_CACHE", raising=False)
    monkeypatch.setenv("SPECKLESCOPE_LOG_FOLDER", str(tmp_path / "logs"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def window(home: Path, styled: None, tmp_path: Path) -> Iterator[MainWindow]:
    """The window as the program opens it."""
    from app.gui.main import prepared

    store = QSettings(str(tmp_path / "settings" / "window.ini"), QSettings.Format.IniFormat)
    window = MainWindow(SessionHost(prepared), store)
    window.instruments.open(InstrumentChoice(None))
    fit_to_screen(window)
    window.show()
    yield window
    window.shut_down()
    window.wait_closed(60)
    window.stop_polling()


@pytest.fixture
def photographer(window: MainWindow, tmp_path: Path) -> Photographer:
    return Photographer(window, Path(os.environ.get(PICTURES_VARIABLE, tmp_path / "pictures")))


class Newcomer:
    """Somebody who sees the window for the first time.

    Parameters
    ----------
    window : MainWindow
        The window.
    operator : XOperator
        The hand.
    """

    def __init__(self, window: MainWindow, operator: XOperator) -> None:
        self.window = window
        self.operator = operator

    @property
    def live(self) -> LivePage:
        assert self.window.page is not None
        return self.window.page

    def wait(self, condition: Condition, what: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait; say what has not come, and what the window says."""
        try:
            wait_until(condition, timeout_s)
        except AssertionError:
            messages = [entry.message.text for entry in self.window.banner.log]
            raise AssertionError(f"{what}: it did not happen within {timeout_s:g} s; the window said {messages}") from None

    def click(self, button: QWidget, until: Condition | None = None) -> None:
        """Click a button or a box that can be used and is seen."""
        self.wait(lambda: button.isVisible() and button.isEnabled(), f"{_caption(button)} can be clicked", 20)
        assert not button.visibleRegion().isEmpty(), f"{_caption(button)} is not on the screen"
        at = QPoint(_BOX_PX, button.height() // 2) if isinstance(button, QCheckBox) else None
        self.operator.click(button, at, until=until)

    def go_to(self, number: int, kind: type[Page]) -> Page:
        """Click a page of the rail."""
        self.show_page(number)
        page = self.window.pages.current_page
        assert isinstance(page, kind)
        return page

    def show_page(self, number: int) -> None:
        """Click a page of the rail."""
        button = self.window.rail.widgetForAction(self.window.rail.actions()[number])
        assert button is not None
        self.click(button, until=lambda: self.window.pages.number == number)

    def choose_in_menus(self, command: Command, until: Condition) -> None:
        """Open a menu, and click a command."""
        bar = self.window.menuBar()
        assert bar is not None
        self.operator.choose_in_menus(bar, self.window.commands[command], until=until)

    def is_open(self) -> bool:
        """Whether an instrument is open."""
        return self.window.host.state is HostState.OPEN and self.window.page is not None

    def sees_phase(self) -> bool:
        """Whether the live view shows a phase."""
        status = self.live.session.live_status()
        return status.running and not status.retuning and self.live.views_shown > 0

    def errors(self) -> list[str]:
        """Return the errors that the window has shown."""
        messages = [entry.message for entry in self.window.banner.log]
        return [message.text for message in messages if message.level is MessageLevel.ERROR]


def _caption(button: QWidget) -> str:
    return str(getattr(button, "text", button.accessibleName)()) or button.toolTip()


def test_the_first_hour(
    window: MainWindow, operator: XOperator, photographer: Photographer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: bool(asked.append(Path(url.toLocalFile())) or True))
    newcomer = Newcomer(window, operator)
    newcomer.wait(newcomer.is_open, "the simulated instrument is open")
    _follow_the_guide(newcomer, photographer)
    _acquire(newcomer, photographer)
    _train(newcomer, photographer)
    _use(newcomer, photographer)
    _look_and_measure(newcomer, photographer)
    recording = _record(newcomer)
    photographer.capture("recorded", both=True)
    _play(newcomer, photographer, recording)
    film = _export(newcomer, photographer, recording, asked)
    _look_around(newcomer, photographer)
    with av.open(str(film)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) > 10
    assert newcomer.errors() == []


def _follow_the_guide(newcomer: Newcomer, photographer: Photographer) -> None:
    """Do what each step says; Next is pressed when the window has seen it."""
    window, guide = newcomer.window, newcomer.window.guide
    assert guide.isVisible()
    photographer.capture("start", both=True)

    def done() -> None:
        number = guide.step
        newcomer.wait(guide.next.isEnabled, f"step {number + 1} of the guide is done")
        newcomer.click(guide.next, until=lambda: guide.step == number + 1)

    newcomer.click(newcomer.live.controls.live)
    done()
    done()  # the phase is there
    newcomer.click(newcomer.live.status_strip.drift.retune)
    done()
    newcomer.wait(newcomer.sees_phase, "the re-tune has ended")
    _record(newcomer)
    photographer.capture("guide")
    done()
    panel = _open_export(newcomer, newcomer.live.result.export)
    newcomer.click(panel.export_button, until=lambda: panel.is_running)
    newcomer.wait(lambda: not panel.is_running, "the export of the guide has ended")
    newcomer.click(panel.close_button, until=lambda: not panel.isVisible())
    done()
    newcomer.click(newcomer.live.result.play)
    newcomer.wait(lambda: window.host.choice.path is not None and newcomer.is_open(), "the recording is played")
    done()
    assert guide.step == len(STEPS)
    newcomer.click(guide.next, until=lambda: not guide.isVisible())
    newcomer.choose_in_menus(Command.SIMULATED, until=lambda: window.host.choice.path is None)
    newcomer.wait(newcomer.is_open, "the simulated instrument is open again")


def _acquire(newcomer: Newcomer, photographer: Photographer) -> None:
    """Acquire 60 pairs, with the proposed plan."""
    page = newcomer.go_to(BUILD, BuildPage)
    assert isinstance(page, BuildPage)
    step(newcomer.operator, page.acquire.form.numbers["pairs"], 60)
    newcomer.wait(lambda: len(page.acquire.patterns.names) > 0, "the patterns are drawn")
    newcomer.wait(page.acquire.start_button.isEnabled, f"Start is possible; it is not because: {page.acquire.why_not()}", 20)
    photographer.capture("plan")
    newcomer.click(page.acquire.start_button)
    session = page.session
    assert session is not None
    newcomer.wait(lambda: page.run.progress.value() >= 20, "some of the pairs are stored")
    photographer.capture("acquire")
    newcomer.wait(page.run.report.isVisible, "all pairs are stored and verified")
    assert session.acquisition_status().pairs_acknowledged >= 60, "reference pairs come on top"
    newcomer.click(page.run.report, until=lambda: page.tabs.currentWidget() is page.datasets)
    newcomer.wait(lambda: page.datasets.report.rows.rowCount() > 0, "the report is shown")
    photographer.capture("dataset")


def _train(newcomer: Newcomer, photographer: Photographer) -> None:
    """Train a model for one minute on these pairs, from the model in use."""
    page = newcomer.go_to(TRAIN, TrainPage)
    assert isinstance(page, TrainPage)
    newcomer.wait(lambda: page.form.data.currentText().startswith("dataset"), "the new dataset is proposed", 30)
    step(newcomer.operator, page.form.minutes, 1)
    newcomer.wait(page.form.train_button.isEnabled, f"Train is possible; it says: {page.form.problem.text()}", 20)
    newcomer.click(page.form.train_button, until=lambda: bool(page.queue.trainings))
    newcomer.wait(lambda: _stage_of(page) is Stage.TRAINING and len(page.run_view.curve.steps) > 1, "the curve has points")
    photographer.capture("training")
    ended = (QueueState.FINISHED, QueueState.FAILED, QueueState.STOPPED)
    newcomer.wait(lambda: page.queue.trainings[0].state in ended, "the training has ended", 2 * PATIENCE_S)
    assert page.queue.trainings[0].state is QueueState.FINISHED, page.queue.trainings[0].note
    photographer.capture("trained")


def _use(newcomer: Newcomer, photographer: Photographer) -> None:
    """Compare the new model with the one in use, and use it, whatever the verdict says."""
    page = newcomer.window.pages.current_page
    assert isinstance(page, TrainPage)
    folder = page.queue.trainings[0].folder
    newcomer.click(page.queue_panel.use, until=lambda: page.sheets.currentWidget() is page.models)
    newcomer.wait(lambda: page.models.comparison.comparison is not None, "the models are compared")
    photographer.capture("compare", both=True)
    answer = agrees(newcomer.operator)
    newcomer.click(page.models.use, until=lambda: newcomer.window.host.choice.model == str(folder))
    newcomer.wait(newcomer.is_open, "the instrument is open with the new model")
    answer.stop()
    assert Path(newcomer.live.session.config.model) == folder


def _look_and_measure(newcomer: Newcomer, photographer: Photographer) -> None:
    """Start the live view, and draw a profile across the phase."""
    newcomer.show_page(0)
    live = newcomer.live
    newcomer.click(live.controls.live)
    newcomer.wait(newcomer.sees_phase, "the new model shows a phase")
    assert Path(live.session.live_status().model_name).name == Path(live.session.config.model).name
    panel = live.measurements
    newcomer.choose_in_menus(Command.MEASURE_PANEL, until=panel.isVisible)
    action = live.pictures.measure.actions[Tool.PROFILE]
    button = next(each for each in panel.findChildren(QToolButton) if each.defaultAction() is action)
    newcomer.click(button, until=action.isChecked)
    viewport = live.pictures.showing(Content.PHASE).canvas.viewport
    size = QPoint(viewport.width(), viewport.height())
    newcomer.operator.drag(
        viewport, part(size, 0.35, 0.5), part(size, 0.65, 0.55), until=lambda: len(live.pictures.measure.measurements) == 1
    )
    show_sheet(newcomer.operator, panel.sheets, Sheet.PROFILE.value)
    assert live.pictures.measure.measurements.names == ("Profile 1",)
    newcomer.wait(lambda: panel.csv_text().count("\n") > 5, "the profile has values")
    photographer.capture("profile", both=True)


def _record(newcomer: Newcomer) -> Path:
    """Record a little longer than five seconds; return the folder."""
    session, record = newcomer.live.session, newcomer.live.controls.record
    newcomer.click(record, until=lambda: session.recording_status().active)
    newcomer.wait(lambda: session.recording_status().seconds > 5.2, "five seconds are recorded")
    newcomer.click(record)
    newcomer.wait(lambda: session.recording_status().state is RecordingState.FINISHED, "the recording is whole")
    newcomer.wait(newcomer.live.result.isVisible, "the line about the recording is seen")
    path = session.recording_status().path
    assert path is not None
    return path.absolute()


def _play(newcomer: Newcomer, photographer: Photographer, recording: Path) -> None:
    """Find the recording on the Data page, and play it to its end."""
    page = newcomer.go_to(DATA, DataPage)
    assert isinstance(page, DataPage)
    row_of = partial(_row_of, page, recording)
    newcomer.wait(lambda: row_of() is not None, "the recording is in the list")
    row = row_of()
    assert row is not None
    table, model = page.table, page.model
    place = table.visualRect(model.index(row, 2)).center()
    newcomer.operator.click(table.viewport(), place, until=lambda: [entry.path for entry in table.selected] == [recording])
    newcomer.wait(lambda: not page.details.pictures.is_empty and not page.pictures.busy, "the list has its pictures")
    photographer.capture("data", both=True)
    newcomer.click(page.buttons.buttons[EntryAction.PLAY], until=lambda: page.player is not None and page.player.isVisible())
    player = page.player
    assert player is not None
    newcomer.wait(lambda: player.left.shown is not None, "the first frame is shown")
    newcomer.click(player.transport.play, until=lambda: player.playhead.position > 3)
    photographer.capture("player", both=True)
    newcomer.wait(lambda: player.playhead.state is PlayState.PAUSED, "the player stops at the end", 60)
    assert player.playhead.position == player.playhead.last


def _export(newcomer: Newcomer, photographer: Photographer, recording: Path, asked: list[Path]) -> Path:
    """Export the film as displayed, and find it."""
    page = newcomer.window.pages.current_page
    assert isinstance(page, DataPage)
    assert page.player is not None
    panel = _open_export(newcomer, page.player.head.export)
    newcomer.click(panel.formats.displayed, until=panel.formats.displayed.isChecked)
    newcomer.wait(lambda: not panel.refusal(), "the export is planned")
    photographer.capture("export", both=True)
    newcomer.click(panel.export_button, until=lambda: panel.is_running)
    newcomer.wait(lambda: not panel.is_running, "the film is exported")
    newcomer.click(panel.folder_button, until=lambda: bool(asked))
    photographer.capture("exported")
    newcomer.click(panel.close_button, until=lambda: not panel.isVisible())
    assert asked == [recording / "export"]
    films = sorted(asked[0].glob("*.mp4"))
    assert films, sorted(asked[0].iterdir())
    return films[0]


def _look_around(newcomer: Newcomer, photographer: Photographer) -> None:
    """Look at the pages that the first hour does not need."""
    for number, kind, name in ((CALIBRATE, CalibratePage, "calibrate"), (RIG, RigPage, "rig")):
        newcomer.go_to(number, kind)
        photographer.capture(name, both=True)


def _open_export(newcomer: Newcomer, button: QWidget) -> ExportPanel:
    exports = newcomer.window.exports
    newcomer.click(button, until=lambda: exports.panel is not None and exports.panel.isVisible())
    assert exports.panel is not None
    return exports.panel


def _stage_of(page: TrainPage) -> Stage | None:
    progress = page.control.progress
    return progress.stage if progress is not None else None


def _row_of(page: DataPage, recording: Path) -> int | None:
    return next((row for row, entry in enumerate(page.model.entries) if entry.path == recording), None)
