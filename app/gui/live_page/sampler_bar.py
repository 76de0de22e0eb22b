"""The row for models that draw samples: what is shown of them, in how many steps, and from which noise."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Final

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QComboBox, QFrame, QHBoxLayout, QLabel, QPushButton, QSpinBox, QToolButton

from app.gui.widgets.labels import ElidedLabel
from reconstruction.sampling import MOST_SEED, SamplerState, Shown


class Picture(Enum):
    """What an operator can look at, and how it is called."""

    SAMPLE = "One sample"
    MEAN = "Mean"
    UNCERTAINTY = "Uncertainty"


_TIPS: Final = {
    Picture.SAMPLE: "One picture that agrees with the speckle, with the fine texture of real objects. "
    "Other samples differ from it where the light leaves the object open",
    Picture.MEAN: "The mean of all samples: closest to the object on average, but smoother than it",
    Picture.UNCERTAINTY: "The standard deviation of the samples in radians: large where the light leaves the object open. "
    "It takes the place of the phase in its pane",
}
_NO_MEAN = (
    "This model draws one sample of each frame. Set live: {samples_per_frame: 8} in the instrument file for the mean of 8"
)
_STEPS_TIP = "More steps draw finer texture, and take longer. Frames are recorded without a break while the steps change"
_NEW_TIP = (
    "Draw from other noise. The noise stays the same from frame to frame, so that the picture does not flicker  (Shift+N)"
)
_NO_NEW_TIP = "Only a sample depends on the noise: show one sample first"
_SEED_TIP = "Number of the noise: the same number gives the same sample of a frame again. It is recorded with each frame"
_ON, _OFF = "\N{BLACK CIRCLE}", "\N{WHITE CIRCLE}"


class SamplerBar(QFrame):
    """Shows how samples are drawn, and emits a signal for every choice; it is hidden for models that draw none."""

    #: The Sampling that the operator wants.
    sampling_requested = pyqtSignal(object)
    #: The Picture that the operator wants to look at.
    picture_requested = pyqtSignal(object)
    new_sample_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.pictures = {picture: QToolButton() for picture in Picture}
        self.steps = QComboBox()
        self.seed = QSpinBox()
        self.new_sample = QPushButton("New sample")
        self.note = ElidedLabel("muted")
        self._group = QButtonGroup(self)
        self._state: SamplerState | None = None
        self._build()
        self.hide()

    def show_state(self, state: SamplerState | None, picture: Picture, *, preparing: bool) -> None:
        """Show how samples are drawn.

        Parameters
        ----------
        state : SamplerState or None
            What is chosen, and what can be; None hides the row.
        picture : Picture
            What the operator looks at.
        preparing : bool
            Whether an engine is being opened for this number of steps.
        """
        self.setVisible(state is not None)
        if state is None:
            return
        if self._state is None or self._state.choices != state.choices:
            with QSignalBlocker(self.steps):
                self.steps.clear()
                for steps in state.choices.steps:
                    self.steps.addItem(str(steps), steps)
        self._state = state
        with QSignalBlocker(self.steps):
            self.steps.setCurrentIndex(self.steps.findData(state.sampling.steps))
        if not self.seed.hasFocus():
            with QSignalBlocker(self.seed):
                self.seed.setValue(state.sampling.seed)
        for each, button in self.pictures.items():
            is_possible = each is Picture.SAMPLE or state.choices.has_mean
            button.setEnabled(is_possible)
            button.setToolTip(_TIPS[each] if is_possible else _NO_MEAN)
            button.setChecked(each is picture)
            button.setText(f"{_ON if each is picture else _OFF}  {each.value}")
        is_sample = picture is Picture.SAMPLE
        self.new_sample.setEnabled(is_sample)
        self.new_sample.setToolTip(_NEW_TIP if is_sample else _NO_NEW_TIP)
        self.note.show_text(f"Preparing {state.sampling.steps_text}\N{HORIZONTAL ELLIPSIS}" if preparing else "")

    def _build(self) -> None:
        self.setObjectName("card")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 12, 4)
        layout.setSpacing(8)
        layout.addWidget(_muted("This model draws samples. Show"))
        for picture, button in self.pictures.items():
            button.setCheckable(True)
            button.setAccessibleName(picture.value)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(self._choose_picture)
            self._group.addButton(button)
            layout.addWidget(button)
        layout.addSpacing(16)
        layout.addWidget(_muted("Steps"))
        self.steps.setAccessibleName("Steps")
        self.steps.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.steps.setToolTip(_STEPS_TIP)
        self.steps.activated.connect(self._choose_steps)
        layout.addWidget(self.steps)
        layout.addSpacing(16)
        layout.addWidget(_muted("Sample"))
        self.seed.setRange(0, MOST_SEED)
        self.seed.setFixedWidth(90)
        self.seed.setKeyboardTracking(False)
        self.seed.setAccessibleName("Number of the sample")
        self.seed.setToolTip(_SEED_TIP)
        self.seed.valueChanged.connect(self._choose_seed)
        layout.addWidget(self.seed)
        self.new_sample.setObjectName("small")
        self.new_sample.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.new_sample.clicked.connect(self.new_sample_requested)
        layout.addWidget(self.new_sample)
        layout.addWidget(self.note, 1)

    def _choose_picture(self) -> None:
        pressed = self._group.checkedButton()
        self.picture_requested.emit(next(picture for picture, button in self.pictures.items() if button is pressed))

    def _choose_steps(self, number: int) -> None:
        if self._state is not None:
            self.sampling_requested.emit(replace(self._state.sampling, steps=self.steps.itemData(number)))

    def _choose_seed(self, seed: int) -> None:
        if self._state is not None:
            self.sampling_requested.emit(replace(self._state.sampling, seed=seed))


def shown_picture(shown: Shown, *, uncertainty: bool) -> Picture:
    """Return what the operator looks at: the uncertainty, where it has the place of the phase, or what the phase is."""
    if uncertainty:
        return Picture.UNCERTAINTY
    return Picture.MEAN if shown is Shown.MEAN else Picture.SAMPLE


def _muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("muted")
    return label
