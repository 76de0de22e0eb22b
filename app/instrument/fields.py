"""The fields of an instrument file as a form shows them: label, unit, range, and help text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import docstring_parser
from docstring_parser import DocstringStyle

from acquisition.holograms.closed_form import HologramConfig
from drivers.base import BIT_DEPTHS
from drivers.basler.config import BaslerConfig
from drivers.camera_settings import Choices
from drivers.displays.panel import PanelConfig
from drivers.displays.screen import ScreenConfig
from drivers.displays.slmpy import SlmPyConfig
from drivers.displays.slmpy_local import SlmPyWindowConfig
from drivers.opencv.camera import OpenCvConfig
from drivers.slmsuite.camera import SlmsuiteCameraConfig
from drivers.slmsuite.slm import SlmsuiteSlmConfig
from drivers.twin.camera import SimulatedCameraConfig
from drivers.twin.slm import SimulatedSlmConfig

#: Endings of field names that stand for units, longest first, and the unit as it is written.
_UNITS = (
    ("_bytes_per_s", "bytes/s"),
    ("_bytes", "bytes"),
    ("_ticks", "ticks"),
    ("_frames", "frames"),
    ("_rad", "rad"),
    ("_hz", "Hz"),
    ("_db", "dB"),
    ("_px", "px"),
    ("_um", "\N{MICRO SIGN}m"),
    ("_mm", "mm"),
    ("_s", "s"),
)
#: Words of field names that are written in another way.
_WRITTEN = {"slm": "SLM", "lut": "LUT", "fps": "frame rate", "2pi": "for 2 pi"}


@dataclass(frozen=True, kw_only=True)
class FieldRange:
    """The numbers that a field takes, and how they are shown.

    Parameters
    ----------
    low, high : float
        The smallest and the largest number, in the unit of the file.
    unit : str
        Unit that is shown.
    scale : float
        Shown number divided by the number in the file.
    decimals : int
        Digits after the point that are shown.
    """

    low: float
    high: float
    unit: str = ""
    scale: float = 1.0
    decimals: int = 0

    @property
    def text(self) -> str:
        """The range in words: ``0.001 to 100000 ms``."""
        return f"{self.low * self.scale:.10g} to {self.high * self.scale:.10g} {self.unit}".rstrip()


_PIXELS: Final = FieldRange(low=0, high=16384, unit="px")
_EXPOSURE: Final = FieldRange(low=1e-6, high=100.0, unit="ms", scale=1e3, decimals=3)
_SHORT: Final = FieldRange(low=0.0, high=10.0, unit="ms", scale=1e3, decimals=3)
_TIMEOUT: Final = FieldRange(low=0.1, high=600.0, unit="s", decimals=1)
_REFRESH: Final = FieldRange(low=1.0, high=10000.0, unit="Hz", decimals=2)
_LARGE: Final = 2**31 - 1
#: What the fields take that are numbers, by section and name.
RANGES: Final[Mapping[type, Mapping[str, FieldRange | Choices]]] = {
    BaslerConfig: {
        "bit_depth": Choices((8, 10, 12, 14, 16)),
        "exposure_s": _EXPOSURE,
        "gain_db": FieldRange(low=-20.0, high=60.0, unit="dB", decimals=2),
        "width": _PIXELS,
        "height": _PIXELS,
        "offset_x": _PIXELS,
        "offset_y": _PIXELS,
        "packet_size_bytes": FieldRange(low=0, high=65535, unit="bytes"),
        "packet_delay_ticks": FieldRange(low=0, high=_LARGE, unit="ticks"),
        "bandwidth_bytes_per_s": FieldRange(low=0, high=_LARGE, unit="bytes/s"),
        "buffers": FieldRange(low=1, high=10000, unit="frames"),
        "trigger_delay_s": _SHORT,
        "trigger_burst": FieldRange(low=1, high=1000, unit="frames"),
    },
    OpenCvConfig: {
        "exposure_s": FieldRange(low=1e-6, high=4.999, unit="ms", scale=1e3, decimals=3),
        "width": _PIXELS,
        "height": _PIXELS,
        "fps": FieldRange(low=0.0, high=10000.0, unit="Hz", decimals=2),
        "bit_depth": Choices((8,)),
        "lost_after_s": FieldRange(low=0.1, high=600.0, unit="s", decimals=1),
    },
    SlmsuiteCameraConfig: {
        "exposure_s": _EXPOSURE,
        "exposure_range_s": _EXPOSURE,
        "bit_depth": Choices((0, *BIT_DEPTHS)),
        "readout_s": _SHORT,
        "timeout_s": _TIMEOUT,
        "open_timeout_s": _TIMEOUT,
    },
    PanelConfig: {
        "shape": FieldRange(low=1, high=16384, unit="px"),
        "pattern_shape": _PIXELS,
        "zoom": FieldRange(low=1, high=64, unit="px"),
        "offset_px": FieldRange(low=-8192, high=8192, unit="px"),
        "slm_range_rad": FieldRange(low=0.1, high=25.0, unit="rad", decimals=4),
        "gamma": FieldRange(low=0.1, high=10.0, decimals=4),
        "correction_levels_2pi": FieldRange(low=0.0, high=65536.0, unit="levels", decimals=2),
    },
    HologramConfig: {
        "carrier_period_px": FieldRange(low=0.0, high=16384.0, unit="px", decimals=3),
        "carrier_angle_rad": FieldRange(low=-6.2832, high=6.2832, unit="rad", decimals=4),
        "lens_focal_length_mm": FieldRange(low=-1e6, high=1e6, unit="mm", decimals=2),
        "wavelength_um": FieldRange(low=0.1, high=20.0, unit="\N{MICRO SIGN}m", decimals=4),
        "pitch_um": FieldRange(low=0.1, high=1000.0, unit="\N{MICRO SIGN}m", decimals=3),
    },
    ScreenConfig: {
        "latency_frames": FieldRange(low=1, high=100, unit="frames"),
        "settle_s": _SHORT,
        "timeout_s": _TIMEOUT,
    },
    SlmPyConfig: {
        "port": FieldRange(low=1, high=65535),
        "refresh_hz": _REFRESH,
        "latency_s": FieldRange(low=0.001, high=10.0, unit="ms", scale=1e3, decimals=3),
        "settle_s": _SHORT,
        "timeout_s": _TIMEOUT,
    },
    SlmPyWindowConfig: {
        "monitor": FieldRange(low=0, high=31),
        "start_s": _TIMEOUT,
        "refresh_hz": _REFRESH,
        "latency_s": FieldRange(low=0.001, high=10.0, unit="ms", scale=1e3, decimals=3),
        "settle_s": _SHORT,
        "timeout_s": _TIMEOUT,
    },
    SimulatedSlmConfig: {
        "refresh_hz": _REFRESH,
        "latency_frames": FieldRange(low=0, high=100, unit="frames"),
        "time_constant_s": _SHORT,
        "settle_s": _SHORT,
        "slm_range_rad": FieldRange(low=0.1, high=25.0, unit="rad", decimals=4),
        "lut_gamma": FieldRange(low=0.1, high=10.0, decimals=4),
        "assumed_lut_gamma": FieldRange(low=0.1, high=10.0, decimals=4),
        "seed": FieldRange(low=0, high=1e9),
    },
    SimulatedCameraConfig: {
        "bit_depth": Choices((8, 10, 12)),
        "exposure_s": FieldRange(low=20e-6, high=1.0, unit="ms", scale=1e3, decimals=3),
        "readout_s": _SHORT,
        "trigger_delay_s": _SHORT,
        "noise_seed": FieldRange(low=0, high=1e9),
    },
    SlmsuiteSlmConfig: {
        "refresh_hz": _REFRESH,
        "latency_s": FieldRange(low=0.001, high=10.0, unit="ms", scale=1e3, decimals=3),
        "timeout_s": _TIMEOUT,
        "open_timeout_s": _TIMEOUT,
    },
}


def field_text(section: object, name: str) -> str:
    """Return the value of a field with its unit, for people; a field that is empty gives a dash."""
    value, limits = getattr(section, name), range_of(type(section), name)
    if isinstance(limits, FieldRange):
        numbers = value if isinstance(value, tuple) else (value,)
        shown = ", ".join(f"{number * limits.scale:.6g}" for number in numbers)
        return f"{shown} {limits.unit}".rstrip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in ("", None, {}) else "\N{EN DASH}"


def range_of(section: type[Any], name: str) -> FieldRange | Choices | None:
    """Return what a field takes; None where it is no number."""
    return RANGES.get(section, {}).get(name)


def title(name: str) -> str:
    """Return a field's name as a label: ``exposure_s`` becomes ``Exposure (s)``."""
    unit = next((unit for ending, unit in _UNITS if name.endswith(ending)), "")
    return f"{plain_title(name)} ({unit})" if unit else plain_title(name)


def plain_title(name: str) -> str:
    """Return a field's name as a label without its unit: ``exposure_s`` becomes ``Exposure``."""
    ending = next((ending for ending, _ in _UNITS if name.endswith(ending)), "")
    plain = re.sub(r"_+", " ", name.removesuffix(ending))
    plain = " ".join(_WRITTEN.get(word, word) for word in plain.split())
    return plain[:1].upper() + plain[1:]


def described(section: type[object]) -> Mapping[str, str]:
    """Return the description of every parameter in the numpydoc docstring of a class."""
    return _described(inspect.getdoc(section) or "")


@cache
def _described(text: str) -> Mapping[str, str]:
    docstring = docstring_parser.parse(text, DocstringStyle.NUMPYDOC)
    return {
        name: " ".join((parameter.description or "").replace("``", "").split())
        for parameter in docstring.params
        for name in parameter.arg_name.split(", ")
    }
