"""What a form says of a field is what the configuration takes: both ends of every range are accepted."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_origin, get_type_hints

import pytest

from app.instrument.config import InstrumentConfig, checked
from app.instrument.fields import RANGES, FieldRange, field_text, plain_title, title
from drivers.camera_settings import Choices
from drivers.displays.panel import PanelConfig
from drivers.displays.slmpy import SlmPyConfig
from drivers.displays.slmpy_local import SlmPyWindowConfig
from drivers.opencv.camera import OpenCvConfig
from drivers.slmsuite.slm import SlmsuiteSlmConfig
from drivers.twin.camera import SimulatedCameraConfig
from drivers.twin.slm import SimulatedSlmConfig

_SECTIONS = {type(getattr(InstrumentConfig(), name)): name for name in InstrumentConfig.model_fields}
_OF_TWIN: dict[type[Any], str] = {SimulatedCameraConfig: "camera", SimulatedSlmConfig: "slm"}
_CASES = [
    (section, name, value)
    for section, ranges in RANGES.items()
    for name, limits in ranges.items()
    for value in (limits.values if isinstance(limits, Choices) else (limits.low, limits.high))
]
#: Values that fit only together with another field.
_WITH: dict[tuple[type[Any], str], dict[str, object]] = {
    (OpenCvConfig, "width"): {"height": 100},
    (OpenCvConfig, "height"): {"width": 100},
    (OpenCvConfig, "lost_after_s"): {"exposure_s": 0.01},
    **{(slm, "refresh_hz"): {"latency_s": 10.0} for slm in (SlmPyConfig, SlmPyWindowConfig, SlmsuiteSlmConfig)},
    **{(slm, "latency_s"): {"refresh_hz": 10000.0} for slm in (SlmPyConfig, SlmPyWindowConfig, SlmsuiteSlmConfig)},
    (PanelConfig, "pattern_shape"): {"shape": [16384, 16384]},
    (PanelConfig, "offset_px"): {"shape": [16384, 16384], "pattern_shape": [0, 0]},
}


@pytest.mark.parametrize(("section", "name", "value"), _CASES)
def test_the_ends_of_a_range_are_accepted(section: type[Any], name: str, value: float) -> None:
    hint = get_type_hints(section)[name]
    number: object = round(value) if "int" in str(hint) else float(value)
    others = {} if value == 0 else _WITH.get((section, name), {})
    if section is PanelConfig and name == "offset_px":
        others, number = {"shape": [16384, 16384], "pattern_shape": [1, 1]}, round(value * 0.999)
    if section is PanelConfig and name == "zoom":
        others = {"shape": [1080, 1920]}
    if name == "exposure_range_s" and value > 1:
        others = {"exposure_s": 0.01}
    content: dict[str, object] = {**others, name: [number, number] if get_origin(hint) is tuple else number}
    config = checked({_SECTIONS[section]: content} if section in _SECTIONS else {"twin": {_OF_TWIN[section]: content}}, "test")
    place = getattr(config, _SECTIONS[section]) if section in _SECTIONS else getattr(config.twin, _OF_TWIN[section])
    entered = getattr(place, name)
    assert entered == ((number, number) if get_origin(hint) is tuple else number)


def test_every_number_of_a_device_has_a_range() -> None:
    missing = [
        f"{section.__name__}.{field.name}"
        for section in RANGES
        for field in fields(section)
        if get_type_hints(section)[field.name] in (int, float) and field.name not in RANGES[section]
    ]
    assert not missing


def test_a_value_is_shown_with_its_unit() -> None:
    config = InstrumentConfig()
    assert field_text(config.basler, "exposure_s") == "10 ms"
    assert field_text(config.panel, "shape") == "1080, 1920 px"
    assert field_text(config.opencv, "loop") == "yes"
    assert field_text(config.panel, "lut_file") == "\N{EN DASH}"


def test_ranges_and_labels_are_for_people() -> None:
    assert FieldRange(low=1e-6, high=100.0, unit="ms", scale=1e3, decimals=3).text == "0.001 to 100000 ms"
    assert (title("exposure_s"), plain_title("exposure_s")) == ("Exposure (s)", "Exposure")
    assert (title("lut_file"), plain_title("lut_file")) == ("LUT file", "LUT file")
