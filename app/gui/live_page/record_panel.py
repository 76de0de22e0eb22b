"""How the next recording is made: where, under which name, for how long, which frames; markers while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.widgets.labels import ElidedLabel
from app.gui.widgets.number_box import NumberBox
from app.live.recordings.disk_room import DiskRoom
from app.live.recordings.options import MOST_CREDIT, Credits, RecordingOptions
from app.status import RecordingLength, RecordingState, RecordingStatus

_MOST = 10_000_000
_LONGEST_S = 7 * 24 * 3600.0
_SHORTEST_S = 0.1
_MOST_BEFORE_S = 60.0
#: A choice with an amount beside it fits into the panel: letters of the choice that need room, and width of the amount.
_SHORT_CHOICE = 8
_AMOUNT_PX = 96
_NOTES_PX = 64
_DEFAULT_PATTERN = "{name}"


class Length(Enum):
    """When a recording ends by itself."""

    OPEN = auto()
    SECONDS = auto()
    FRAMES = auto()


class Frames(Enum):
    """Which frames are recorded."""

    ALL = auto()
    NTH = auto()
    TIMED = auto()


class RecordPanel(QWidget):
    """The form of a recording. It emits a signal for every request and decides nothing itself."""

    #: The text of a marker.
    marker_requested = pyqtSignal(str)
    #: Seconds of frames that are to be kept in memory.
    pre_trigger_changed = pyqtSignal(float)
    #: Why a number that was typed is not taken.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.folder = QLineEdit()
        self.choose_folder = QPushButton("Choose…")
        self.pattern = QLineEdit(_DEFAULT_PATTERN)
        self.next_name = ElidedLabel("muted")
        self.room = QLabel()
        self.length = QComboBox()
        self.amount = NumberBox()
        self.frames = QComboBox()
        self.every = NumberBox()
        self.before = NumberBox()
        self.notes = QPlainTextEdit()
        self.tags = QLineEdit()
        self.operator = QLineEdit()
        self.sample = QLineEdit()
        self.licence = QLineEdit()
        self.marker = QLineEdit()
        self.mark = QPushButton("Add marker")
        self._fill()
        layout = QVBoxLayout(self)
        layout.addLayout(self._form())
        layout.addWidget(self.room)
        layout.addStretch(1)
        self.choose_folder.clicked.connect(self._choose_folder)
        self.length.currentIndexChanged.connect(self._show_amounts)
        self.frames.currentIndexChanged.connect(self._show_amounts)
        self.before.valueChanged.connect(self.pre_trigger_changed)
        for number in (self.amount, self.every, self.before):
            number.refused.connect(self.refused)
        self.mark.clicked.connect(self.request_marker)
        self.marker.returnPressed.connect(self.request_marker)
        self._show_amounts()

    def options(self) -> RecordingOptions:
        """Return how to record.

        Raises
        ------
        RecordingOptionsError
            Two entries exclude each other, or a text is too long.
        """
        text = self.folder.text().strip()
        return RecordingOptions(
            length=self._length(),
            before_s=self.before.value(),
            every_nth=round(self.every.value()) if self.frames.currentData() is Frames.NTH else 1,
            every_s=self.every.value() if self.frames.currentData() is Frames.TIMED else None,
            folder=Path(text) if text else None,
            notes=self.notes.toPlainText().strip(),
            tags=tuple(tag.strip() for tag in self.tags.text().split(",") if tag.strip()),
            credits=Credits(**self.credits()),
        )

    def show_recording(self, status: RecordingStatus) -> None:
        """While a recording runs, markers can be added, and nothing of its form can be changed."""
        running = status.state is RecordingState.RECORDING
        for widget in (
            *(self.folder, self.choose_folder, self.pattern, self.length, self.amount, self.frames, self.every),
            *(self.before, self.notes, self.tags, *self._credit_fields().values()),
        ):
            widget.setEnabled(not running)
        for widget in (self.marker, self.mark):
            widget.setEnabled(running)

    def show_next(self, name: str, room: DiskRoom | None) -> None:
        """Show the name of the next recording, and how long the disk lasts."""
        self.next_name.show_text(name)
        self.room.setText(room.text if room is not None else "")

    def request_marker(self) -> None:
        """Ask for a marker with the text that was typed."""
        if self.mark.isEnabled():
            self.marker_requested.emit(self.marker.text().strip())
            self.marker.clear()

    def credits(self) -> dict[str, str]:
        """Return operator, sample and licence; a text is empty where the instrument file's counts."""
        return {name: field.text().strip() for name, field in self._credit_fields().items()}

    def show_credits(self, credits: Mapping[str, object]) -> None:
        """Fill in what :meth:`credits` has returned."""
        for name, field in self._credit_fields().items():
            field.setText(str(credits.get(name, ""))[:MOST_CREDIT])

    def _credit_fields(self) -> dict[str, QLineEdit]:
        return {"operator": self.operator, "sample": self.sample, "licence": self.licence}

    def state(self) -> dict[str, object]:
        """Return what is filled in, as plain data; what belongs to one recording, such as notes, is left out."""
        return {
            "folder": self.folder.text(),
            "pattern": self.pattern.text(),
            "length": self.length.currentData().name,
            "amount": self.amount.value(),
            "frames": self.frames.currentData().name,
            "every": self.every.value(),
            "before_s": self.before.value(),
            "tags": self.tags.text(),
        }

    def restore(self, state: Mapping[str, object]) -> list[str]:
        """Fill in what :meth:`state` has returned; return a sentence for every entry that cannot be used."""
        problems = []
        for key, field in (("folder", self.folder), ("pattern", self.pattern), ("tags", self.tags)):
            if isinstance(text := state.get(key, field.text()), str):
                field.setText(text)
            else:
                problems.append(f"{key} of a recording cannot be {text!r}")
        for key, box in (("length", self.length), ("frames", self.frames)):
            names = [box.itemData(row).name for row in range(box.count())]
            if (name := state.get(key, box.currentData().name)) in names:
                box.setCurrentIndex(names.index(name))
            else:
                problems.append(f"{key} of a recording cannot be {name!r}")
        for key, number in (("amount", self.amount), ("every", self.every), ("before_s", self.before)):
            value = state.get(key, number.value())
            if isinstance(value, int | float) and number.minimum() <= value <= number.maximum():
                number.setValue(value)
            else:
                problems.append(f"{key} of a recording cannot be {value!r}")
        return problems

    def _length(self) -> RecordingLength:
        kind = self.length.currentData()
        if kind is Length.SECONDS:
            return RecordingLength(seconds=self.amount.value())
        if kind is Length.FRAMES:
            return RecordingLength(frames=round(self.amount.value()))
        return RecordingLength()

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Record into this folder", self.folder.text())
        if name:
            self.folder.setText(name)

    def _show_amounts(self) -> None:
        length, frames = self.length.currentData(), self.frames.currentData()
        self.amount.describe("The length", "s" if length is Length.SECONDS else "frames")
        self.every.describe("The interval", "s" if frames is Frames.TIMED else "frames")
        self.amount.setVisible(length is not Length.OPEN)
        self.amount.setSuffix(" s" if length is Length.SECONDS else "")
        self.amount.setDecimals(1 if length is Length.SECONDS else 0)
        self.amount.setMinimum(_SHORTEST_S if length is Length.SECONDS else 1)
        self.every.setVisible(frames is not Frames.ALL)
        self.every.setSuffix(" s" if frames is Frames.TIMED else "")
        self.every.setDecimals(1 if frames is Frames.TIMED else 0)
        self.every.setMinimum(_SHORTEST_S if frames is Frames.TIMED else 1)

    def _fill(self) -> None:
        for kind, text in ((Length.OPEN, "until it is stopped"), (Length.SECONDS, "for"), (Length.FRAMES, "for frames")):
            self.length.addItem(text, kind)
        for choice, text in ((Frames.ALL, "every frame"), (Frames.NTH, "one frame of"), (Frames.TIMED, "one frame every")):
            self.frames.addItem(text, choice)
        for box, amount, most in ((self.length, self.amount, _MOST), (self.frames, self.every, _LONGEST_S)):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(_SHORT_CHOICE)
            amount.setRange(_SHORTEST_S, most)
            amount.setValue(10)
            amount.setFixedWidth(_AMOUNT_PX)
        self.before.setRange(0, _MOST_BEFORE_S)
        self.before.setSuffix(" s before Record")
        self.before.setSpecialValueText("nothing")
        self.before.setKeyboardTracking(False)
        self.before.describe("The time before", "s")
        self.notes.setMaximumHeight(_NOTES_PX)
        self.notes.setTabChangesFocus(True)
        self.folder.setPlaceholderText("the instrument's own folder")
        self.tags.setPlaceholderText("liver, control")
        for credit in self._credit_fields().values():
            credit.setMaxLength(MOST_CREDIT)
            credit.setPlaceholderText("as the instrument file says")
        self.marker.setPlaceholderText("what happens now")
        for widget, name, tip in (
            (self.folder, "Folder", "Where recordings are stored"),
            (self.pattern, "Name pattern", "Name of a recording: {name}, {date}, {time}, {counter} or {counter:03}"),
            (
                self.before,
                "Seconds before",
                "Begin with seconds from before Record was pressed; they are kept in memory",
            ),
            (self.notes, "Notes", "Stored with the recording"),
            (self.tags, "Tags", "Words to look for later, with commas between them"),
            (
                self.operator,
                "Operator",
                "Who measures; stored with the recording and its exports, and remembered",
            ),
            (self.sample, "Sample", "What is measured; stored and remembered likewise"),
            (
                self.licence,
                "Licence",
                "How others may use the data, such as CC-BY-4.0; stored and remembered likewise",
            ),
            (self.marker, "Marker", "Marks this moment of the recording"),
        ):
            widget.setAccessibleName(name)
            widget.setToolTip(tip)

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        form.setVerticalSpacing(6)
        for caption, widgets in (
            ("Folder", (self.folder, self.choose_folder)),
            ("Pattern", (self.pattern,)),
            ("Next", (self.next_name,)),
            ("Length", (self.length, self.amount)),
            ("Frames", (self.frames, self.every)),
            ("Before", (self.before,)),
            ("Notes", (self.notes,)),
            ("Tags", (self.tags,)),
            ("Operator", (self.operator,)),
            ("Sample", (self.sample,)),
            ("Licence", (self.licence,)),
            ("Marker", (self.marker, self.mark)),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget)
            form.addRow(caption, row)
        return form
