"""The panel with the times of every stage, and with the loop-back measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from acquisition.streams.times import NO_TIMES, TimeStats
from app.gui.widgets.csv_button import CsvButton
from app.gui.widgets.formatting import UNKNOWN, number
from app.gui.widgets.labels import caption_label
from app.gui.widgets.number_box import NumberBox
from app.live.loop_back.results import (
    DEFAULT_FLASHES,
    MAX_FLASHES,
    LoopBackState,
    LoopBackStatus,
    Moment,
    loop_back_csv,
)
from app.live.status import times_csv
from app.status import StageName

_STAGES = {
    StageName.CAPTURE: ("Wait for a frame", "How long the program waits for the camera"),
    StageName.INFERENCE: ("Engine", "Inside the engine"),
    StageName.LATENCY: ("Software path", "From the end of the exposure to the reconstruction"),
    StageName.SEGMENTATION: ("Segmentation", "To find the objects in a phase"),
    StageName.PAINT: ("Drawing", "To draw the window with new pictures"),
}
_MOMENTS = {
    Moment.EXPOSURE: ("End of exposure", "The end of the first exposure whose frame shows the flash"),
    Moment.FRAME: ("Frame", "The computer has this frame"),
    Moment.RECONSTRUCTION: ("Reconstruction", "The first reconstruction that shows the flash"),
    Moment.PAINT: ("Paint", "The reconstruction is drawn; only while a pane shows the phase"),
}
_HINT = "The SLM flashes a disc, and the time from the command until it is seen is measured. Nothing is recorded meanwhile."


class LatencyPanel(QWidget):
    """Shows the numbers that it is given, and emits a signal for every request. It decides nothing itself."""

    #: How many flashes.
    start_requested = pyqtSignal(int)
    stop_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._times: Mapping[StageName, TimeStats] = {}
        self._loop_back = LoopBackStatus()
        self.stages = TimesTable("Time of every stage", tuple(_STAGES.values()))
        self.save_stages = CsvButton("stage-times.csv", "Save the times of every stage", self.stages_csv)
        self.flashes = NumberBox()
        self.flashes.setDecimals(0)
        self.flashes.describe("The number of flashes", "flashes")
        self.flashes.setRange(1, MAX_FLASHES)
        self.flashes.setValue(DEFAULT_FLASHES)
        self.flashes.setSuffix(" flashes")
        self.flashes.setAccessibleName("Number of flashes")
        self.measure = QPushButton()
        self.measure.setObjectName("small")
        self.moments = TimesTable("Loop-back", tuple(_MOMENTS.values()))
        self.result = _text_label()
        self.save_flashes = CsvButton("loop-back.csv", "Save every flash, with its times since the command", self.flashes_csv)
        layout = QVBoxLayout(self)
        layout.addWidget(caption_label("Time of every stage, in ms"))
        layout.addWidget(self.stages)
        layout.addLayout(_row(self.save_stages))
        layout.addSpacing(8)
        layout.addWidget(caption_label("Loop-back: time since the command to the SLM, in ms"))
        layout.addWidget(self.result)
        layout.addLayout(_row(self.flashes, self.measure))
        layout.addWidget(self.moments)
        layout.addLayout(_row(self.save_flashes))
        layout.addStretch(1)
        self.measure.clicked.connect(self._ask)
        self.show_times({})
        self.show_loop_back(self._loop_back)

    def show_times(self, times: Mapping[StageName, TimeStats]) -> None:
        """Show how long every stage takes now; a dash where nothing is known."""
        self._times = {stage: times.get(stage, NO_TIMES) for stage in StageName}
        self.stages.show_times([self._times[stage] for stage in _STAGES])

    def show_loop_back(self, status: LoopBackStatus) -> None:
        """Show what the present or last loop-back measurement has found."""
        self._loop_back = status
        active = status.state.active
        self.flashes.setEnabled(not active)
        self.measure.setText("Stop" if active else "Measure")
        self.measure.setToolTip(
            "Stop flashing; what was found is kept" if active else "Let the SLM flash, and find the flashes"
        )
        times = status.times()
        self.moments.show_times([times[moment] for moment in _MOMENTS])
        self.result.setText(_result_text(status))
        self.save_flashes.setEnabled(bool(status.flashes))

    def stages_csv(self) -> str:
        """Return the times of every stage as a table."""
        return times_csv(self._times)

    def flashes_csv(self) -> str:
        """Return every flash as a table."""
        return loop_back_csv(self._loop_back)

    def _ask(self) -> None:
        if self._loop_back.state.active:
            self.stop_requested.emit()
        else:
            self.start_requested.emit(int(self.flashes.value()))


class TimesTable(QTableWidget):
    """Rows of 50th, 95th and 99th percentiles, in milliseconds.

    Parameters
    ----------
    name : str
        What the table is, for screen readers.
    rows : sequence of (str, str)
        Name and tool tip of every row.
    """

    def __init__(self, name: str, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(len(rows), 4)
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(["", "p50", "p95", "p99"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setTabKeyNavigation(False)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        names, columns = self.verticalHeader(), self.horizontalHeader()
        assert names is not None
        assert columns is not None
        names.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for row, (text, tip) in enumerate(rows):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            self.setItem(row, 0, item)
            for column in range(1, 4):
                cell = QTableWidgetItem(UNKNOWN)
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(row, column, cell)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.resizeRowsToContents()
        self.setFixedHeight(columns.sizeHint().height() + names.length() + 2 * self.frameWidth())

    def show_times(self, times: Sequence[TimeStats]) -> None:
        """Show one row after another."""
        for row, stats in enumerate(times):
            for column, seconds in enumerate((stats.p50_s, stats.p95_s, stats.p99_s), start=1):
                item, text = self.item(row, column), number(seconds * 1e3, 1)
                if item is not None and item.text() != text:
                    item.setText(text)

    def text(self, row: int, column: int) -> str:
        """Return what stands in a cell."""
        item = self.item(row, column)
        return item.text() if item is not None else ""


def _result_text(status: LoopBackStatus) -> str:
    if status.state is LoopBackState.LEARNING:
        return "Learning what still pattern and flash look like\N{HORIZONTAL ELLIPSIS}"
    if status.state is LoopBackState.FLASHING:
        return f"{len(status.flashes)} of {status.requested} flashes, {status.missed} not found"
    if status.state is LoopBackState.REFUSED:
        return f"Not measured: {status.problem}"
    return f"{status.label}." if status.flashes else _HINT


def _text_label() -> QLabel:
    label = QLabel()
    label.setObjectName("muted")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return row
