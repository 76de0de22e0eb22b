"""Options that several commands share.

Nothing heavy is imported here, nor at the top of any command, so that the help appears at once. Classes that inherit from each
other are all in this module, because cyclopts looks up the types of inherited options in the module of the class.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from app.instrument.kinds import CameraKind, InstrumentName, SlmKind
from reconstruction.sampling import Shown

if TYPE_CHECKING:
    from app.instrument.config import InstrumentConfig

Count = Annotated[int, Parameter(validator=Number(gte=1))]
CountOrZero = Annotated[int, Parameter(validator=Number(gte=0))]
Positive = Annotated[float, Parameter(validator=Number(gt=0))]
Flag = Annotated[bool, Parameter(negative="")]

#: The help shows shared options below those of the command itself.
SHARED = Group("Instrument and output", sort_key=1)

Config = Annotated[
    Path | None,
    Parameter(group=SHARED, help="Instrument file (YAML). Without it, the simulated instrument is used."),
]
Instrument = Annotated[
    InstrumentName | None,
    Parameter(
        group=SHARED, help="An instrument that comes with the program, instead of an instrument file. fibre is the default."
    ),
]
Json = Annotated[Path | None, Parameter(group=SHARED, help="Also write the numbers to this JSON file.")]
TimesFile = Annotated[
    Path | None, Parameter(group=SHARED, help="Also write p50, p95 and p99 of every stage's time to this CSV file.")
]
Model = Annotated[str | None, Parameter(group=SHARED, help="Model: the name of a shipped model, or a model folder.")]
Response = Annotated[
    Path | None,
    Parameter(group=SHARED, help="Folder of the fibre's calibrated response, for models that need it."),
]
_Camera = Annotated[CameraKind | None, Parameter(help="Camera driver, instead of the one in the instrument file.")]
_Slm = Annotated[SlmKind | None, Parameter(help="SLM driver, instead of the one in the instrument file.")]
_CameraSetting = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help="A setting of the camera: exposure_s=0.01, gain=6, frame_rate_hz=50, binning=2 or roi=x,y,width,height; repeat it "
        "for several. The command doctor lists what the camera takes.",
    ),
]
_Archive = Annotated[
    Path | None, Parameter(help="Folder for datasets and recordings, instead of the one in the instrument file.")
]
_Engine = Annotated[str | None, Parameter(help="Engine: auto, openvino, onnxruntime, torch, ..., as in compile.")]
_Steps = Annotated[Count | None, Parameter(help="Steps of a model that draws samples; by default its own number.")]
_Shown = Annotated[
    Shown | None, Parameter(help="What is the phase of a model that draws samples: one sample, or the mean of all.")
]
_SamplesPerFrame = Annotated[
    Count | None,
    Parameter(help="Samples that specdiffusion draws of every frame: with two or more it has a mean and an uncertainty."),
]
_SampleSeed = Annotated[
    CountOrZero | None, Parameter(help="Seed of the noise of a sample: the same seed gives the same picture of a frame.")
]
#: Options whose values stand under ``live`` in an instrument file.
_OF_LIVE = ("engine", "steps", "shown", "samples_per_frame", "sample_seed")


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class InstrumentOptions:
    """The instrument file, and values that replace those in it."""

    config: Config = None
    instrument: Instrument = None
    json: Json = None

    def settings(self) -> InstrumentConfig:
        """Read the instrument file and replace its values by the options that were given.

        Raises
        ------
        ConfigError
            The file cannot be read, or the options contradict each other or the file.
        """
        from app.instrument.config import checked, chosen_file, load_config

        given = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        settings = load_config(chosen_file(given.pop("config", None), given.pop("instrument", None)))
        given.pop("json", None)
        if live := {name: given.pop(name) for name in _OF_LIVE if name in given}:
            given["live"] = {**settings.live.model_dump(), **live}
        if texts := given.pop("camera_setting", None):
            given["camera_settings"] = {**settings.camera_settings.model_dump(), **_camera_settings(texts)}
        return checked(dict(settings) | given, "the options", settings.read_from)


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class ArchiveOptions(InstrumentOptions):
    """Where new datasets are written."""

    archive: _Archive = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class ModelOptions(InstrumentOptions):
    """Which model is used."""

    model: Model = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class ScoredModelOptions(ModelOptions):
    """Which model is scored, and the calibrated response that it may need."""

    response: Response = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class ResponseOptions(InstrumentOptions):
    """Which calibrated response is used."""

    response: Response = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class TwinOptions(InstrumentOptions):
    """How the twin is seen: directly, or through Basler's pylon."""

    camera: _Camera = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class DeviceOptions(InstrumentOptions):
    """Which devices are opened, and the camera's settings."""

    camera: _Camera = None
    slm: _Slm = None
    camera_setting: _CameraSetting = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class AcquisitionOptions(DeviceOptions):
    """Which devices acquire, and where to."""

    archive: _Archive = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class LiveOptions(DeviceOptions):
    """Which devices, model and engine the live view uses, and how the model draws samples."""

    model: Model = None
    engine: _Engine = None
    steps: _Steps = None
    shown: _Shown = None
    samples_per_frame: _SamplesPerFrame = None
    sample_seed: _SampleSeed = None


@Parameter(name="*", group=SHARED)
@dataclass(frozen=True, kw_only=True)
class RecordingOptions(LiveOptions):
    """What the live view uses, and where it records to."""

    archive: _Archive = None


def _camera_settings(texts: list[str]) -> dict[str, object]:
    """Return the values of settings that are written as ``name=value``.

    Raises
    ------
    ConfigError
        A text is no such pair, or names no setting.
    DeviceError
        A value is no number, or no region.
    """
    from app.instrument.config import ConfigError
    from drivers.camera_settings import SettingName, value_from_text

    values: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in list(SettingName):
            raise ConfigError(f"--camera-setting {text}: give name=value, where name is one of {', '.join(SettingName)}")
        values[name] = value_from_text(SettingName(name), value)
    return values


def has_display() -> bool:
    """Whether a window can be opened."""
    native = platform.system() in ("Windows", "Darwin")
    shown = native or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) and os.environ.get("QT_QPA_PLATFORM", "") not in ("offscreen", "minimal")
