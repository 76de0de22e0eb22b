"""The Cells panel: how cells are labelled and marked, their numbers, their course over time, and all of it as CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.image_view.cell_marks import CellColour, CellLook, CellSizes, identity_colour
from app.gui.image_view.measure.plots import CurvePlot
from app.gui.live_page.cells.cell_rows import CellRows
from app.gui.live_page.cells.slider_row import SliderRow
from app.gui.live_page.cells.texts import QUANTITIES, heading, value_text
from app.gui.widgets.csv_button import CsvButton
from app.gui.widgets.formatting import count
from app.gui.widgets.labels import ElidedLabel, caption_label
from app.measuring.cell_history import CellHistory, CellMoment
from app.status import Overlay
from reconstruction.cells.table import CellQuantity
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import segmenter_kinds

#: Kind of segmenter whose threshold is a phase; others have a score from 0 to 1.
_THRESHOLD: Final = "threshold"
_PER_UNIT: Final = 100  # steps of the threshold
_MOST_PX: Final = 400  # of the smallest cell
_AREA_STEPS: Final = 120
_MOST_CURVES: Final = 8
_PLOT_PX: Final = 150
_AUTOMATIC: Final = "automatic"
_DEFAULT_THRESHOLD: Final = 0.3


class CellsPanel(QWidget):
    """Shows the cells that it is given, and emits a signal for every request. It decides nothing itself.

    Parameters
    ----------
    field_um : float
        Width of the square field of view in micrometres.
    highest_rad : float
        The largest threshold, in radians.
    """

    #: The SegmentationConfig that the operator wants.
    segmentation_requested = pyqtSignal(object)
    #: The CellLook that the operator wants.
    look_changed = pyqtSignal(object)
    #: The operator wants to mark cells by clicks.
    marking_requested = pyqtSignal()

    def __init__(self, field_um: float, highest_rad: float) -> None:
        super().__init__()
        self.history = CellHistory()
        self._field_um = field_um
        self._highest_rad = highest_rad
        self._config = SegmentationConfig()
        self._look = CellLook()
        self.number = ElidedLabel("heading")
        self.kind = QComboBox()
        self.threshold = SliderRow("Threshold", "How far above the background a cell begins; each move acts at once", 1, 1)
        self.automatic = QCheckBox("Threshold from the noise of the phase")
        self.smallest = SliderRow("Smallest", "Smaller objects are removed as noise; each move acts at once", _MOST_PX, 1)
        self.low = SliderRow("Area from", "Smaller cells are not listed, and have grey outlines", _AREA_STEPS)
        self.high = SliderRow("to", "Larger cells are not listed, and have grey outlines", _AREA_STEPS)
        self.colour = QComboBox()
        self.scale = QLabel()
        self.numbers = QCheckBox("Numbers")
        self.rows = CellRows()
        self.quantity = QComboBox()
        self.hint = QLabel("Select cells in the table to see their course over time")
        self.save = CsvButton("cells.csv", "Save all numbers of the cells of the frames that were shown lately", self.csv_text)
        self.mark = QPushButton("Mark by clicks\N{HORIZONTAL ELLIPSIS}")
        self._plot: CurvePlot | None = None
        self._build()
        self._connect()
        self._show_sliders()
        self.refresh()

    @property
    def look(self) -> CellLook:
        """How cells are marked."""
        return self._look

    @property
    def plot(self) -> CurvePlot | None:
        """The plot over time; None before cells are selected for the first time."""
        return self._plot

    # -- what is shown --------------------------------------------------------------------------------------------

    def note_overlay(self, overlay: Overlay) -> None:
        """Note the cells of a frame; nothing is drawn before :meth:`refresh`."""
        if overlay.cells is None or overlay.labels is None:
            return
        pixel_um = self._field_um / overlay.labels.shape[1]
        self.history.add(CellMoment.of_frame(overlay.view.frame, pixel_um, overlay.cells))
        self._widen_scale()

    def show_config(self, config: SegmentationConfig) -> None:
        """Show how cells are labelled."""
        if config != self._config:
            self._config = config
            self._show_sliders()

    def refresh(self) -> None:
        """Show the newest numbers; a few times a second is enough."""
        newest = self.history.newest
        cells = newest.cells if newest is not None else None
        passing = 0 if cells is None else int(self._look.sizes.passes(cells).sum())
        others = 0 if cells is None else len(cells) - passing
        beside = f", {count(others)} of other sizes" if others else ""
        self.number.show_text("No cells yet" if cells is None else f"{_cells(passing)}{beside}")
        self.rows.show_cells(cells, self._look.sizes)
        self.save.setEnabled(len(self.history) > 0)
        self._draw_plot()

    def state(self) -> dict[str, object]:
        """Return how cells are listed and marked, as plain data."""
        return {
            "colour": self._look.colour.value,
            "numbers": self._look.has_numbers,
            "area_from": self.low.step,
            "area_to": self.high.step,
            "quantity": self.quantity.currentData().value,
        }

    def restore(self, state: Mapping[str, object]) -> list[str]:
        """Set what :meth:`state` has returned; return a sentence for every entry that cannot be used."""
        problems = []
        for key, box in (("colour", self.colour), ("quantity", self.quantity)):
            values = [box.itemData(row).value for row in range(box.count())]
            if (value := state.get(key, box.currentData().value)) in values:
                box.setCurrentIndex(values.index(value))
            else:
                problems.append(f"the {key} of cells cannot be {value!r}")
        for key, row in (("area_from", self.low), ("area_to", self.high)):
            if isinstance(step := state.get(key, row.step), int) and 0 <= step <= _AREA_STEPS:
                row.slider.setValue(step)
            else:
                problems.append(f"the limit {key} of cells cannot be {step!r}")
        self.numbers.setChecked(state.get("numbers", True) is not False)
        return problems

    def csv_text(self) -> str:
        """Return the numbers of all cells of the chosen sizes, of the frames that were shown."""
        return self.history.csv(self._look.sizes.passes)

    def _draw_plot(self) -> None:
        chosen = self.rows.chosen[:_MOST_CURVES]
        self.hint.setVisible(not chosen)
        if self._plot is None and chosen:
            self._plot = CurvePlot("Time / s", "")
            self._plot.setMinimumHeight(_PLOT_PX)
            self._plot_place.addWidget(self._plot)
        if self._plot is None:
            return
        self._plot.setVisible(bool(chosen))
        quantity = self.quantity.currentData()
        self._plot.keep_only([str(identity) for identity in chosen])
        self._plot.set_heading(heading(quantity))
        for identity, (time_s, values) in self.history.series(chosen, quantity).items():
            self._plot.show_curve(str(identity), time_s, values, identity_colour(identity))

    def _show_sliders(self) -> None:
        config = self._config
        is_phase = config.kind == _THRESHOLD
        self.threshold.show_last(round((self._highest_rad if is_phase else 1.0) * _PER_UNIT))
        with QSignalBlocker(self.automatic):
            self.automatic.setChecked(config.threshold is None)
        with QSignalBlocker(self.kind):
            self.kind.setCurrentText(config.kind)
        self.automatic.setText("Threshold from the noise of the phase" if is_phase else "Threshold of the segmenter")
        self.threshold.slider.setEnabled(config.threshold is not None)
        if config.threshold is None:
            self.threshold.show_step(self.threshold.step, _AUTOMATIC)
        else:
            unit = " rad" if is_phase else ""
            self.threshold.show_step(round(config.threshold * _PER_UNIT), f"{config.threshold:.2f}{unit}")
        self.smallest.show_step(config.min_area_px, f"{config.min_area_px} px")
        sizes = self._look.sizes
        self.low.value.setText(_area_text(sizes.smallest_um2, "any"))
        self.high.value.setText(_area_text(sizes.largest_um2, "any"))

    # -- requests -------------------------------------------------------------------------------------------------

    def _ask_kind(self, number: int) -> None:
        kind = self.kind.itemText(number)
        if kind != self._config.kind:  # its threshold and its weights are its own
            self._ask(replace(self._config, kind=kind, threshold=None, weights=None))

    def _ask_threshold(self, step: int) -> None:
        self._ask(replace(self._config, threshold=step / _PER_UNIT))

    def _ask_automatic(self, on: bool) -> None:  # noqa: FBT001 -- Qt calls it so
        self._ask(replace(self._config, threshold=None if on else _DEFAULT_THRESHOLD))

    def _ask_smallest(self, step: int) -> None:
        self._ask(replace(self._config, min_area_px=step))

    def _ask(self, config: SegmentationConfig) -> None:
        self._config = config
        self._show_sliders()
        self.segmentation_requested.emit(config)

    def _change_sizes(self) -> None:
        low, high = self.low.step, self.high.step
        sizes = CellSizes(
            smallest_um2=self._area_um2(low) if low else 0.0,
            largest_um2=self._area_um2(high) if high < _AREA_STEPS else math.inf,
        )
        self._set_look(replace(self._look, sizes=sizes))

    def _change_look(self) -> None:
        look = replace(self._look, colour=self.colour.currentData(), has_numbers=self.numbers.isChecked())
        if look.colour is not self._look.colour:
            look = replace(look, top=self._top(look.colour, 0.0))
        self._set_look(look)

    def _set_look(self, look: CellLook) -> None:
        if look != self._look:
            self._look = look
            self._show_sliders()
            self._show_scale()
            self.look_changed.emit(look)
            self.refresh()

    def _widen_scale(self) -> None:
        """Let the brightest colour stand for a larger value, when there is one; colours keep their meaning otherwise."""
        top = self._top(self._look.colour, self._look.top)
        if top > self._look.top:
            self._look = replace(self._look, top=top)
            self._show_scale()
            self.look_changed.emit(self._look)

    def _top(self, colour: CellColour, least: float) -> float:
        """Return the value of the brightest colour: a round number that no cell of the newest frame exceeds."""
        newest = self.history.newest
        if colour.quantity is None or newest is None:
            return least or 1.0
        values = newest.cells.values(colour.quantity)[self._look.sizes.passes(newest.cells)]
        largest = max((float(value) for value in values if math.isfinite(value)), default=0.0)
        return max(least, _round_up(largest)) or 1.0

    def _show_scale(self) -> None:
        quantity = self._look.colour.quantity
        text = ""
        if quantity is not None:
            text = f"blue 0, red {value_text(self._look.top)} {QUANTITIES[quantity][1]}"
        self.scale.setText(text)
        self.scale.setVisible(bool(text))

    def _area_um2(self, step: int) -> float:
        """Return the area of a step: the same factor from step to step, from a small dot up to a quarter of the field."""
        largest = self._field_um**2 / 4
        return largest * 10.0 ** (4 * (step / _AREA_STEPS - 1))

    # -- construction ---------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.kind.activated.connect(self._ask_kind)
        self.threshold.moved.connect(self._ask_threshold)
        self.automatic.toggled.connect(self._ask_automatic)
        self.smallest.moved.connect(self._ask_smallest)
        self.low.moved.connect(self._change_sizes)
        self.high.moved.connect(self._change_sizes)
        self.colour.currentIndexChanged.connect(self._change_look)
        self.numbers.toggled.connect(self._change_look)
        self.quantity.currentIndexChanged.connect(self.refresh)
        self.rows.chosen_changed.connect(self._draw_plot)
        self.mark.clicked.connect(self.marking_requested)

    def _build(self) -> None:
        for colour in CellColour:
            self.colour.addItem(colour.value, colour)
        for quantity in CellQuantity:
            self.quantity.addItem(QUANTITIES[quantity][0], quantity)
        self.kind.addItems(segmenter_kinds())
        for box, name, tip in (
            (self.kind, "Segmenter", "What labels the cells; it is changed at the next frame, and a recording goes on"),
            (self.colour, "Colour of outlines", "What the colour of an outline on the overlay says"),
            (self.quantity, "Quantity of the plot", "What the plot shows over time"),
        ):
            box.setObjectName("compact")
            box.setAccessibleName(name)
            box.setToolTip(tip)
        self.numbers.setChecked(True)
        self.numbers.setToolTip("Write the number of each cell on the overlay")
        self.automatic.setToolTip("Let the threshold follow the picture, so that an empty field is empty")
        self.high.show_step(_AREA_STEPS, "any")
        self.scale.setObjectName("caption")
        self.scale.hide()
        self.hint.setObjectName("muted")
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._plot_place = QVBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 4)
        layout.setSpacing(4)
        top = _row(caption_label("Segmenter"), self.kind)
        top.insertWidget(0, self.number, 10)
        layout.addLayout(top)
        layout.addWidget(self.automatic)
        for row in (self.threshold, self.smallest, self.low, self.high):
            layout.addWidget(row)
        layout.addLayout(_row(caption_label("Outlines by"), self.colour, self.numbers))
        layout.addWidget(self.scale)
        layout.addWidget(self.rows, 2)
        layout.addLayout(_row(caption_label("Over time"), self.quantity, self.save))
        self.mark.setObjectName("small")
        self.mark.setToolTip("Mark cells on the frame that is shown, by clicks and boxes that Segment Anything answers")
        layout.addLayout(_row(self.mark))
        layout.addWidget(self.hint)
        layout.addLayout(self._plot_place, 1)


def _row(*parts: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    for part in parts:
        row.addWidget(part)
    row.addStretch(1)
    return row


def _cells(number: int) -> str:
    return f"{count(number)} {'cell' if number == 1 else 'cells'}"


def _area_text(area_um2: float, otherwise: str) -> str:
    unit = QUANTITIES[CellQuantity.AREA][1]
    return f"{value_text(area_um2)} {unit}" if math.isfinite(area_um2) and area_um2 > 0 else otherwise


def _round_up(value: float) -> float:
    """Return the smallest number of the form 1, 1.5, 2, 3, 5 or 7 times a power of ten that is not below a value."""
    if value <= 0:
        return 0.0
    decade = 10.0 ** math.floor(math.log10(value))
    return next(step * decade for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0) if step * decade >= value * (1 - 1e-9))
