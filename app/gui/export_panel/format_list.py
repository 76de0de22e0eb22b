"""The formats of an export, each with what it holds, what it loses, and which programs open it."""

from __future__ import annotations

from collections.abc import Collection

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from acquisition.exchange.export import ExportFormat
from app.exporting.format_texts import FORMAT_TEXTS, FormatText

_DISPLAYED = FormatText(
    name="Film as displayed (MP4)",
    holds="Exactly what the pane shows: colours, levels, outlines, scale bar, orientation. Compressed with loss.",
    programs="VLC, PowerPoint, browsers",
)
_INDENT_PX = 26
_BOX_PX = 26  # with the frame of the focus


class FormatList(QWidget):
    """A box to tick for each format.

    Attributes
    ----------
    boxes : dict of ExportFormat to QCheckBox
        The formats.
    displayed : QCheckBox
        The film as displayed.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[ExportFormat, QCheckBox] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)
        self.displayed = self._add(_DISPLAYED)
        for target, text in FORMAT_TEXTS.items():
            self.boxes[target] = self._add(text)
        self._layout.addStretch(1)

    def _add(self, text: FormatText) -> QCheckBox:
        box = QCheckBox(text.name)
        box.setMinimumHeight(_BOX_PX)
        box.setToolTip(f"{text.holds}\nOpens in: {text.programs}")
        box.toggled.connect(self._tell)
        label = QLabel(f"{text.holds} Opens in: {text.programs}.")
        label.setObjectName("caption")
        label.setWordWrap(True)
        label.setIndent(_INDENT_PX)
        self._layout.addWidget(box)
        self._layout.addWidget(label)
        self._layout.addSpacing(5)
        return box

    def _tell(self, *_: object) -> None:
        self.changed.emit()

    @property
    def chosen(self) -> tuple[ExportFormat, ...]:
        """The formats that are ticked."""
        return tuple(target for target, box in self.boxes.items() if box.isChecked())

    def choose(self, formats: Collection[str], *, displayed: bool) -> None:
        """Tick formats by their names; unknown names are skipped."""
        for target, box in self.boxes.items():
            box.setChecked(target.value in formats)
        self.displayed.setChecked(displayed)

    @property
    def has_film(self) -> bool:
        """Whether a film for viewing is ticked, whose colours can be chosen."""
        return self.boxes[ExportFormat.VIEWING_MP4].isChecked()
