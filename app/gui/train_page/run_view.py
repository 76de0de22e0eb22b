"""One training of the queue: what it is doing, its time left, and its curves."""

from __future__ import annotations

import math

from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from app.gui.train_page.plots import TrainingPlots
from app.gui.widgets.formatting import count, duration, number
from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.style import set_style
from app.training.process import Curve, RunWatcher
from app.training.time_left import Stage, TrainingProgress
from app.training.training_queue import QueuedTraining, QueueState
from drivers.visible_text import visible

_STEPS = 1000
_TONES = {QueueState.FINISHED: "good", QueueState.FAILED: "alarm", QueueState.STOPPED: "warning"}
_TEXTS = {
    QueueState.WAITING: "waits for its turn",
    QueueState.RUNNING: "is training",
    QueueState.STOPPED: "was stopped",
    QueueState.FINISHED: "is trained",
    QueueState.FAILED: "was not trained",
}


class RunView(QWidget):
    """Shows one training; all points of its curves are read from its folder."""

    def __init__(self) -> None:
        super().__init__()
        self._watcher: RunWatcher | None = None
        self._training: QueuedTraining | None = None
        self.state = ElidedLabel("state")
        self.left = QLabel()
        self.numbers = QLabel()
        self.numbers.setObjectName("muted")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName("Training progress")
        self.progress.setRange(0, _STEPS)
        self.plots = TrainingPlots()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        line = QHBoxLayout()
        line.setSpacing(14)
        line.addWidget(self.state, 1)
        line.addWidget(self.left)
        layout.addLayout(line)
        layout.addWidget(self.progress)
        layout.addWidget(self.numbers)
        layout.addWidget(self.plots, 1)
        self.show_training(None, None)

    @property
    def curve(self) -> Curve:
        """All points that are shown."""
        return self._watcher.curve if self._watcher is not None else Curve()

    def show_training(self, training: QueuedTraining | None, progress: TrainingProgress | None) -> None:
        """Show a training, or none: what its run has added, and how far it is if it runs in this program."""
        before, self._training = self._training, training
        if training is None or before is None or training.folder != before.folder:
            self._watcher = RunWatcher(training.folder) if training is not None else None
            self.plots.show_picture(None)
            self.plots.show_curve(Curve())
        if self._watcher is not None:
            if self._watcher.poll():
                self.plots.show_curve(self._watcher.curve)
            png = self._watcher.new_picture()
            if png is not None:
                self.plots.show_picture(png)
        self._show_state(progress)
        self._show_numbers()

    def _show_state(self, progress: TrainingProgress | None) -> None:
        training = self._training
        if training is None:
            self.state.show_text("No training")
            set_style(self.state, "tone", "idle")
            self.left.setText("")
            self.progress.setValue(0)
            return
        text = f"{visible(training.name)} {_TEXTS[training.state]}"
        if training.state is QueueState.RUNNING and progress is not None:
            text = f"{visible(training.name)}: {progress.stage.value}"
            if progress.total:
                text += f", {_amount(progress)}"
            self.left.setText(f"{duration(progress.seconds_left)} left, everything included")
            self.progress.setValue(round(_STEPS * progress.fraction))
        else:
            self.left.setText("")
            self.progress.setValue(_STEPS if training.state is QueueState.FINISHED else 0)
        if training.note:
            text += f". {visible(training.note)}"
        self.state.show_text(text)
        set_style(self.state, "tone", _TONES.get(training.state, "live" if training.state is QueueState.RUNNING else "idle"))

    def _show_numbers(self) -> None:
        curve = self.curve
        parts: list[str] = []
        if curve.steps:
            parts = [
                f"step {count(curve.steps[-1])}",
                f"loss {number(curve.loss[-1], 3)}",
                f"{duration(curve.seconds)} trained",
            ]
        if curve.validated:
            parts.append(f"held-out SSIM {number(curve.ssim[-1], 3)}, correlation {number(curve.correlation[-1], 3)}")
        self.numbers.setText("    ".join(parts))


def _amount(progress: TrainingProgress) -> str:
    if progress.stage is Stage.TRAINING and math.isfinite(progress.seconds_left):
        return f"{duration(progress.done)} of {duration(progress.total)}"
    return f"{count(progress.done)} of {count(progress.total)}"
