"""The camera's settings beside the live picture: whatever the camera declares, with its unit and range."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.widgets.formatting import UNKNOWN, duration
from app.gui.widgets.setting_fields import SETTING_LABELS, ChoiceField, NumberField
from drivers.camera_settings import CameraSetting, Choices, RoiRange, SettingName


class CameraPanel(QWidget):
    """Shows the settings that it is given, and emits a signal for every request. It decides nothing itself."""

    #: A SettingName and its new value.
    change_requested = pyqtSignal(object, object)
    auto_exposure_requested = pyqtSignal()
    reference_requested = pyqtSignal()
    region_requested = pyqtSignal()
    #: Why a typed value is not asked for.
    refused = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[SettingName, NumberField | ChoiceField] = {}
        self.auto_exposure = _button("Auto exposure", "Set the exposure so that the brightest pixels reach 80 % of full scale")
        self.draw_region = _button("Draw region", "Draw the part of the frame that the camera reads from now on")
        self.whole = _button("Whole sensor", "Read the whole sensor again")
        self.region = QLabel(UNKNOWN)
        self.new_reference = _button("New reference", "Measure what the fibre shows now as the new reference")
        self.age = QLabel()
        self.age.setObjectName("muted")
        self._region: CameraSetting | None = None
        self._form = QFormLayout()
        self._form.setVerticalSpacing(6)
        self._shown: tuple[SettingName, ...] = ()
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(self.auto_exposure)
        layout.addSpacing(8)
        layout.addLayout(_row(QLabel("Region"), self.region))
        layout.addLayout(_row(self.draw_region, self.whole))
        layout.addSpacing(8)
        layout.addLayout(_row(self.new_reference, self.age))
        layout.addStretch(1)
        self.auto_exposure.clicked.connect(self.auto_exposure_requested)
        self.draw_region.clicked.connect(self.region_requested)
        self.whole.clicked.connect(self._request_whole)
        self.new_reference.clicked.connect(self.reference_requested)

    def show_settings(self, settings: Sequence[CameraSetting]) -> None:
        """Show the settings with their present values; a field that is being edited keeps what was typed."""
        numbers = tuple(setting for setting in settings if not isinstance(setting.limits, RoiRange))
        if tuple(setting.name for setting in numbers) != self._shown:
            self._make_fields(numbers)
        for setting in numbers:
            self.fields[setting.name].show_setting(setting)
        self._region = next((setting for setting in settings if setting.name is SettingName.ROI), None)
        self.region.setText(self._region.text if self._region is not None else UNKNOWN)
        has_exposure = SettingName.EXPOSURE_S in self._shown
        self.auto_exposure.setEnabled(has_exposure)
        for button in (self.draw_region, self.whole):
            button.setEnabled(self._region is not None)

    def show_reference_age(self, age_s: float | None, *, live: bool) -> None:
        """Show how old the reference is; None while there is none."""
        self.age.setText("no reference yet" if age_s is None else f"{duration(age_s)} old")
        self.new_reference.setEnabled(live)

    def _make_fields(self, settings: Sequence[CameraSetting]) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self.fields = {}
        for setting in settings:
            field = ChoiceField(setting) if isinstance(setting.limits, Choices) else NumberField(setting)
            field.changed.connect(self.change_requested)
            if isinstance(field, NumberField):
                field.refused.connect(self.refused)
            self.fields[setting.name] = field
            self._form.addRow(SETTING_LABELS[setting.name], field)
        self._shown = tuple(setting.name for setting in settings)

    def _request_whole(self) -> None:
        if self._region is not None and isinstance(self._region.limits, RoiRange):
            self.change_requested.emit(SettingName.ROI, self._region.limits.whole)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName("small")
    button.setToolTip(tip)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return row
