"""The line above the player: back, what is played, what is wrong with it, and the buttons of comparison and panels."""

from __future__ import annotations

from enum import Enum

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from app.gui.player.side import AS_RECORDED, Side, result_name
from app.gui.player.time_text import time_text
from app.gui.widgets.formatting import count
from app.gui.widgets.icons import IconLabel, Ink, icon
from app.gui.widgets.labels import ElidedLabel
from app.playback.played_archive import PlayedArchive
from drivers.visible_text import visible


class Panel(Enum):
    """The panels beside the pictures; the value is icon, title and tool tip."""

    RESULTS = ("good", "Results", "Which results there are, and what can be computed beside what was recorded")
    MEASURE = ("profile", "Measure", "Points, distances, profiles, areas and courses over time  (F4)")


class _Choice(Enum):
    """What the menu of the comparison offers beside the results of the recording."""

    OTHER = "Another recording or dataset\N{HORIZONTAL ELLIPSIS}"
    END = "End the comparison"


class Head(QWidget):
    """The line above the player."""

    back_clicked = pyqtSignal()
    live_clicked = pyqtSignal()
    export_clicked = pyqtSignal()
    panel_clicked = pyqtSignal(object)  # a Panel
    result_compared = pyqtSignal(str)  # the name of a result's folder; empty for what was recorded
    other_compared = pyqtSignal()  # another recording is wanted beside this one
    comparison_ended = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._side: Side | None = None
        self._is_comparing = False
        self.back = QPushButton("Back")
        self.back.setIcon(icon("back"))
        self.back.setToolTip("Back to the list  (Backspace)")
        self.name = ElidedLabel("heading")
        self.info = ElidedLabel("muted")
        self.compare = QToolButton()
        self.compare.setText("Compare")
        self.compare.setIcon(icon("compare"))
        self.compare.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.compare.setToolTip("Show another result or another recording beside this one")
        self.compare.setAccessibleName("Compare")
        self.compare.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self)
        self.compare.setMenu(self.menu)
        self.panels = {panel: self._panel_button(panel) for panel in Panel}
        self.live = QPushButton("Open in live view")
        self.live.setIcon(icon("live"))
        self.live.setToolTip("Play it in the live view, as if it came from the camera, with the present model")
        self.export = QPushButton("Export…")
        self.export.setIcon(icon("export"))
        self.export.setToolTip("Write what is played for other programs, also as a film that looks like the chosen pane")
        self.sign = IconLabel()
        self.problem = ElidedLabel()
        self._layout()
        self.back.clicked.connect(self.back_clicked)
        self.live.clicked.connect(self.live_clicked)
        self.export.clicked.connect(self.export_clicked)
        self.menu.aboutToShow.connect(self.fill_menu)
        self.menu.triggered.connect(self._compare)
        self.panels[Panel.RESULTS].clicked.connect(self._tell_results)
        self.panels[Panel.MEASURE].clicked.connect(self._tell_measure)

    def _layout(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.back)
        row.addWidget(self.name, 2)
        row.addWidget(self.info, 3)
        for widget in (self.compare, *self.panels.values(), self.export, self.live):
            widget.setMinimumHeight(36)
            row.addWidget(widget)
        self._problem_row = QWidget()
        below = QHBoxLayout(self._problem_row)
        below.setContentsMargins(4, 0, 0, 0)
        below.addWidget(self.sign)
        below.addWidget(self.problem, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self._problem_row)
        self._problem_row.hide()

    def _panel_button(self, panel: Panel) -> QPushButton:
        name, title, tip = panel.value
        button = QPushButton(title)
        button.setCheckable(True)
        button.setIcon(icon(name))
        button.setToolTip(tip)
        return button

    # -- what is shown --------------------------------------------------------------------------------------------

    def show_side(self, side: Side, *, comparing: bool) -> None:
        """Show what the left side plays."""
        self._side = side
        self._is_comparing = comparing
        archive = side.archive
        name = side.path.name if side.path is not None else ""
        self.name.show_text(visible(name) if archive is None else archive.facts.name)
        self.info.show_text(info_text(archive) if archive is not None else "")
        self.compare.setEnabled(archive is not None and bool(archive.rows))
        self.export.setEnabled(archive is not None and bool(archive.rows) and not archive.facts.is_being_written)
        self.live.setEnabled(archive is not None and bool(archive.rows) and not archive.facts.is_being_written)
        problems = [side.problem] if side.problem else []
        problems += archive.facts.problems if archive is not None else ()
        self.show_problems(problems)

    def show_problems(self, problems: list[str]) -> None:
        """Say what is wrong; nothing when nothing is."""
        self._problem_row.setVisible(bool(problems))
        self.sign.show_icon("warning" if problems else "", Ink.WARNING)
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        self.problem.show_text(f"{problems[0]}{more}" if problems else "")
        self.problem.setToolTip("\n".join(problems))

    def show_panel(self, panel: Panel | None) -> None:
        """Press the button of the panel that is seen."""
        for each, button in self.panels.items():
            button.setChecked(each is panel)

    # -- comparison -----------------------------------------------------------------------------------------------

    def fill_menu(self) -> None:
        """List what can be shown beside the left side."""
        self.menu.clear()
        archive = self._side.archive if self._side is not None else None
        results = archive.results if archive is not None else ()
        if results:
            self._add(f"{AS_RECORDED}, of this recording", "")
            for result in results:
                self._add(result_name(result), result.path.name)
            self.menu.addSeparator()
        self._add(_Choice.OTHER.value, _Choice.OTHER)
        if self._is_comparing:
            self._add(_Choice.END.value, _Choice.END)

    def _add(self, text: str, data: str | _Choice) -> None:
        action = self.menu.addAction(text)
        if action is not None:
            action.setData(data)

    def _compare(self, action: QAction) -> None:
        wanted = action.data()
        if wanted is _Choice.OTHER:
            self.other_compared.emit()
        elif wanted is _Choice.END:
            self.comparison_ended.emit()
        else:
            self.result_compared.emit(wanted)

    def _tell_results(self) -> None:
        self.panel_clicked.emit(Panel.RESULTS)

    def _tell_measure(self) -> None:
        self.panel_clicked.emit(Panel.MEASURE)


def info_text(archive: PlayedArchive) -> str:
    """Return what an archive is, in one line."""
    facts, frames = archive.facts, len(archive.rows)
    noun = "frame" if frames == 1 else "frames"
    parts = ["Recording" if facts.is_recording else "Dataset", f"{count(frames)} {noun}"]
    if archive.timeline.are_true and frames > 1:
        parts.append(time_text(archive.timeline.duration_s, 1))
    skipped = int((~archive.reconstructed).sum())
    if skipped and facts.is_recording:
        parts.append(f"{count(skipped)} not reconstructed")
    if facts.is_being_written:
        parts.append("being recorded now: further frames come")
    return " \N{MIDDLE DOT} ".join(parts)
