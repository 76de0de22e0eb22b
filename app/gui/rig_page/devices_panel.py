"""A card for each device: every setting of the camera with its value, unit and range, changed live; and what cannot change."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.rig_page.note import Note, NoteLevel
from app.gui.rig_page.region_field import RegionField
from app.gui.widgets.labels import scrolled
from app.gui.widgets.setting_fields import SETTING_LABELS, ChoiceField, NumberField
from app.gui.widgets.style import GAP_PX
from app.instrument.device_facts import FileSetting, RigFacts
from app.live.slm.content import SlmStatus
from drivers.camera_settings import CameraSetting, Choices, NumberRange, RoiRange, SettingName
from drivers.device_facts import DeviceFact

_FIELD_PX = 220
#: A row below all others, which takes the room that is left.
_LAST_ROW = 1000
_MS_PER_S = 1e3
_NOTHING_OPEN = "No instrument is open. Open one on the tab Instruments to see its devices."
_OF_FILE = ("In the instrument file", "Value", "Possible; counts from the next opening on")
_LIVE = "yes"
_STOPS = "stops the camera for a moment"
_STOPS_TIP = "The camera stops, frames have another shape then, and a new reference is measured"


class DevicesPanel(QWidget):
    """Shows what it is given, and emits a signal for every change that is asked for."""

    #: A SettingName and its new value.
    change_requested = pyqtSignal(object, object)
    set_up_requested = pyqtSignal()
    #: Fields were made; the widget that they are in.
    fields_made = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[SettingName, NumberField | ChoiceField | RegionField] = {}
        self.ranges: dict[SettingName, QLabel] = {}
        self.note = Note("Devices")
        self.camera_note = Note("Settings of the camera")
        self.slm_shows = QLabel()
        self.slm_shows.setTextFormat(Qt.TextFormat.PlainText)
        self.set_up_button = QPushButton("Change in set-up\N{HORIZONTAL ELLIPSIS}")
        self.set_up_button.setToolTip("Facts of an open device cannot be changed; its settings in the instrument file can")
        self.set_up_button.clicked.connect(self.set_up_requested)
        self._settings = QGridLayout()
        self._settings.setHorizontalSpacing(16)
        self._settings.setVerticalSpacing(6)
        self._settings.setColumnStretch(2, 1)
        self._facts = {name: _facts_grid() for name in ("Camera", "SLM", "Trigger", "Fibre and light")}
        self._file_settings = {name: _facts_grid(stretched=2) for name in ("Camera", "SLM")}
        self.cards: dict[str, QFrame] = {}
        self._build()
        self.show_facts(None)

    def show_facts(self, facts: RigFacts | None) -> None:
        """Show the facts of an open instrument; None while none is open."""
        self.note.tell("" if facts is not None else _NOTHING_OPEN)
        shown = facts or RigFacts()
        parts = {"Camera": shown.camera, "SLM": shown.slm, "Trigger": shown.trigger, "Fibre and light": shown.light}
        for name, part in parts.items():
            _fill(self._facts[name], part)
            self.cards[name].setVisible(bool(part))
        for name, settings in (("Camera", shown.camera_file), ("SLM", shown.slm_file)):
            _fill_settings(self._file_settings[name], settings)
        self.set_up_button.setVisible(facts is not None)
        if facts is None:
            self.show_settings(())

    def show_settings(self, settings: Sequence[CameraSetting]) -> None:
        """Show the settings of the camera as they are now; a field that is being edited keeps what was typed."""
        if tuple(setting.name for setting in settings) != tuple(self.fields):
            self._make_fields(settings)
        for setting in settings:
            self.fields[setting.name].show_setting(setting)
            self.ranges[setting.name].setText(_range_text(setting))

    def show_slm(self, status: SlmStatus) -> None:
        """Show what the SLM shows."""
        can = ", ".join(status.kinds)
        self.slm_shows.setText(f"It shows {status.content.text} now. It can show: {can}." if status.kinds else "")

    def refuse(self, reason: str) -> None:
        """Say beside the settings why one was not changed; an empty reason takes the last one away."""
        self.camera_note.tell(reason, NoteLevel.ERROR)

    def _make_fields(self, settings: Sequence[CameraSetting]) -> None:
        while (item := self._settings.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.fields, self.ranges = {}, {}
        if settings:
            for column, text in enumerate(("Setting", "Value", "The camera takes", "May change while live")):
                self._settings.addWidget(_caption(text), 0, column)
        for row, setting in zip(range(1, 2 * len(settings), 2), settings, strict=True):
            field = _field(setting)
            field.changed.connect(self._request)
            if not isinstance(field, ChoiceField):
                field.refused.connect(self.refuse)
            label, limits, live = QLabel(SETTING_LABELS[setting.name]), QLabel(), QLabel(_LIVE if setting.live else _STOPS)
            for sentence in (limits, live):
                sentence.setObjectName("muted")
            live.setToolTip("" if setting.live else _STOPS_TIP)
            self.fields[setting.name], self.ranges[setting.name] = field, limits
            self._settings.addWidget(label, row, 0)
            if isinstance(field, RegionField):  # it is wide: its range stands below it
                self._settings.addWidget(field, row, 1, 1, 2)
                self._settings.addWidget(limits, row + 1, 1, 1, 2)
            else:
                field.setFixedWidth(_FIELD_PX)
                self._settings.addWidget(field, row, 1)
                self._settings.addWidget(limits, row, 2)
            self._settings.addWidget(live, row, 3)
        self.fields_made.emit(self)

    def _request(self, name: object, value: object) -> None:
        self.refuse("")
        self.change_requested.emit(name, value)

    def _build(self) -> None:
        column = QVBoxLayout()
        column.setSpacing(GAP_PX)
        column.addWidget(self.note)
        for name, grid in self._facts.items():
            inside = QVBoxLayout()
            inside.setContentsMargins(14, 10, 14, 12)
            heading = QLabel(name)
            heading.setObjectName("heading")
            inside.addWidget(heading)
            if name == "Camera":
                side_by_side = QHBoxLayout()
                side_by_side.setSpacing(24)
                side_by_side.addLayout(self._settings, 5)
                side_by_side.addLayout(grid, 2)
                inside.addLayout(side_by_side)
                inside.addWidget(self.camera_note)
            else:
                inside.addLayout(grid)
            if name == "SLM":
                inside.addWidget(self.slm_shows)
            if name in self._file_settings:
                inside.addSpacing(4)
                inside.addLayout(self._file_settings[name])
            card = QFrame()
            card.setObjectName("card")
            card.setLayout(inside)
            self.cards[name] = card
        column.addWidget(self.cards["Camera"])
        others = QHBoxLayout()
        others.setSpacing(GAP_PX)
        right = QVBoxLayout()
        right.setSpacing(GAP_PX)
        right.addWidget(self.cards["Trigger"])
        right.addWidget(self.cards["Fibre and light"])
        others.addWidget(self.cards["SLM"], 1)
        others.addLayout(right, 1)
        column.addLayout(others)
        row = QHBoxLayout()
        row.addWidget(self.set_up_button)
        row.addStretch(1)
        column.addLayout(row)
        column.addStretch(1)
        inside_scroll = QWidget()
        inside_scroll.setLayout(column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolled(inside_scroll))


def _field(setting: CameraSetting) -> NumberField | ChoiceField | RegionField:
    if isinstance(setting.limits, RoiRange):
        return RegionField(setting)
    if isinstance(setting.limits, Choices):
        return ChoiceField(setting)
    field = NumberField(setting)
    field.setObjectName("stepper")
    return field


def _range_text(setting: CameraSetting) -> str:
    """Return what the camera takes, with times in milliseconds as in the fields."""
    limits = setting.limits
    if isinstance(limits, NumberRange) and setting.unit == "s":
        return f"{limits.low * _MS_PER_S:g} to {limits.high * _MS_PER_S:g} ms"
    if isinstance(limits, RoiRange) and limits.width == limits.height:
        steps = f"{limits.x_step}" if limits.x_step == limits.y_step else f"{limits.x_step} and {limits.y_step}"
        return f"width and height {limits.width}; left and top in steps of {steps}; all in pixels"
    return setting.range_text


def _facts_grid(stretched: int = 1) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(stretched, 1)
    grid.setRowStretch(_LAST_ROW, 1)
    return grid


def _fill(grid: QGridLayout, facts: Sequence[DeviceFact]) -> None:
    while (item := grid.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
    for row, fact in enumerate(facts):
        value = QLabel(fact.value)
        value.setTextFormat(Qt.TextFormat.PlainText)
        value.setWordWrap(True)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        grid.addWidget(_caption(fact.name), row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(value, row, 1)


def _fill_settings(grid: QGridLayout, settings: Sequence[FileSetting]) -> None:
    """Show the settings of the instrument file: name, value, range."""
    while (item := grid.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
    if settings:
        for column, text in enumerate(_OF_FILE):
            grid.addWidget(_caption(text), 0, column)
    for row, setting in enumerate(settings, 1):
        for column, text in enumerate((setting.label, setting.value, setting.range_text)):
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(column > 1)
            if column != 1:
                label.setObjectName("muted")
            grid.addWidget(label, row, column)


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("muted")
    return label
