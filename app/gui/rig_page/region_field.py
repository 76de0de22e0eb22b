"""The region that a camera reads, as four numbers that are sent together."""

from __future__ import annotations

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui.widgets.number_box import NumberBox
from drivers.camera_settings import CameraSetting, Roi, RoiRange, SettingName

_BOX_PX = 78
_PARTS = {"x": "Left", "y": "Top", "width": "Width", "height": "Height"}


class RegionField(QWidget):
    """Shows the present region; another one is asked for with Apply, and made to fit the steps of the sensor.

    Parameters
    ----------
    setting : CameraSetting
        The region as it is now.
    """

    #: A SettingName and its new value.
    changed = pyqtSignal(object, object)
    #: Why a number was refused.
    refused = pyqtSignal(str)

    def __init__(self, setting: CameraSetting) -> None:
        super().__init__()
        self._setting = setting
        self.parts: dict[str, NumberBox] = {}
        self._edited = False
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for name, label in _PARTS.items():
            box = NumberBox()
            box.setObjectName("stepper")
            box.setDecimals(0)
            box.setMinimumWidth(_BOX_PX)
            box.setKeyboardTracking(False)
            box.setAccessibleName(f"Region: {label.lower()} in pixels")
            box.describe(f"{label} of the region", "px")
            box.valueChanged.connect(self._note_edit)
            box.refused.connect(self.refused)
            caption = QLabel(label)
            caption.setObjectName("muted")
            row.addWidget(caption)
            row.addWidget(box, 1)
            self.parts[name] = box
        self.apply_button = _button("Apply", "Read this region from now on; a new reference is measured then")
        self.whole_button = _button("Whole sensor", "Read the whole sensor from now on")
        for button in (self.apply_button, self.whole_button):
            row.addWidget(button)
        self.apply_button.clicked.connect(self._apply)
        self.whole_button.clicked.connect(self._read_whole)
        self.show_setting(setting)

    def show_setting(self, setting: CameraSetting) -> None:
        """Show the present region, unless another one is being entered."""
        self._setting = setting
        limits, region = setting.limits, setting.value
        if not isinstance(limits, RoiRange) or not isinstance(region, Roi):
            return
        if self._edited and region != self._entered():
            return
        bounds = {
            "x": (0.0, limits.width.high, limits.x_step),
            "y": (0.0, limits.height.high, limits.y_step),
            "width": (limits.width.low, limits.width.high, limits.width.step),
            "height": (limits.height.low, limits.height.high, limits.height.step),
        }
        for name, box in self.parts.items():
            low, high, step = bounds[name]
            with QSignalBlocker(box):
                box.setRange(low, high)
                box.setSingleStep(max(1.0, step))
                box.setValue(getattr(region, name))
            box.setToolTip(f"{box.range_text}, in steps of {max(1.0, step):g}")
        self._edited = False
        self.apply_button.setEnabled(False)

    def _note_edit(self) -> None:
        self._edited = True
        self.apply_button.setEnabled(True)

    def _entered(self) -> Roi:
        return Roi(**{name: round(box.value()) for name, box in self.parts.items()})

    def _apply(self) -> None:
        if isinstance(self._setting.limits, RoiRange):
            self._edited = False
            self.changed.emit(SettingName.ROI, self._setting.limits.nearest(self._entered()))

    def _read_whole(self) -> None:
        if isinstance(self._setting.limits, RoiRange):
            self._edited = False
            self.changed.emit(SettingName.ROI, self._setting.limits.whole)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName("small")
    button.setToolTip(tip)
    return button
