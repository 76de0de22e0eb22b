"""Train a model: choose method and data, follow the progress, stop and resume, and open the trained model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from app.gui.training.plots import TrainingPlots
from app.gui.widgets.banner import Banner
from app.gui.widgets.formatting import count, duration, number
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel, FieldPlace, add_field, card
from app.gui.widgets.style import GAP_PX, set_style
from app.status import Message, MessageLevel
from app.training.process import (
    KIND_DESCRIPTIONS,
    PROGRAM,
    RunWatcher,
    TrainingOrder,
    TrainingProcess,
    TrainingState,
    can_resume,
    resume_arguments,
)
from drivers.base import SpeckleScopeError
from reconstruction.models.model import CARD, shipped_models

_POLL_MS = 500
_NEW = "random weights"
#: A line of progress as the command prints it: ``simulating pairs: 600 of 6000``.
_DONE = re.compile(r": (\d+) of ([1-9]\d*)")


class TrainingWindow(QDialog):
    """The form, the curves and the pictures of one training, which runs in a process of its own.

    Closing the window only hides it: the training continues.

    Parameters
    ----------
    sources : tuple of str
        Pattern sources for simulated pairs.
    config : Path, optional
        Instrument file; None is the simulated instrument.
    program : sequence of str
        The program that trains; see :class:`app.training.process.TrainingProcess`.
    """

    #: The operator asks for this model in the live view.
    model_requested = pyqtSignal(str)

    def __init__(self, sources: tuple[str, ...], config: Path | None = None, program: Sequence[str] = PROGRAM) -> None:
        super().__init__()
        self.setWindowTitle("SpeckleScope: train a model")
        self.program = program
        self._config = config
        self._process: TrainingProcess | None = None
        self.banner = Banner()
        self.plots = TrainingPlots()
        self.kind = QComboBox()
        self.start = QComboBox()
        self.data = QLineEdit()
        self.source = QComboBox()
        self.pairs = QSpinBox()
        self.minutes = QDoubleSpinBox()
        self.folder = QLineEdit()
        self.train_button = QPushButton("Train")
        self.stop_button = QPushButton("Stop")
        self.resume_button = QPushButton("Resume")
        self.use_button = QPushButton("Use in live view")
        self.progress = QProgressBar()
        self.state = ElidedLabel()
        self.numbers = QLabel()
        self._fill(sources)
        self._build()
        self._connect()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_POLL_MS)
        self.show_folder()

    @property
    def running(self) -> bool:
        """Whether a training is running."""
        return self._process is not None and self._process.running

    def order(self) -> TrainingOrder:
        """Return what the form asks for.

        Raises
        ------
        SpeckleScopeError
            No folder is given, or it is not empty.
        """
        folder = self._folder()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise SpeckleScopeError(f"{folder} is not empty; choose a new folder for the model")
        start = self.start.currentText().strip()
        data = self.data.text().strip()
        return TrainingOrder(
            folder=folder,
            kind=self.kind.currentData(),
            minutes=self.minutes.value(),
            start="" if start == _NEW else start,
            dataset=Path(data).expanduser() if data else None,
            source=self.source.currentText(),
            pairs=self.pairs.value(),
            config=self._config,
        )

    def train(self) -> None:
        """Start the training that the form asks for."""
        self._start(lambda: self.order().arguments())

    def resume(self) -> None:
        """Continue the run in the folder."""
        self._start(lambda: resume_arguments(self._folder()))

    def stop(self) -> None:
        """Ask the training to write a checkpoint and end; returns at once."""
        if self._process is not None:
            self._process.stop()
            self._show_buttons()

    def refresh(self) -> None:
        """Show the progress; a timer calls it."""
        if self._watcher.poll():
            self.plots.show_curve(self._watcher.curve)
        png = self._watcher.new_picture()
        if png is not None:
            self.plots.show_picture(png)
        self._show_numbers()
        if self._process is not None:
            self._show_process(self._process)
        self._show_buttons()

    def show_folder(self) -> None:
        """Show the progress of a run that is already in the folder."""
        if not self.running:
            self._watch(Path(self.folder.text().strip()).expanduser())
            self.refresh()

    def stop_polling(self) -> None:
        """Stop refreshing by the timer; what is shown stays."""
        self._timer.stop()

    def shut_down(self) -> None:
        """Stop polling and the training; returns at once, see :meth:`wait_closed`."""
        self.stop_polling()
        self.stop()

    def wait_closed(self, timeout_s: float) -> None:
        """Wait until the training has written its checkpoint; may be called from another thread."""
        if self._process is not None:
            self._process.close(timeout_s)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _start(self, arguments: Callable[[], list[str]]) -> None:
        if self.running:
            return
        try:
            self._process = TrainingProcess(arguments(), self.program)
        except (SpeckleScopeError, OSError) as error:
            self.banner.push(Message(MessageLevel.ERROR, str(error)))
            return
        self.banner.dismiss()
        self._watch(self._folder())
        self.refresh()

    def _watch(self, folder: Path) -> None:
        self._watcher = RunWatcher(folder)
        self.plots.show_picture(None)
        self.plots.show_curve(self._watcher.curve)

    def _show_process(self, process: TrainingProcess) -> None:
        state, line = process.state, process.last_line()
        if state is TrainingState.RUNNING:
            self.state.show_text(line)
        elif state is TrainingState.STOPPING:
            self.state.show_text("Stopping: writing a checkpoint\N{HORIZONTAL ELLIPSIS}")
        else:
            process.close()
            self._process = None
            self._show_end(state, line)
            return
        done = _DONE.search(line)
        if done:
            self.progress.setRange(0, int(done[2]))
            self.progress.setValue(int(done[1]))

    def _show_end(self, state: TrainingState, line: str) -> None:
        folder = self._folder()
        if state is TrainingState.FINISHED:
            self.state.show_text(f"Finished: the model is in {folder}")
            self.banner.push(Message(MessageLevel.INFO, f"The model was written to {folder}"))
        elif state is TrainingState.STOPPED and can_resume(folder):
            self.state.show_text("Stopped. Resume continues from the checkpoint")
        else:
            self.state.show_text("No model was trained")
            text = line or "the training ended without a message; check the free space of the disk"
            self.banner.push(Message(MessageLevel.ERROR, text))

    def _show_numbers(self) -> None:
        curve = self._watcher.curve
        if not curve.steps:
            self.numbers.setText("")
            return
        parts = [f"step {count(curve.steps[-1])}", f"loss {number(curve.loss[-1], 3)}", f"{duration(curve.seconds)} trained"]
        if curve.validated:
            parts.insert(2, f"held-out SSIM {number(curve.ssim[-1], 3)}, correlation {number(curve.correlation[-1], 3)}")
        self.numbers.setText("    ".join(parts))

    def _show_buttons(self) -> None:
        running, folder = self.running, Path(self.folder.text().strip()).expanduser()
        stopping = self._process is not None and self._process.state is TrainingState.STOPPING
        trained = not running and (folder / CARD).is_file()
        from_model, captured = self.start.currentText().strip() != _NEW, bool(self.data.text().strip())
        for field, usable in (
            (self.start, True),
            (self.data, True),
            (self.minutes, True),
            (self.folder, True),
            (self.kind, not from_model),
            (self.source, not captured),
            (self.pairs, not captured),
        ):
            field.setEnabled(usable and not running)
        self.train_button.setEnabled(not running)
        self.resume_button.setEnabled(not running and bool(folder.name) and can_resume(folder))
        self.stop_button.setEnabled(running and not stopping)
        self.use_button.setEnabled(trained)
        set_style(self.stop_button, "tone", "recording" if running else "")
        set_style(self.train_button, "tone", "" if running or trained else "primary")
        set_style(self.use_button, "tone", "primary" if trained else "")

    def _folder(self) -> Path:
        text = self.folder.text().strip()
        if not text:
            raise SpeckleScopeError("no folder is given for the model; type one. Its name becomes the name of the model")
        return Path(text).expanduser().absolute()

    def _browse(self, field: QLineEdit, title: str) -> None:
        chosen = QFileDialog.getExistingDirectory(self, title)
        if chosen:
            field.setText(chosen)
            self.show_folder()

    # -- construction ---------------------------------------------------------------------------------------------

    def _fill(self, sources: tuple[str, ...]) -> None:
        for name, description in KIND_DESCRIPTIONS.items():
            self.kind.addItem(f"{name}: {description}", name)
        self.start.setEditable(True)
        self.start.addItems([_NEW, *shipped_models()])
        self.source.addItems(sources)
        if "mixed" in sources:
            self.source.setCurrentText("mixed")
        self.data.setPlaceholderText("none: simulate pairs on the twin")
        self.pairs.setRange(8, 1_000_000)
        self.pairs.setValue(6000)
        self.minutes.setRange(0.1, 60 * 24 * 14)
        self.minutes.setDecimals(1)
        self.minutes.setValue(30)
        for box in (self.pairs, self.minutes):
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.folder.setText(str(Path("models") / f"model-{date.today():%Y-%m-%d}"))
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Training progress")
        self.state.show_text("Choose method and data, then press Train")
        self.numbers.setObjectName("muted")

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.setSpacing(GAP_PX)
        layout.addWidget(card(self._form()))
        layout.addLayout(self._buttons())
        progress = QHBoxLayout()
        progress.setSpacing(16)
        progress.addWidget(self.progress, 1)
        progress.addWidget(self.numbers)
        layout.addLayout(progress)
        layout.addWidget(self.plots, 1)
        layout.addWidget(self.banner)
        self.resize(1280, 900)

    def _form(self) -> QGridLayout:
        form = QGridLayout()
        form.setHorizontalSpacing(12)
        form.setContentsMargins(14, 10, 14, 12)
        rows = (
            (("Method", self.kind, "The method to train", 4),
             ("Start from", self.start, "Random weights, or a trained model to fine-tune", 3),
             ("Captured dataset", self.data, "Folder of a dataset. Without one, pairs are simulated on the twin", 4)),
            (("Simulated patterns", self.source, "Pattern source of the simulated pairs", 4),
             ("Pairs", self.pairs, "Number of pairs to simulate", 3),
             ("Minutes", self.minutes, "How long to train, in minutes", 4)),
        )  # fmt: skip
        for row, fields in enumerate(rows):
            for column, (caption, field, tip, stretch) in enumerate(fields):
                add_field(form, caption, field, tip, FieldPlace(2 * row, column))
                form.setColumnStretch(column, stretch)
        tip = "A new folder for the model. Its name becomes the name of the model"
        add_field(form, "Model folder", self.folder, tip, FieldPlace(2 * len(rows), 0, columns=3))
        self._add_browser(self.data, "Choose a dataset")
        self._add_browser(self.folder, "Choose the folder of a model")
        return form

    def _buttons(self) -> QHBoxLayout:
        buttons = QHBoxLayout()
        for button, tip in (
            (self.train_button, "Train with these settings"),
            (self.stop_button, "Write a checkpoint and stop"),
            (self.resume_button, "Continue the run in this folder, with the settings it was started with"),
            (self.use_button, "Open this model in the live view"),
        ):
            button.setToolTip(tip)
            button.setAutoDefault(False)
            button.setMinimumWidth(110)
            buttons.addWidget(button)
        buttons.addSpacing(16)
        buttons.addWidget(self.state, 1)
        return buttons

    def _add_browser(self, field: QLineEdit, title: str) -> None:
        action = field.addAction(icon("folder"), QLineEdit.ActionPosition.TrailingPosition)
        if action is not None:
            action.setToolTip(title)
            action.triggered.connect(lambda: self._browse(field, title))

    def _connect(self) -> None:
        self.train_button.clicked.connect(self.train)
        self.resume_button.clicked.connect(self.resume)
        self.stop_button.clicked.connect(self.stop)
        self.use_button.clicked.connect(lambda: self.model_requested.emit(str(self._folder())))
        self.folder.editingFinished.connect(self.show_folder)
        self.start.currentTextChanged.connect(lambda: self._show_buttons())
        self.data.textChanged.connect(lambda: self._show_buttons())
