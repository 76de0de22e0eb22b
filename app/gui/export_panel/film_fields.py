"""How a film for viewing looks: layer, colours, levels, scale bar, time."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QHBoxLayout, QWidget

from acquisition.exchange.formats.film_picture import FilmColours, FilmLook
from app.gui.widgets.labels import FieldPlace, add_field
from app.gui.widgets.number_box import NumberBox

_PHASE = "phase"


class FilmFields(QWidget):
    """The fields for films."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.colours = QComboBox(), QComboBox()
        for colours in FilmColours:
            self.colours.addItem(colours.value.capitalize(), colours)
        self.colours.setCurrentIndex(self.colours.findData(FilmColours.VIRIDIS))
        self.low, self.high = NumberBox(), NumberBox()
        for box, name in ((self.low, "Low"), (self.high, "High")):
            box.describe(name, "")
            box.setDecimals(2)
            box.setRange(-99999, 99999)
            box.setSingleStep(0.1)
            box.setKeyboardTracking(False)
        self.high.setValue(6.28)
        self.automatic = QCheckBox("Choose the levels for the whole film")
        self.automatic.setChecked(True)
        self.automatic.setToolTip("Black and white are 0.5 % and 99.5 % of the values in the film; or type them")
        self.scale_bar = QCheckBox("Scale bar")
        self.scale_bar.setToolTip("Draw a scale bar, where the size of a pixel is known")
        self.time_stamp = QCheckBox("Time")
        self.time_stamp.setToolTip("Write the time since the first frame on each frame, also on the film as displayed")
        for option in (self.scale_bar, self.time_stamp):
            option.setChecked(True)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        add_field(grid, "Layer", self.layer, "What the film shows", FieldPlace(0, 0))
        add_field(grid, "Colours", self.colours, "The colours from the low to the high level", FieldPlace(0, 1))
        add_field(grid, "Low", self.low, "The value of the first colour", FieldPlace(0, 2))
        add_field(grid, "High", self.high, "The value of the last colour", FieldPlace(0, 3))
        row = QHBoxLayout()
        row.setSpacing(14)
        for option in (self.automatic, self.scale_bar, self.time_stamp):
            row.addWidget(option)
            option.toggled.connect(self._tell)
        row.addStretch(1)
        grid.addLayout(row, 2, 0, 1, 4)
        for column in range(4):
            grid.setColumnStretch(column, 1)
        self.layer.activated.connect(self._show_unit)
        self.colours.activated.connect(self._tell)
        for number in (self.low, self.high):
            number.valueChanged.connect(self._tell)
        self.set_films(viewing=False, displayed=False)

    def show_layers(self, layers: Sequence[str]) -> None:
        """Offer the layers that there are; labels are no picture."""
        with QSignalBlocker(self.layer):
            self.layer.clear()
            for name in sorted((name for name in layers if name != "labels"), key=lambda name: name != _PHASE):
                self.layer.addItem(name[:1].upper() + name[1:], name)
        self._show_unit()

    def set_films(self, *, viewing: bool, displayed: bool) -> None:
        """Enable what the chosen films use."""
        for widget in (self.layer, self.colours, self.automatic, self.scale_bar):
            widget.setEnabled(viewing)
        for box in (self.low, self.high):
            box.setEnabled(viewing and not self.automatic.isChecked())
        self.time_stamp.setEnabled(viewing or displayed)

    @property
    def look(self) -> FilmLook:
        """How the film looks."""
        return FilmLook(
            layer=str(self.layer.currentData() or ""),
            colours=self.colours.currentData(),
            levels=None if self.automatic.isChecked() else (self.low.value(), self.high.value()),
            scale_bar=self.scale_bar.isChecked(),
            time_stamp=self.time_stamp.isChecked(),
        )

    @property
    def problem(self) -> str:
        """Why the levels cannot be used, as a sentence; empty when they can."""
        if self.automatic.isChecked() or self.low.value() < self.high.value():
            return ""
        return f"The high level {self.high.value():g} is not above the low level {self.low.value():g}; type a higher one"

    def _show_unit(self, *_: object) -> None:
        unit = " counts" if self.layer.currentData() == "speckle" else " rad"
        for box in (self.low, self.high):
            box.setSuffix(unit)
        self._tell()

    def _tell(self, *_: object) -> None:
        self.changed.emit()
