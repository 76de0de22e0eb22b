"""The camera's settings beside the live picture: whatever the camera declares, with its unit and range."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.widgets.formatting import UNKNOWN, duration
from app.gui.widgets.number_box import NumberBox
from drivers.camera_settings import CameraSetting, Choices, NumberRange, RoiRange, SettingName, SettingValue

_LABELS = {
    SettingName.EXPOSURE_S: "Exposure",
    SettingName.GAIN: "Gain",
    SettingName.FRAME_RATE_HZ: "Frame rate",
    SettingName.ROI: "Region",
    SettingName.BINNING: "Binning",
}
_MS_PER_S = 1e3
_DECIMALS = 3


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
            self._form.addRow(_LABELS[setting.name], field)
        self._shown = tuple(setting.name for setting in settings)

    def _request_whole(self) -> None:
        if self._region is not None and isinstance(self._region.limits, RoiRange):
            self.change_requested.emit(SettingName.ROI, self._region.limits.whole)


class NumberField(NumberBox):
    """A setting that is a number; exposure times are shown in milliseconds. What the camera does not take is refused."""

    changed = pyqtSignal(object, object)

    def __init__(self, setting: CameraSetting) -> None:
        super().__init__()
        self._name = setting.name
        unit = "ms" if setting.unit == "s" else setting.unit
        self._scale = _MS_PER_S if setting.unit == "s" else 1.0
        self._limits = NumberRange(self.minimum(), self.maximum())
        self.setDecimals(_DECIMALS)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        self.setSuffix(f" {unit}".rstrip())
        self.describe(_LABELS[setting.name], unit)
        self.setAccessibleName(_LABELS[setting.name])
        self.show_setting(setting)
        self.valueChanged.connect(self._tell)

    def show_setting(self, setting: CameraSetting) -> None:
        """Show the present value, unless another one is being typed."""
        if self.hasFocus() or not isinstance(setting.limits, NumberRange) or not isinstance(setting.value, int | float):
            return
        limits = setting.limits
        self._limits = NumberRange(limits.low * self._scale, limits.high * self._scale, limits.step * self._scale)
        with QSignalBlocker(self):
            self.setRange(self._limits.low, self._limits.high)
            self.setValue(setting.value * self._scale)
        self.setToolTip(f"This camera takes {self.range_text}")

    def _tell(self, value: float) -> None:
        # The field shows fewer digits than an end of the range may have.
        self.changed.emit(self._name, min(max(value, self._limits.low), self._limits.high) / self._scale)


class ChoiceField(QComboBox):
    """A setting with a few possible values."""

    changed = pyqtSignal(object, object)

    def __init__(self, setting: CameraSetting) -> None:
        super().__init__()
        self._name = setting.name
        self._values: tuple[SettingValue, ...] = ()
        self.setAccessibleName(_LABELS[setting.name])
        self.show_setting(setting)
        self.activated.connect(self._tell)

    def show_setting(self, setting: CameraSetting) -> None:
        """Show the present value."""
        assert isinstance(setting.limits, Choices)
        if setting.limits.values != self._values:
            self._values = setting.limits.values
            self.clear()
            self.addItems([setting.text_of(value) for value in setting.limits.values])
        if setting.value in self._values:
            self.setCurrentIndex(self._values.index(setting.value))

    def _tell(self, index: int) -> None:
        self.changed.emit(self._name, self._values[index])


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
