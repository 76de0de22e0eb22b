"""The settings of a camera that an operator may change, in one list: exposure, gain, frame rate, region of interest, binning.

A driver declares them with two methods (:class:`AdjustableCamera`). Window, command line, instrument file, metadata and the
contract tests read this list and nothing else. A camera of an older driver has neither method; of such a camera only the
exposure can be changed, which every camera has.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from drivers.base import Camera, DeviceError


class SettingName(enum.StrEnum):
    """What can be set, in the order in which it is shown."""

    #: Exposure time of a frame in seconds.
    EXPOSURE_S = "exposure_s"
    #: Amplification; its unit is the device's own.
    GAIN = "gain"
    #: Largest number of frames per second in free run; a triggered camera follows its triggers.
    FRAME_RATE_HZ = "frame_rate_hz"
    #: The region of the sensor that is read, in pixels of the frame, that is after binning.
    ROI = "roi"
    #: Pixels of the sensor that make one pixel of the frame, along each side. A new binning reads the whole sensor.
    BINNING = "binning"

    @property
    def label(self) -> str:
        """Its name in sentences for people."""
        return {self.EXPOSURE_S: "exposure", self.FRAME_RATE_HZ: "frame rate", self.ROI: "region"}.get(self, self.value)

    @property
    def changes_shape(self) -> bool:
        """Whether frames have another shape, or show another region, afterwards."""
        return self in (SettingName.ROI, SettingName.BINNING)


#: The order in which several settings are written: a binning resets the region, and the rate depends on all others.
WRITING_ORDER = (
    SettingName.BINNING,
    SettingName.ROI,
    SettingName.EXPOSURE_S,
    SettingName.GAIN,
    SettingName.FRAME_RATE_HZ,
)


@dataclass(frozen=True, kw_only=True)
class Roi:
    """A region of interest in pixels of the frame: its upper left corner, and its size.

    Raises
    ------
    ValueError
        The corner is negative, or the size is not positive.
    """

    x: int = 0
    y: int = 0
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.x, self.y) < 0 or min(self.width, self.height) < 1:
            raise ValueError(f"x and y of a region must be 0 or more, width and height 1 or more, got {self}")

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"


SettingValue = float | Roi


@dataclass(frozen=True)
class NumberRange:
    """Numbers from ``low`` to ``high``; with a ``step`` above 0 only ``low``, ``low + step``, and so on."""

    low: float
    high: float
    step: float = 0.0

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.step <= 0 or abs((value - self.low) / self.step - round((value - self.low) / self.step)) < 1e-6

    def __str__(self) -> str:
        steps = f" in steps of {self.step:g}" if self.step not in (0, 1) and self.high > self.low else ""
        return f"{self.low:g} to {self.high:g}{steps}"


@dataclass(frozen=True)
class Choices:
    """A few whole numbers."""

    values: tuple[int, ...]

    def __contains__(self, value: object) -> bool:
        return not isinstance(value, bool) and value in self.values

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


@dataclass(frozen=True, kw_only=True)
class RoiRange:
    """Regions that fit on the sensor: the sizes, whose largest is the whole sensor, and the steps of the corner."""

    width: NumberRange
    height: NumberRange
    x_step: int = 1
    y_step: int = 1

    @property
    def whole(self) -> Roi:
        """The whole sensor."""
        return Roi(width=int(self.width.high), height=int(self.height.high))

    def nearest(self, region: Roi) -> Roi:
        """Return the smallest possible region that holds ``region``, as far as the sensor reaches."""
        x, width = _nearest(region.x, region.width, self.width, self.x_step)
        y, height = _nearest(region.y, region.height, self.height, self.y_step)
        return Roi(x=x, y=y, width=width, height=height)

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, Roi) or value.width not in self.width or value.height not in self.height:
            return False
        fits = value.x + value.width <= self.width.high and value.y + value.height <= self.height.high
        return fits and value.x % self.x_step == 0 and value.y % self.y_step == 0

    def __str__(self) -> str:
        steps = [f"{axis} in steps of {step}" for axis, step in (("x", self.x_step), ("y", self.y_step)) if step > 1]
        inside = f"within {self.width.high:g} x {self.height.high:g} px"
        return ", ".join([f"width {self.width}", f"height {self.height}", *steps, inside])


def _nearest(corner: int, size: int, sizes: NumberRange, corner_step: int) -> tuple[int, int]:
    """Return corner and size of the smallest possible stretch that holds the given one, as far as the sensor reaches."""
    sensor, low, step = int(sizes.high), int(sizes.low), max(int(sizes.step), 1)
    first = min(max(corner, 0), sensor - 1) // corner_step * corner_step
    steps = max(0, -(-(min(corner + size, sensor) - first - low) // step))
    possible = low + min(steps, (sensor - low) // step) * step
    return max(0, min(first, (sensor - possible) // corner_step * corner_step)), possible


@dataclass(frozen=True, kw_only=True)
class CameraSetting:
    """One setting of a camera, as it is now.

    Parameters
    ----------
    name : SettingName
        What it is.
    value : float, int or Roi
        Its present value, as the camera reports it.
    limits : NumberRange, Choices or RoiRange
        What the camera takes, with its other settings as they are.
    unit : str
        Unit of a number: ``s``, ``Hz``, ``dB``, ``px``, or ``factor`` where the device counts its gain without a unit.
    live : bool
        Whether it may change while the camera is armed; if not, disarm the camera first.
    """

    name: SettingName
    value: SettingValue
    limits: NumberRange | Choices | RoiRange
    unit: str = ""
    live: bool = True

    def text_of(self, value: SettingValue) -> str:
        """Return a value with its unit, for people."""
        if isinstance(value, Roi):
            return f"{value.width} x {value.height} px at ({value.x}, {value.y})"
        if self.name is SettingName.BINNING:
            return f"{value} x {value}"
        return f"{value:.6g} {self.unit}".rstrip()

    @property
    def text(self) -> str:
        """The present value with its unit, for people."""
        return self.text_of(self.value)

    @property
    def range_text(self) -> str:
        """What the camera takes, for people."""
        unit = f" {self.unit}" if isinstance(self.limits, NumberRange) and self.unit else ""
        return f"{self.limits}{unit}"

    def __str__(self) -> str:
        when = "" if self.live else "; stops the camera for a moment"
        return f"{self.name}: {self.text} ({self.range_text}{when})"

    def check(self, value: SettingValue) -> None:
        """Raise DeviceError with name, value and range unless the camera takes ``value``."""
        if value in self.limits:
            return
        shown = repr(value) if isinstance(value, bool | str) else self.text_of(value)
        raise DeviceError(f"{self.name} = {shown} is not possible: this camera takes {self.range_text}; change {self.name}")


@runtime_checkable
class AdjustableCamera(Protocol):
    """The two methods of a :class:`drivers.base.Camera` that declares its settings."""

    def settings(self) -> tuple[CameraSetting, ...]:
        """Return its settings with their present values and ranges; only the thread that armed the camera may call this."""

    def change_setting(self, name: SettingName, value: SettingValue) -> None:
        """Change one setting; use :func:`accepted` to refuse what is not possible.

        After a new region or binning ``capabilities.shape`` is that of the next frames.

        Raises
        ------
        DeviceError
            The camera has no such setting, does not take the value, or must be disarmed first. Nothing has changed.
        """


def settings_of(camera: Camera) -> tuple[CameraSetting, ...]:
    """Return the settings of any camera; those of a driver that declares none are its exposure, or nothing if it is fixed."""
    if isinstance(camera, AdjustableCamera):
        return camera.settings()
    return (exposure_setting(camera),) if _has_exposure_range(camera) else ()


def change_setting(camera: Camera, name: SettingName, value: SettingValue) -> CameraSetting:
    """Change one setting of any camera, and return it as the camera then reports it.

    Raises
    ------
    DeviceError
        The camera has no such setting, does not take the value, or must be disarmed first. Nothing has changed.
    """
    if isinstance(camera, AdjustableCamera):
        camera.change_setting(name, value)
    else:
        camera.set_exposure(number(accepted(settings_of(camera), name, value)))
    return find(settings_of(camera), name)


def write_settings(camera: Camera, values: Mapping[SettingName, SettingValue]) -> None:
    """Write several settings to a camera that is not armed, in an order in which they do not undo each other.

    Raises
    ------
    DeviceError
        The camera does not take one of them; those before it have been written.
    """
    for name in WRITING_ORDER:
        if name in values:
            change_setting(camera, name, values[name])


def exposure_setting(camera: Camera) -> CameraSetting:
    """Return the exposure of a camera as a setting; it may change while the camera is armed."""
    limits = NumberRange(*camera.capabilities.exposure_range_s)
    return CameraSetting(name=SettingName.EXPOSURE_S, value=camera.exposure_s, limits=limits, unit="s")


def find(settings: Iterable[CameraSetting], name: SettingName) -> CameraSetting:
    """Return one setting of a list; raises DeviceError when the camera does not have it."""
    settings = tuple(settings)
    for setting in settings:
        if setting.name is name:
            return setting
    known = ", ".join(setting.name for setting in settings) or "none"
    raise DeviceError(f"this camera has no setting {name}; its settings: {known}")


def accepted(settings: Iterable[CameraSetting], name: SettingName, value: SettingValue, *, armed: bool = False) -> SettingValue:
    """Return ``value`` if the camera takes it now.

    Parameters
    ----------
    settings : iterable of CameraSetting
        The camera's settings.
    name : SettingName
        Which one to change.
    value : float, int or Roi
        The value that is wanted.
    armed : bool
        Whether the camera is armed.

    Raises
    ------
    DeviceError
        The camera has no such setting, does not take the value, or must be disarmed first.
    """
    setting = find(settings, name)
    setting.check(value)
    if armed and not setting.live:
        raise DeviceError(f"{name} cannot change while the camera is armed; disarm it first")
    return value


def number(value: SettingValue) -> float:
    """Return a value that is a number; raises DeviceError for a region."""
    if isinstance(value, Roi):
        raise DeviceError(f"a number is needed, got the region {value}")
    return value


def facts(settings: Iterable[CameraSetting]) -> dict[str, object]:
    """Return the values in force as plain types, for metadata: ``{"exposure_s": 0.01, "gain": 6.0, "gain_unit": "dB"}``."""
    plain: dict[str, object] = {}
    for setting in settings:
        plain[setting.name.value] = asdict(setting.value) if isinstance(setting.value, Roi) else setting.value
        if setting.name is SettingName.GAIN:
            plain["gain_unit"] = setting.unit
    return plain


def value_from_text(name: SettingName, text: str) -> SettingValue:
    """Read a value from the command line: a number, or ``x,y,width,height`` for the region.

    Raises
    ------
    DeviceError
        The text is none of these.
    """
    try:
        if name is SettingName.ROI:
            x, y, width, height = (int(part) for part in text.split(","))
            return Roi(x=x, y=y, width=width, height=height)
        return int(text) if name is SettingName.BINNING else float(text)
    except ValueError as error:
        wanted = {SettingName.ROI: "x,y,width,height in pixels", SettingName.BINNING: "a whole number"}.get(name, "a number")
        raise DeviceError(f"{name} = {text!r} is not possible: give {wanted}") from error


def _has_exposure_range(camera: Camera) -> bool:
    low_s, high_s = camera.capabilities.exposure_range_s
    return low_s < high_s
