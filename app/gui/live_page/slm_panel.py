"""What the SLM shows in the live view: the operator's choice, and a preview of what is shown now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.picture import Picture
from app.live.slm.content import SlmContent, SlmKind, SlmStatus
from drivers.pictures import SUFFIXES

_TEXTS = {
    SlmKind.SCENE: ("Scene of the instrument", "The patterns of the instrument file, in turn"),
    SlmKind.PICTURE: ("My picture", "The picture as phase: black is 0, white is the instrument's phase range"),
    SlmKind.BLANK: ("Flat", "The flat pattern, under which references are measured"),
    SlmKind.TEST_CARD: ("Test card", "The USAF-1951 resolution chart"),
    SlmKind.HOLOGRAM: ("Hologram of my picture", "The phase whose far field is the picture; one pixel is one spot"),
}
_NO_SLM = "This instrument has no SLM.\nAdd one to its file to show patterns."
_NO_HOLOGRAM = "The instrument file has no carrier and no lens for holograms"
_NO_PICTURE = "Choose a picture first"
_PREVIEW_PX = 320
_ON, _OFF = "\N{BLACK CIRCLE}", "\N{WHITE CIRCLE}"


class SlmPanel(QWidget):
    """Shows what it is given, and emits a signal for every choice. It decides nothing itself."""

    #: The SlmContent that the operator wants.
    content_requested = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.choices = {kind: QToolButton() for kind in _TEXTS}
        self.choose_picture = QPushButton("Choose picture…")
        self.choose_picture.setObjectName("small")
        self.picture_name = ElidedLabel("muted")
        self.problem = QLabel()
        self.preview = Picture("Nothing is known to be on the SLM")
        self.shown = ElidedLabel("muted")
        self.picture: Path | None = None
        self._status: SlmStatus | None = None
        self._phase_rad: NDArray[np.float32] | None = None
        self._group = QButtonGroup(self)
        self._build()

    def show_status(self, status: SlmStatus) -> None:
        """Show what this instrument can show, and what is chosen; a choice that was refused is undone."""
        wanted = status.pending or status.content
        if self._status is None or self._status.content != status.content:
            self.picture = status.content.picture or self.picture
        self._status = status
        self.problem.setText("" if status.kinds else _NO_SLM)
        self.problem.setVisible(not status.kinds)
        self.choose_picture.setEnabled(SlmKind.PICTURE in status.kinds)
        self.picture_name.show_text(self.picture.name if self.picture is not None else "no picture is chosen")
        for kind, button in self.choices.items():
            reason = self._reason(kind, status)
            button.setEnabled(not reason)
            button.setToolTip(reason or _TEXTS[kind][1])
        self._check(wanted.kind if wanted.kind in status.kinds else None)
        if status.pending is not None:
            self.shown.show_text(f"Drawing {status.pending.text}\N{HORIZONTAL ELLIPSIS}")
        else:
            self.shown.show_text(self._range_text())

    def show_phase(self, phase_rad: NDArray[np.float32] | None) -> None:
        """Show the phase (h, w) in radians that is on the SLM now; None when it is not known."""
        if phase_rad is self._phase_rad:
            return
        self._phase_rad = phase_rad
        self.preview.show_grey(None if phase_rad is None else _grey(phase_rad))

    def use_picture(self, file: Path) -> None:
        """Choose a picture file: it is shown, or its hologram where that is chosen now."""
        kind = self._status.content.kind if self._status is not None else SlmKind.PICTURE
        self.content_requested.emit(SlmContent(kind if kind.needs_picture else SlmKind.PICTURE, file))

    def _reason(self, kind: SlmKind, status: SlmStatus) -> str:
        """Return why a kind cannot be chosen; empty if it can."""
        if not status.kinds:
            return _NO_SLM
        if kind not in status.kinds:
            return _NO_HOLOGRAM if kind is SlmKind.HOLOGRAM else "This instrument has no scene"
        return _NO_PICTURE if kind.needs_picture and self.picture is None else ""

    def _check(self, kind: SlmKind | None) -> None:
        self._group.setExclusive(False)  # so that none can be checked
        for each, button in self.choices.items():
            button.setChecked(each is kind)
            button.setText(f"{_ON if each is kind else _OFF}  {_TEXTS[each][0]}")
        self._group.setExclusive(True)

    def _range_text(self) -> str:
        if self._phase_rad is None:
            return ""
        height, width = self._phase_rad.shape
        low, high = float(self._phase_rad.min()), float(self._phase_rad.max())
        return f"Now: {width} x {height} px, {low:.2f} to {high:.2f} rad"

    def _choose(self, kind: SlmKind) -> None:
        self.content_requested.emit(SlmContent(kind, self.picture if kind.needs_picture else None))

    def _clicked(self) -> None:
        pressed = self._group.checkedButton()
        self._choose(next(kind for kind, button in self.choices.items() if button is pressed))

    def _choose_picture(self) -> None:
        endings = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        folder = str(self.picture.parent) if self.picture is not None else ""
        name, _ = QFileDialog.getOpenFileName(self, "Show this picture on the SLM", folder, f"Pictures ({endings})")
        if name:
            self.use_picture(Path(name))

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(self.problem)
        for kind, button in self.choices.items():
            button.setCheckable(True)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.setStyleSheet("text-align: left")
            button.setAccessibleName(_TEXTS[kind][0])
            self._group.addButton(button)
            layout.addWidget(button)
            button.clicked.connect(self._clicked)
        row = QHBoxLayout()
        row.addWidget(self.choose_picture)
        row.addWidget(self.picture_name, 1)
        layout.addLayout(row)
        layout.addWidget(self.preview, 1)
        layout.addWidget(self.shown)
        self.choose_picture.clicked.connect(self._choose_picture)


def _grey(phase_rad: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a small grey picture, from the smallest phase to the largest."""
    step = max(1, max(phase_rad.shape) // _PREVIEW_PX)
    small = phase_rad[::step, ::step]
    low, high = float(small.min()), float(small.max())
    scaled = (small - low) * (255 / (high - low)) if high > low else np.zeros_like(small)
    return np.round(scaled).astype(np.uint8)
