"""What was measured: its verdict, what applying it changes, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.calibrations.changes import Change
from app.calibrations.shelf import CalibrationRecord
from app.calibrations.storing import date_text
from app.gui.calibrate_page.card import SIGNS
from app.gui.widgets.icons import IconLabel
from app.gui.widgets.labels import caption_label
from app.gui.widgets.style import set_style


class ResultPanel(QWidget):
    """Shows one record, and emits a signal for every request. It decides nothing itself."""

    #: Another calibration of this kind shall be shown; its folder.
    chosen = pyqtSignal(object)
    apply_clicked = pyqtSignal()
    revert_clicked = pyqtSignal()
    report_clicked = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._folders: tuple[Path, ...] = ()
        self.measurements = QComboBox()
        self.measurements.setAccessibleName("Measurements")
        self.measurements.setToolTip("All measurements of this kind, newest first; older ones are kept")
        self.sign = IconLabel()
        self.verdict = _text("normal")
        self.value = QLabel()
        self.value.setObjectName("heading")
        self.value.setWordWrap(True)
        self.changes = ChangesTable()
        self.apply = _button("Apply", "Write what was measured into the instrument file, and use it everywhere")
        self.revert = _button("Revert", "Put back what was set before the calibration in use was applied")
        self.report = _button("Open report", "Open the page with all numbers, plots and pictures")
        self.why_not = _text("muted")
        head = QHBoxLayout()
        head.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.verdict, 1)
        buttons = QHBoxLayout()
        for button in (self.apply, self.revert, self.report):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(6)
        layout.addWidget(caption_label("Measurement"))
        layout.addWidget(self.measurements)
        layout.addWidget(self.value)
        layout.addLayout(head)
        layout.addWidget(self.changes)
        layout.addLayout(buttons)
        layout.addWidget(self.why_not)
        layout.addStretch(1)
        self.measurements.activated.connect(self._tell_chosen)
        self.apply.clicked.connect(self.apply_clicked)
        self.revert.clicked.connect(self.revert_clicked)
        self.report.clicked.connect(self.report_clicked)

    def show_record(self, record: CalibrationRecord | None, busy: str) -> None:
        """Show a record.

        Parameters
        ----------
        record : CalibrationRecord, optional
            None while nothing is known.
        busy : str
            Why nothing can be applied now; empty when it can.
        """
        with QSignalBlocker(self.measurements):
            self.measurements.clear()
            self._folders = record.folders if record is not None else ()
            for folder in self._folders:
                self.measurements.addItem(f"{date_text(folder)}{_use_text(record, folder)}")
            if record is not None and record.folder in self._folders:
                self.measurements.setCurrentIndex(self._folders.index(record.folder))
        self.measurements.setEnabled(bool(self._folders))
        if not self._folders:
            self.measurements.setPlaceholderText("nothing measured yet")
            self.measurements.setCurrentIndex(-1)
        self._show_verdict(record)
        self.changes.show_changes(record.changes if record is not None else ())
        not_applied = busy or (record.why_not_applied if record is not None else "")
        no_way_back = busy or (record.why_no_way_back if record is not None else "")
        measured = record is not None and record.folder is not None
        self.apply.setEnabled(measured and not not_applied)
        self.revert.setEnabled(measured and not no_way_back)
        self.report.setEnabled(measured)
        applied = record is not None and record.in_use is not None
        reasons = (("Apply", not_applied), ("Revert", no_way_back if applied and not busy else ""))
        self.why_not.setText("\n".join(f"{name}: {reason}" for name, reason in reasons if reason and measured))

    def _show_verdict(self, record: CalibrationRecord | None) -> None:
        if record is None:
            self.sign.show_icon("")
            self.verdict.setText("")
            self.value.hide()
            return
        icon, ink, tone = SIGNS[record.verdict.state]
        self.sign.show_icon(icon, ink)
        state = record.verdict.state
        self.verdict.setText(f"{state[:1].upper()}{state[1:]}: {record.verdict.reason}")
        set_style(self.verdict, "tone", tone)
        self.value.setText(record.value)
        self.value.setVisible(bool(record.value))

    def _tell_chosen(self, index: int) -> None:
        self.chosen.emit(self._folders[index])


class ChangesTable(QTableWidget):
    """What applying a calibration changes: each setting before and after."""

    def __init__(self) -> None:
        super().__init__(0, 3)
        self.setAccessibleName("What Apply changes")
        self.setHorizontalHeaderLabels(["Setting", "Now", "After Apply"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWordWrap(False)
        for policy in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            policy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_changes(self, changes: Sequence[Change]) -> None:
        """Show every setting that changes; without any, nothing."""
        self.setRowCount(len(changes))
        for row, change in enumerate(changes):
            for column, text in enumerate((change.label, *change.texts)):
                item = QTableWidgetItem(text)
                item.setToolTip(f"{change.key}: {change.before} \N{RIGHTWARDS ARROW} {change.after}")
                self.setItem(row, column, item)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        self.resizeRowsToContents()
        self.setFixedHeight(columns.sizeHint().height() + rows.length() + 2 * self.frameWidth())
        self.setVisible(bool(changes))

    def text(self, row: int, column: int) -> str:
        """Return what stands in a cell."""
        item = self.item(row, column)
        return item.text() if item is not None else ""


def _use_text(record: CalibrationRecord | None, folder: Path) -> str:
    if record is None or folder != record.in_use:
        return ""
    return "  (in use, but settings were changed since)" if record.changed_since else "  (in use)"


def _text(tone: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    set_style(label, "tone", tone)
    return label


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
