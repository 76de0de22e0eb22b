"""What of the recordings is exported: the result, the layers, and the frames."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QHBoxLayout, QLabel, QWidget

from acquisition.archive.results.stored_result import StoredResult
from acquisition.exchange.formats.excerpt import FrameRange
from app.exporting.order import Seconds
from app.gui.player.side import AS_RECORDED, result_name, result_tip
from app.gui.widgets.labels import FieldPlace, add_field, caption_label
from app.gui.widgets.number_box import NumberBox

_MOST = 10**9


class RangeKind(Enum):
    """How frames are chosen; the value is the text for the operator."""

    ALL = "All frames"
    FRAMES = "By frame"
    SECONDS = "By time"


class PartFields(QWidget):
    """The fields for a part.

    Attributes
    ----------
    layers : dict of str to QCheckBox
        The layers that there are.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[str, QCheckBox] = {}
        self.result = QComboBox()
        self.kind = QComboBox()
        for kind in RangeKind:
            self.kind.addItem(kind.value, kind)
        self.start, self.end = _box("From"), _box("To")
        self.every_nth = _box("Every n-th frame")
        self.every_nth.setRange(1, _MOST)
        self.every_nth.setValue(1)
        self._layer_row = QHBoxLayout()
        self._layer_row.setSpacing(14)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        tip = "Which phase, labels and uncertainty: those that were recorded, or those computed later"
        self._result_caption = caption_label("Result")
        grid.addWidget(self._result_caption, 0, 0, 1, 4)
        self.result.setToolTip(tip)
        self.result.setAccessibleName("Result")
        grid.addWidget(self.result, 1, 0, 1, 4)
        grid.addWidget(caption_label("Layers"), 2, 0, 1, 4)
        grid.addLayout(self._layer_row, 3, 0, 1, 4)
        add_field(grid, "Range", self.kind, "All frames, or a part by frame numbers or by time", FieldPlace(4, 0))
        add_field(grid, "From", self.start, "The first frame or time of the part; it is exported too", FieldPlace(4, 1))
        add_field(grid, "To", self.end, "The last frame or time of the part; it is exported too", FieldPlace(4, 2))
        add_field(grid, "Every n-th", self.every_nth, "1 exports every frame, 2 every second one", FieldPlace(4, 3))
        for column in range(4):
            grid.setColumnStretch(column, 1)
        self.kind.activated.connect(self._show_kind)
        self.result.activated.connect(self._tell)
        for box in (self.start, self.end, self.every_nth):
            box.valueChanged.connect(self._tell)
        self._frames, self._duration_s = 1, 0.0
        self._show_kind()

    def show_archives(self, layers: Sequence[str], results: Sequence[StoredResult], frames: int, duration_s: float) -> None:
        """Offer what there is.

        Parameters
        ----------
        layers : sequence of str
            Every layer.
        results : sequence of StoredResult
            The results of a single recording; none where several archives are exported.
        frames : int
            Number of frames of the longest archive.
        duration_s : float
            Its length in seconds.
        """
        with QSignalBlocker(self.result):
            self.result.clear()
            self.result.addItem(AS_RECORDED, "")
            for one in results:
                self.result.addItem(result_name(one), one.path.name)
                self.result.setItemData(self.result.count() - 1, result_tip(one), 3)
        for widget in (self.result, self._result_caption):
            widget.setVisible(bool(results))
        for box in self.layers.values():
            box.deleteLater()
        while self._layer_row.count():
            self._layer_row.takeAt(0)
        self.layers = {}
        for name in layers:
            box = QCheckBox(name[:1].upper() + name[1:])
            box.setChecked(True)
            box.setToolTip(f"Export the {name} of each frame")
            box.toggled.connect(self._tell)
            self.layers[name] = box
            self._layer_row.addWidget(box)
        self._layer_row.addStretch(1)
        self._frames, self._duration_s = frames, duration_s
        self._show_kind()

    @property
    def chosen_layers(self) -> tuple[str, ...] | None:
        """The layers that are ticked; None for all."""
        names = tuple(name for name, box in self.layers.items() if box.isChecked())
        return None if len(names) == len(self.layers) else names

    @property
    def chosen_result(self) -> str:
        """The folder of the result; empty for what was recorded."""
        return str(self.result.currentData() or "")

    @property
    def frames(self) -> FrameRange | Seconds:
        """The frames that are chosen."""
        kind, nth = self.kind.currentData(), int(self.every_nth.value())
        if kind is RangeKind.FRAMES:
            return FrameRange(first=int(self.start.value()), last=int(self.end.value()), every_nth=nth)
        if kind is RangeKind.SECONDS:
            return Seconds(start_s=self.start.value(), end_s=self.end.value(), every_nth=nth)
        return FrameRange(every_nth=nth)

    def _show_kind(self, *_: object) -> None:
        kind = self.kind.currentData()
        is_time = kind is RangeKind.SECONDS
        for box in (self.start, self.end):
            with QSignalBlocker(box):
                box.setDecimals(3 if is_time else 0)
                box.setSuffix(" s" if is_time else "")
                box.setRange(0, self._duration_s if is_time else self._frames - 1)
                box.setEnabled(kind is not RangeKind.ALL)
        with QSignalBlocker(self.start), QSignalBlocker(self.end):
            self.start.setValue(0)
            self.end.setValue(self.end.maximum())
        self._tell()

    def _tell(self, *_: object) -> None:
        self.changed.emit()


def _box(name: str) -> NumberBox:
    box = NumberBox()
    box.setDecimals(0)
    box.setKeyboardTracking(False)
    box.describe(name, "")
    return box


def muted(text: str) -> QLabel:
    """Return a label with a sentence of less weight."""
    label = QLabel(text)
    label.setObjectName("muted")
    label.setWordWrap(True)
    return label
