"""Fields for the settings of a camera, whatever it declares: each with its unit and range, and with what the camera refuses."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QAbstractSpinBox, QComboBox

from app.gui.widgets.number_box import NumberBox
from drivers.camera_settings import CameraSetting, Choices, NumberRange, SettingName, SettingValue

#: The settings as labels.
SETTING_LABELS = {
    SettingName.EXPOSURE_S: "Exposure",
    SettingName.GAIN: "Gain",
    SettingName.FRAME_RATE_HZ: "Frame rate",
    SettingName.ROI: "Region",
    SettingName.BINNING: "Binning",
}
_MS_PER_S = 1e3
_DECIMALS = 3


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
        self.describe(SETTING_LABELS[setting.name], unit)
        self.setAccessibleName(SETTING_LABELS[setting.name])
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
        self.setAccessibleName(SETTING_LABELS[setting.name])
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
