"""The form of a capture plan: each entry with its unit and range, and a plain explanation of the one that is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QEvent, QObject, QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from acquisition.capture.plan import CapturePlan
from acquisition.patterns.source_name import DESCRIPTIONS
from app.datasets.resume import AcquisitionDevices
from app.gui.build_page.acquire.plan_fields import CHOICE_HELP, NUMBERS, PlanNumber
from app.gui.build_page.note_label import NoteLabel, Tone
from app.gui.widgets.number_box import NumberBox

_OWN: Final = "own"
#: Numbers that the instrument proposes.
_PROPOSED: Final = ("exposure_s", "phase_range_rad")
_ORDERS: Final = (("sequential", "as the source gives them"), ("shuffled", "shuffled"))
_LONGEST_NAME = 64
_HELP_LINES = 4
_LABEL_PX = 180


class PlanForm(QWidget):
    """Everything that decides a dataset. It emits a signal for every change, and starts nothing itself."""

    #: An entry has changed.
    changed = pyqtSignal()
    #: Why a number that was typed is not taken.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit()
        self.name_note = NoteLabel()
        self.source = QComboBox()
        self.source_note = NoteLabel()
        self.folder = QLineEdit()
        self.choose_folder = QPushButton("Choose…")
        self.parameters = QLineEdit()
        self.numbers = {number.key: _box(number) for number in NUMBERS}
        self.order = QComboBox()
        self.preamble = QCheckBox("Sync check before the first pair")
        self.more = QToolButton()
        self.help = QLabel()
        self._helps: dict[QObject, str] = {}
        self._exact: dict[str, tuple[float, float]] = {}
        self._touched: set[str] = set()
        self._folder_row = QWidget()
        self._parameter_row = QWidget()
        self._expert = QWidget()
        self._fill()
        self._build()
        self._connect()
        self._show_rows()

    # -- what is asked for ----------------------------------------------------------------------------------------

    @property
    def dataset_name(self) -> str:
        """The name of the dataset."""
        return self.name.text().strip()

    @property
    def own_folder(self) -> Path | None:
        """The folder of the operator's own pictures; None for another source."""
        if self.source.currentData() != _OWN:
            return None
        return Path(self.folder.text().strip()).expanduser()

    @property
    def has_source(self) -> bool:
        """Whether a source was chosen; own pictures need a folder."""
        return self.source.currentData() != _OWN or bool(self.folder.text().strip())

    def source_name(self) -> str:
        """Return the pattern source as plans name it."""
        folder = self.own_folder
        base = str(folder.absolute()) if folder is not None else str(self.source.currentData())
        parameters = self.parameters.text().strip().lstrip("?")
        return f"{base}?{parameters}" if parameters and self._has_parameters() else base

    def plan(self) -> CapturePlan:
        """Return the plan.

        Raises
        ------
        PlanError
            An entry has a value that no plan takes.
        """
        numbers = {number.key: self._number(number) for number in NUMBERS}
        return CapturePlan.model_validate(
            {
                "source": self.source_name(),
                "order": self.order.currentData(),
                "preamble": self.preamble.isChecked(),
                **numbers,
            }
        )

    def propose(self, devices: AcquisitionDevices, phase_range_rad: float) -> None:
        """Take exposure and phase range from the instrument, unless the operator has changed them."""
        low_s, high_s = devices.exposure_range_s
        exposure = self.numbers["exposure_s"]
        exposure.setRange(low_s * 1e3, high_s * 1e3)
        for key, value in (("exposure_s", devices.exposure_s), ("phase_range_rad", phase_range_rad)):
            if key not in self._touched:
                self._show_number(key, value)

    # -- what is remembered ---------------------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """Return what is filled in, as plain data; what the instrument proposes is left out."""
        kept = [
            number for number in NUMBERS if number.key not in ("exposure_s", "phase_range_rad") or number.key in self._touched
        ]
        return {
            "name": self.name.text(),
            "source": self.source.currentData(),
            "folder": self.folder.text(),
            "parameters": self.parameters.text(),
            "order": self.order.currentData(),
            "preamble": self.preamble.isChecked(),
            "numbers": {number.key: self.numbers[number.key].value() for number in kept},
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Fill in what :meth:`state` has returned; entries that cannot be used are skipped."""
        for key, field in (("name", self.name), ("folder", self.folder), ("parameters", self.parameters)):
            if isinstance(text := state.get(key), str):
                field.setText(text)
        for key, box in (("source", self.source), ("order", self.order)):
            place = box.findData(state.get(key))
            if place >= 0:
                box.setCurrentIndex(place)
        if isinstance(on := state.get("preamble"), bool):
            self.preamble.setChecked(on)
        numbers = state.get("numbers")
        for key, value in numbers.items() if isinstance(numbers, dict) else ():
            number = self.numbers.get(key)
            if number is not None and isinstance(value, int | float) and number.minimum() <= value <= number.maximum():
                number.setValue(value)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _number(self, number: PlanNumber) -> int | float:
        shown = self.numbers[number.key].value()
        rounded, exact = self._exact.get(number.key, (None, 0.0))
        if shown == rounded:
            return exact  # all digits of the instrument, of which fewer are shown
        return round(shown) if number.decimals == 0 else shown / number.scale

    def _show_number(self, key: str, value: float) -> None:
        box = self.numbers[key]
        scale = next(number.scale for number in NUMBERS if number.key == key)
        with QSignalBlocker(box):
            box.setValue(value * scale)
        self._exact[key] = (box.value(), value)

    def _has_parameters(self) -> bool:
        return self.source.currentData() == _OWN or "(" in DESCRIPTIONS.get(self.source.currentData(), "")

    def _show_rows(self) -> None:
        own = self.source.currentData() == _OWN
        for widget in self._folder_fields:
            widget.setVisible(own)
        for widget in self._parameter_fields:
            widget.setVisible(self._has_parameters())
        self._expert.setVisible(self.more.isChecked())
        self.more.setArrowType(Qt.ArrowType.DownArrow if self.more.isChecked() else Qt.ArrowType.RightArrow)

    def _tell(self) -> None:
        self._show_rows()
        self.changed.emit()

    def _touch(self) -> None:
        self._touched |= {key for key, box in self.numbers.items() if box is self.sender()}
        self.changed.emit()

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of your own pictures", self.folder.text())
        if name:
            self.folder.setText(name)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Explain the entry that has the focus or is under the mouse."""
        kinds = (QEvent.Type.FocusIn, QEvent.Type.Enter)
        if event is not None and event.type() in kinds and watched in self._helps:
            self.help.setText(self._helps[watched])
        return super().eventFilter(watched, event)

    def _fill(self) -> None:
        for field in (self.name, self.source, self.folder, self.parameters, self.order):
            field.setObjectName("compact")
        self.choose_folder.setObjectName("small")
        self.name.setText("dataset")
        self.name.setMaxLength(_LONGEST_NAME)
        for name in DESCRIPTIONS:
            self.source.addItem(name, name)
            self.source.setItemData(self.source.count() - 1, DESCRIPTIONS[name], Qt.ItemDataRole.ToolTipRole)
        self.source.addItem("my own pictures", _OWN)
        self.folder.setPlaceholderText("a folder of pictures")
        self.parameters.setPlaceholderText("name=number&name=number")
        for value, text in _ORDERS:
            self.order.addItem(text, value)
        self.preamble.setChecked(True)
        self.more.setText("More options")
        self.more.setCheckable(True)
        self.more.setObjectName("flat")
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setToolTip("Show the options that are seldom changed")
        self.help.setObjectName("muted")
        self.help.setWordWrap(True)
        self.help.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.help.setMinimumHeight(_HELP_LINES * self.help.fontMetrics().lineSpacing())
        self.help.setText("Click an entry, or put the mouse on it: its explanation appears here.")

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 8, 2)
        layout.setSpacing(6)
        plain, expert = _grid(), _grid()
        self._add(plain, "Name", self.name, "name")
        plain.addWidget(self.name_note, plain.rowCount(), 1)
        self._add(plain, "Patterns", self.source, "source")
        self._folder_fields = (self._add(plain, "Folder", self._folder_field(), "folder"), self._folder_row)
        self._parameter_fields = (self._add(plain, "Details", self.parameters, "parameters"), self.parameters)
        plain.addWidget(self.source_note, plain.rowCount(), 1)
        for number in NUMBERS:
            self._add_number(expert if number.is_expert else plain, number)
        self._add(expert, "Order", self.order, "order")
        self._add(expert, "", self.preamble, "preamble")
        self._expert.setLayout(expert)
        layout.addLayout(plain)
        layout.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._expert)
        layout.addStretch(1)

    def _folder_field(self) -> QWidget:
        row = QHBoxLayout(self._folder_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.folder, 1)
        row.addWidget(self.choose_folder)
        self._helps[self.folder] = self._helps[self.choose_folder] = CHOICE_HELP["folder"]
        self.folder.installEventFilter(self)
        self.choose_folder.installEventFilter(self)
        self.folder.setAccessibleName("Folder of own pictures")
        self.folder.setToolTip(CHOICE_HELP["folder"])
        self.choose_folder.setToolTip("Choose the folder of your own pictures")
        return self._folder_row

    def _add(self, grid: QGridLayout, caption: str, field: QWidget, key: str) -> QLabel:
        return self._add_row(grid, caption, field, CHOICE_HELP[key])

    def _add_number(self, grid: QGridLayout, number: PlanNumber) -> None:
        self._add_row(grid, number.label, self.numbers[number.key], number.explanation)

    def _add_row(self, grid: QGridLayout, caption: str, field: QWidget, help_text: str) -> QLabel:
        row = grid.rowCount()
        label = QLabel(caption)
        label.setObjectName("muted")
        label.setMinimumWidth(_LABEL_PX)
        label.setBuddy(field)
        field.setToolTip(help_text)
        field.setAccessibleName(caption or getattr(field, "text", str)())
        self._helps[field] = help_text
        field.installEventFilter(self)
        grid.addWidget(label, row, 0)
        grid.addWidget(field, row, 1)
        return label

    def _connect(self) -> None:
        for line in (self.name, self.folder, self.parameters):
            line.textChanged.connect(self._tell)
        for box in (self.source, self.order):
            box.currentIndexChanged.connect(self._tell)
        self.preamble.toggled.connect(self._tell)
        self.more.toggled.connect(self._show_rows)
        self.choose_folder.clicked.connect(self._choose_folder)
        for number in self.numbers.values():
            number.valueChanged.connect(self._touch)
            number.refused.connect(self.refused)

    def show_name_note(self, text: str, tone: Tone) -> None:
        """Say something about the name."""
        self.name_note.show_note(text, tone)

    def show_source_note(self, text: str, tone: Tone) -> None:
        """Say something about the patterns; without a text, what the source gives."""
        plain = "" if self.own_folder is not None else DESCRIPTIONS.get(self.source.currentData(), "")
        self.source_note.show_note(text or plain, tone if text else Tone.PLAIN)


def _grid() -> QGridLayout:
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(6)
    grid.setColumnStretch(1, 1)
    return grid


def _box(number: PlanNumber) -> NumberBox:
    box = NumberBox()
    box.setObjectName("stepper")
    box.setDecimals(number.decimals)
    box.setRange(number.low, number.high)
    if number.step:
        box.setSingleStep(number.step)
    else:
        box.step_by_digit()
    box.setSuffix(f" {number.unit}" if number.unit else "")
    box.setKeyboardTracking(False)
    box.describe(number.label, number.unit)
    box.setValue(number.default)
    return box
