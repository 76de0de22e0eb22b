"""Train a model: choose what on what, watch it learn, stop and go on, and take what comes out."""

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
    QWidget,
)

from app.gui.training.plots import TrainingPlots
from app.gui.widgets.banner import Banner
from app.gui.widgets.formatting import count, duration, number
from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel, add_field, card
from app.gui.widgets.style import GAP_PX, set_style
from app.status import Message
from app.training.process import KIND_WORDS, PROGRAM, RunWatcher, TrainingOrder, TrainingProcess, can_resume, resume_words
from drivers.base import SpeckleScopeError
from reconstruction.models.model import CARD, shipped_models

_POLL_MS = 500
_NEW = "random weights"
#: In the command's own words: ``simulating pairs: 600 of 6000``.
_DONE = re.compile(r": (\d+) of ([1-9]\d*)")


class TrainingWindow(QDialog):
    """The form, the curves and the pictures of one training; the work is done by a process of its own.

    Closing the window only hides it: the training goes on.

    Parameters
    ----------
    sources : tuple of str
        Pattern sources that pairs can be simulated from.
    config : Path, optional
        Instrument file; None is the simulated instrument.
    program : sequence of str
        What trains; see :class:`app.training.process.TrainingProcess`.
    """

    #: The operator wants this model in the live view.
    model_wanted = pyqtSignal(str)

    def __init__(self, sources: tuple[str, ...], config: Path | None = None, program: Sequence[str] = PROGRAM) -> None:
        super().__init__()
        self.setWindowTitle("SpeckleScope: train a model")
        self._config, self._program = config, program
        self._process: TrainingProcess | None = None
        self._asked_to_stop = False
        self.banner = Banner()
        self.plots = TrainingPlots()
        self.kind, self.start, self.data, self.source = QComboBox(), QComboBox(), QLineEdit(), QComboBox()
        self.pairs, self.minutes, self.folder = QSpinBox(), QDoubleSpinBox(), QLineEdit()
        self.train_button, self.stop_button = QPushButton("Train"), QPushButton("Stop")
        self.resume_button, self.use_button = QPushButton("Resume"), QPushButton("Use in live view")
        self.progress, self.state, self.figures = QProgressBar(), ElidedLabel(), QLabel()
        self._fill(sources)
        self._build()
        self._connect()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_POLL_MS)
        self._folder_changed()

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self._process is not None and self._process.running

    def order(self) -> TrainingOrder:
        """Return what the form says.

        Raises
        ------
        SpeckleScopeError
            No folder is given, or it holds something else.
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
        """Begin."""
        self._begin(lambda: self.order().words())

    def resume(self) -> None:
        """Go on with the run in the folder."""
        self._begin(lambda: resume_words(self._folder()))

    def stop(self) -> None:
        """Let the run write a checkpoint and end."""
        if self._process is not None:
            self._asked_to_stop = True
            self._process.stop()
            self._show_buttons()

    def refresh(self) -> None:
        """Show what is new; a timer calls it."""
        if self._watcher.poll():
            self.plots.show_curve(self._watcher.curve)
        png = self._watcher.new_picture()
        if png is not None:
            self.plots.show_picture(png)
        self._show_figures()
        if self._process is not None:
            self._show_process(self._process)
        self._show_buttons()

    # -- parts ----------------------------------------------------------------------------------------------------

    def _begin(self, words: Callable[[], list[str]]) -> None:
        if self.running:
            return
        try:
            self._process = TrainingProcess(words(), self._program)
        except (SpeckleScopeError, OSError) as error:
            self.banner.push(Message("error", str(error)))
            return
        self.banner.dismiss()
        self._asked_to_stop = False
        self._watch(self._folder())
        self.refresh()

    def _watch(self, folder: Path) -> None:
        self._watcher = RunWatcher(folder)
        self.plots.show_picture(None)
        self.plots.show_curve(self._watcher.curve)

    def _show_process(self, process: TrainingProcess) -> None:
        words = process.last_words()
        if process.running:
            self.state.show_text("Stopping: writing a checkpoint\N{HORIZONTAL ELLIPSIS}" if self._asked_to_stop else words)
            done = _DONE.search(words)
            if done:
                self.progress.setRange(0, int(done[2]))
                self.progress.setValue(int(done[1]))
            return
        succeeded = process.succeeded
        process.close()
        self._process = None
        if succeeded:
            self.state.show_text(f"Done: the model is in {self._folder()}")
            self.banner.push(Message("info", f"The model is written to {self._folder()}"))
        elif self._asked_to_stop and can_resume(self._folder()):
            self.state.show_text("Stopped; Resume goes on where it was")
        else:
            self.state.show_text("Not trained")
            self.banner.push(Message("error", words or "the training ended without a word; look at the folder's disk"))

    def _show_figures(self) -> None:
        curve = self._watcher.curve
        if not curve.steps:
            self.figures.setText("")
            return
        parts = [f"step {count(curve.steps[-1])}", f"loss {number(curve.loss[-1], 3)}", f"{duration(curve.seconds)} trained"]
        if curve.validated:
            parts.insert(2, f"held-out SSIM {number(curve.ssim[-1], 3)}, correlation {number(curve.correlation[-1], 3)}")
        self.figures.setText("    ".join(parts))

    def _show_buttons(self) -> None:
        running, folder = self.running, Path(self.folder.text().strip()).expanduser()
        done = not running and (folder / CARD).is_file()
        for widget in (self.start, self.data, self.minutes, self.folder):
            widget.setEnabled(not running)
        from_model, captured = self.start.currentText().strip() != _NEW, bool(self.data.text().strip())
        self.kind.setEnabled(not running and not from_model)
        self.source.setEnabled(not running and not captured)
        self.pairs.setEnabled(not running and not captured)
        self.train_button.setEnabled(not running)
        self.resume_button.setEnabled(not running and bool(folder.name) and can_resume(folder))
        self.stop_button.setEnabled(running and not self._asked_to_stop)
        self.use_button.setEnabled(done)
        set_style(self.stop_button, "tone", "recording" if running else "")
        set_style(self.train_button, "tone", "" if running or done else "primary")
        set_style(self.use_button, "tone", "primary" if done else "")

    def _folder_changed(self) -> None:
        """Show what a run in this folder has already learned."""
        if not self.running:
            self._watch(Path(self.folder.text().strip()).expanduser())
            self.refresh()

    def _folder(self) -> Path:
        text = self.folder.text().strip()
        if not text:
            raise SpeckleScopeError("the model has no folder; type one, its name becomes the model's name")
        return Path(text).expanduser().absolute()

    def _browse(self, field: QLineEdit, title: str) -> None:
        chosen = QFileDialog.getExistingDirectory(self, title)
        if chosen:
            field.setText(chosen)
            self._folder_changed()

    def shut_down(self) -> None:
        """Stop polling and the training; returns at once, see :meth:`wait_closed`."""
        self._timer.stop()
        self.stop()

    def wait_closed(self, timeout_s: float) -> None:
        """Wait until the training has written its checkpoint; may be called from another thread."""
        if self._process is not None:
            self._process.close(timeout_s)

    # -- building -------------------------------------------------------------------------------------------------

    def _fill(self, sources: tuple[str, ...]) -> None:
        for name, words in KIND_WORDS.items():
            self.kind.addItem(f"{name}: {words}", name)
        self.start.setEditable(True)
        self.start.addItems([_NEW, *shipped_models()])
        self.source.addItems(sources)
        if "mixed" in sources:
            self.source.setCurrentText("mixed")
        self.data.setPlaceholderText("simulated on the twin")
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
        self.state.show_text("Choose what to train, and press Train")
        self.figures.setObjectName("muted")

    def _build(self) -> None:
        form = QGridLayout()
        form.setHorizontalSpacing(12)
        rows = (
            (("Method", self.kind, "What is trained", 4), ("Start from", self.start, "A model to fine-tune instead", 3),
             ("Captured dataset", self.data, "Folder of a dataset; without one, pairs are simulated on the twin", 4)),
            (("Simulated patterns", self.source, "What the simulated pairs show", 4),
             ("Pairs", self.pairs, "How many to simulate", 3),
             ("Minutes", self.minutes, "How long to train", 4)),
        )  # fmt: skip
        for row, fields in enumerate(rows):
            for column, (caption, field, tip, stretch) in enumerate(fields):
                self._field(form, caption, field, tip, 2 * row, column)
                form.setColumnStretch(column, stretch)
        self._field(form, "Model folder", self.folder, "A new folder; its name becomes the model's name", 4, 0, 3)
        buttons = QHBoxLayout()
        for button, tip in (
            (self.train_button, "Train with these settings"),
            (self.stop_button, "Write a checkpoint and stop"),
            (self.resume_button, "Go on with the run in this folder, with the settings it was begun with"),
            (self.use_button, "Open this model in the live view"),
        ):
            button.setToolTip(tip)
            button.setAutoDefault(False)
            button.setMinimumWidth(110)
            buttons.addWidget(button)
        buttons.addSpacing(16)
        buttons.addWidget(self.state, 1)
        form.setContentsMargins(14, 10, 14, 12)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP_PX, GAP_PX, GAP_PX, GAP_PX)
        layout.setSpacing(GAP_PX)
        layout.addWidget(self.banner)
        layout.addWidget(card(form))
        layout.addLayout(buttons)
        done = QHBoxLayout()
        done.setSpacing(16)
        done.addWidget(self.progress, 1)
        done.addWidget(self.figures)
        layout.addLayout(done)
        layout.addWidget(self.plots, 1)
        self.resize(1280, 900)

    def _field(self, form: QGridLayout, caption: str, field: QWidget, tip: str, row: int, column: int, span: int = 1) -> None:
        add_field(form, caption, field, tip, (row, column), span)
        browsed = {self.data: "Choose a dataset", self.folder: "Choose a model folder with a run"}
        if isinstance(field, QLineEdit) and field in browsed:
            action = field.addAction(icon("folder"), QLineEdit.ActionPosition.TrailingPosition)
            if action is not None:
                action.setToolTip(browsed[field])
                action.triggered.connect(lambda: self._browse(field, browsed[field]))

    def _connect(self) -> None:
        self.train_button.clicked.connect(self.train)
        self.resume_button.clicked.connect(self.resume)
        self.stop_button.clicked.connect(self.stop)
        self.use_button.clicked.connect(lambda: self.model_wanted.emit(str(self._folder())))
        self.folder.editingFinished.connect(self._folder_changed)
        self.start.currentTextChanged.connect(lambda: self._show_buttons())
        self.data.textChanged.connect(lambda: self._show_buttons())
