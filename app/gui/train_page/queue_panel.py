"""The queue of trainings as a list, with what can be done with each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QPushButton, QTableWidgetItem, QVBoxLayout

from app.gui.widgets.formatting import duration
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.rows_table import rows_table, set_low_rows
from app.gui.widgets.style import set_style
from app.training.time_left import TrainingProgress
from app.training.training_queue import QueuedTraining, QueueState
from drivers.visible_text import visible

_SIGNS = {
    QueueState.WAITING: ("wait", Ink.MUTED),
    QueueState.RUNNING: ("play", Ink.ACCENT),
    QueueState.STOPPED: ("stop", Ink.WARNING),
    QueueState.FINISHED: ("good", Ink.GOOD),
    QueueState.FAILED: ("error", Ink.ALARM),
}
_HINT = "A training runs at a low priority beside everything else. The frame rate of the live view may fall meanwhile"
_EMPTY = "No training is queued. Fill in the form and press Train"


class QueuePanel(QFrame):
    """Shows what it is given, and emits a signal for every request, with the folder of the training."""

    chosen = pyqtSignal(object)
    stop_requested = pyqtSignal()
    start_requested = pyqtSignal()
    resume_requested = pyqtSignal(object)
    move_requested = pyqtSignal(object, int)
    remove_requested = pyqtSignal(object)
    use_requested = pyqtSignal(object)
    #: The folder of a model whose training was started in a terminal.
    run_added = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self._trainings: tuple[QueuedTraining, ...] = ()
        self._rows: tuple[tuple[str, ...], ...] = ()
        self._paused = True
        self.list = rows_table(("State", "Model", "What", "Time", "Remarks"), "Queue of trainings")
        set_low_rows(self.list)
        self.go_on = QPushButton("Start queue")
        self.stop = QPushButton("Stop")
        self.resume = QPushButton("Resume")
        self.earlier = QPushButton("Earlier")
        self.later = QPushButton("Later")
        self.remove = QPushButton("Remove")
        self.add_run = QPushButton("Add a run\N{HORIZONTAL ELLIPSIS}")
        self.use = QPushButton("Compare and use\N{HORIZONTAL ELLIPSIS}")
        self.hint = ElidedLabel("muted")
        self._build()
        self.show_queue((), None, paused=True, obstacle="")

    @property
    def selected(self) -> QueuedTraining | None:
        """The training that is selected."""
        row = self.list.currentRow()
        return self._trainings[row] if 0 <= row < len(self._trainings) else None

    def select(self, folder: Path) -> None:
        """Select a training by its folder."""
        for row, training in enumerate(self._trainings):
            if training.folder == folder:
                self.list.setCurrentCell(row, 0)

    def show_queue(
        self, trainings: Sequence[QueuedTraining], progress: TrainingProgress | None, *, paused: bool, obstacle: str
    ) -> None:
        """Show the queue, how far the running training is, and why the next one cannot begin."""
        selected = self.selected
        self._trainings = tuple(trainings)
        self._paused = paused
        rows = tuple(_cells(training, progress) for training in trainings)
        if rows != self._rows:
            self._rows = rows
            self._fill(rows)
        if selected is not None and (self.selected is None or self.selected.folder != selected.folder):
            self.select(selected.folder)
        if self.selected is None and self._trainings:
            self.list.setCurrentCell(len(self._trainings) - 1, 0)
        waits = any(training.state is QueueState.WAITING for training in trainings)
        if not trainings:
            text = _EMPTY
        elif obstacle and waits:
            text = f"The next training waits: {obstacle}"
        elif waits and paused:
            text = "The queue is paused. Start queue runs the trainings that wait, from top to bottom"
        else:
            text = _HINT
        self.hint.show_text(text)
        set_style(self.hint, "tone", "warning" if waits and (paused or obstacle) else "muted")
        self.show_buttons()

    def show_buttons(self) -> None:
        """Enable what can be done with the selected training."""
        selected = self.selected
        state = selected.state if selected is not None else None
        row, last = self.list.currentRow(), len(self._trainings) - 1
        waits = any(training.state is QueueState.WAITING for training in self._trainings)
        runs = any(training.state is QueueState.RUNNING for training in self._trainings)
        self.go_on.setEnabled(waits and self._paused)
        set_style(self.go_on, "tone", "primary" if self.go_on.isEnabled() else "")
        self.stop.setEnabled(runs)
        set_style(self.stop, "tone", "recording" if runs else "")
        self.resume.setEnabled(state in (QueueState.STOPPED, QueueState.FAILED))
        self.earlier.setEnabled(selected is not None and row > 0)
        self.later.setEnabled(selected is not None and row < last)
        self.remove.setEnabled(selected is not None and state is not QueueState.RUNNING)
        self.use.setEnabled(state is QueueState.FINISHED)
        set_style(self.use, "tone", "primary" if self.use.isEnabled() else "")

    # -- parts ----------------------------------------------------------------------------------------------------

    def _fill(self, rows: Sequence[tuple[str, ...]]) -> None:
        self.list.setRowCount(len(rows))
        for row, (training, cells) in enumerate(zip(self._trainings, rows, strict=True)):
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if column == 0:
                    item.setIcon(icon(*_SIGNS[training.state]))
                self.list.setItem(row, column, item)

    def _resume(self) -> None:
        if self.selected is not None:
            self.resume_requested.emit(self.selected.folder)

    def _move_up(self) -> None:
        if self.selected is not None:
            self.move_requested.emit(self.selected.folder, -1)

    def _move_down(self) -> None:
        if self.selected is not None:
            self.move_requested.emit(self.selected.folder, 1)

    def _remove(self) -> None:
        if self.selected is not None:
            self.remove_requested.emit(self.selected.folder)

    def _use(self) -> None:
        if self.selected is not None:
            self.use_requested.emit(self.selected.folder)

    def _choose_run(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose the folder of a model that was being trained")
        if chosen:
            self.run_added.emit(Path(chosen))

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(6)
        top = QHBoxLayout()
        heading = QLabel("Queue")
        heading.setObjectName("heading")
        top.addWidget(heading)
        top.addSpacing(12)
        top.addWidget(self.hint, 1)
        layout.addLayout(top)
        layout.addWidget(self.list, 1)
        layout.addLayout(self._buttons())
        self.list.currentCellChanged.connect(self._tell_chosen)

    def _buttons(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(6)
        for button, tip in (
            (self.go_on, "Run the trainings that wait, from top to bottom"),
            (self.stop, "Let the training write a checkpoint and end; the queue then waits until you start it"),
            (self.resume, "Let this training go on from its checkpoint, when its turn comes"),
            (self.earlier, "Move this training up"),
            (self.later, "Move this training down"),
            (self.remove, "Take this training out of the queue; its files stay"),
            (self.add_run, "Add a training that was started in a terminal, to see its curves and to resume it"),
            (self.use, "Show the new model beside the one in use, on pictures that it has never seen"),
        ):
            button.setObjectName("small")
            button.setToolTip(tip)
            if button is self.use:
                line.addStretch(1)
            line.addWidget(button)
        self.go_on.clicked.connect(self.start_requested)
        self.stop.clicked.connect(self.stop_requested)
        self.resume.clicked.connect(self._resume)
        self.earlier.clicked.connect(self._move_up)
        self.later.clicked.connect(self._move_down)
        self.remove.clicked.connect(self._remove)
        self.add_run.clicked.connect(self._choose_run)
        self.use.clicked.connect(self._use)
        return line

    def _tell_chosen(self) -> None:
        self.show_buttons()
        if self.selected is not None:
            self.chosen.emit(self.selected.folder)


def _cells(training: QueuedTraining, progress: TrainingProgress | None) -> tuple[str, ...]:
    order = training.order
    what = f"from {Path(order.start).name}" if order.start else order.kind
    data = order.dataset.name if order.dataset is not None else f"{order.pairs} simulated pairs"
    minutes = f"{order.minutes:g} min" if order.minutes else "by steps"
    remarks = training.note
    if training.state is QueueState.RUNNING and progress is not None:
        remarks = f"{progress.stage.value}, {duration(progress.seconds_left)} left"
    return (str(training.state), visible(training.name), f"{what}, {visible(data)}", minutes, visible(remarks))
