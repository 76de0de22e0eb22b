"""The instrument's configuration: YAML in, checked and typed; unknown keys are errors, not silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.types import StringConstraints

from acquisition.archive.atomic_files import write_whole
from acquisition.archive.old_names import with_present_names
from acquisition.archive.validation import explain
from acquisition.holograms.closed_form import HologramConfig
from acquisition.patterns.sources import DEFAULT_PHASE_RANGE_RAD
from drivers.base import SpeckleScopeError
from drivers.basler.config import BaslerConfig
from drivers.displays.panel import PanelConfig
from drivers.displays.screen import ScreenConfig
from drivers.displays.slmpy import SlmPyConfig
from drivers.displays.slmpy_local import SlmPyWindowConfig
from drivers.opencv.camera import OpenCvConfig
from drivers.slmsuite.camera import SlmsuiteCameraConfig
from drivers.slmsuite.slm import SlmsuiteSlmConfig
from drivers.twin.camera import FaultConfig, SimulatedCameraConfig
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from drivers.twin.slm import SimulatedSlmConfig
from reconstruction.models.model import DEFAULT_MODEL

#: What ``camera`` may be. The first two see the twin: by its own driver, or through Basler's pylon and its emulator.
CameraName = Literal["simulated", "basler-emulated", "basler", "opencv", "slmsuite", "replay"]
#: What ``slm`` may be; ``none`` for looking at tissue, at a video or at a recording.
SlmName = Literal["simulated", "screen", "slmpy", "slmpy-window", "slmsuite", "none"]
_TWIN_CAMERAS = ("simulated", "basler-emulated")
Name = Annotated[str, StringConstraints(min_length=1, max_length=60)]
FibreName = Annotated[str, StringConstraints(max_length=60)]


class ConfigError(SpeckleScopeError):
    """The configuration file is missing, is no YAML, or holds a wrong key or value."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TwinConfig(_Strict):
    """The simulated instrument; each part takes the fields of the driver's own configuration."""

    optics: OpticsConfig = OpticsConfig()
    slm: SimulatedSlmConfig = SimulatedSlmConfig()
    camera: SimulatedCameraConfig = SimulatedCameraConfig()
    faults: FaultConfig = FaultConfig()


class ReplayConfig(_Strict):
    """A recording or dataset as a camera, again and again from its first frame: its folder."""

    path: Path = Path()


class SceneConfig(_Strict):
    """What the SLM plays as the live object: a pattern source, changed every ``period_s`` seconds."""

    source: str = "held-out"
    period_s: float = Field(1.5, gt=0)
    count: int = Field(12, ge=1)
    seed: int = 0


class LiveConfig(_Strict):
    """The live view: engine preference, reference shots, the recorder's queue in frames, and the drift that alarms.

    Speckle of different objects correlates .75 and more with the reference, that of another day's fibre .25.
    """

    engine: str = "auto"
    reference_shots: int = Field(8, ge=1, le=256)
    record_queue: int = Field(64, ge=1)
    drift_threshold: float = Field(0.5, ge=0, le=1)


class InstrumentConfig(_Strict):
    """One instrument: which devices it has, the settings of each kind, and what it looks at.

    Parameters
    ----------
    fibre : str
        Name of the fibre of a real instrument; models and datasets belong to it.
    pixel_um : float
        Camera pixel at the fibre's facet, in micrometres, of a real instrument.
    trigger : {"software", "hardware"}
        What starts an exposure under a pattern: the program, or the SLM's sync output on the camera's line.
    response : Path, optional
        Folder of the fibre's calibrated response, for models that work through it.
    """

    name: Name = "simulated instrument"
    fibre: FibreName = ""
    pixel_um: float = Field(1.0, gt=0)
    camera: CameraName = "simulated"
    slm: SlmName = "simulated"
    trigger: Literal["software", "hardware"] = "software"
    basler: BaslerConfig = BaslerConfig()
    opencv: OpenCvConfig = OpenCvConfig()
    slmsuite_camera: SlmsuiteCameraConfig = SlmsuiteCameraConfig()
    replay: ReplayConfig = ReplayConfig()
    panel: PanelConfig = PanelConfig()
    hologram: HologramConfig = HologramConfig()
    screen: ScreenConfig = ScreenConfig()
    slmpy: SlmPyConfig = SlmPyConfig()
    slmpy_window: SlmPyWindowConfig = SlmPyWindowConfig()
    slmsuite_slm: SlmsuiteSlmConfig = SlmsuiteSlmConfig()
    twin: TwinConfig = TwinConfig()
    scene: SceneConfig = SceneConfig()
    live: LiveConfig = LiveConfig()
    model: str = DEFAULT_MODEL
    response: Path | None = None
    phase_range_rad: float = Field(DEFAULT_PHASE_RANGE_RAD, gt=0)
    archive: Path = Path("archive")

    @property
    def on_twin(self) -> bool:
        """Whether the instrument is simulated."""
        return self.camera in _TWIN_CAMERAS

    @property
    def frame_pixel_um(self) -> float:
        """Camera pixel at the fibre's facet, in micrometres."""
        return self.twin.optics.pixel_um if self.on_twin else self.pixel_um

    @model_validator(mode="after")
    def _devices_see_each_other(self) -> Self:
        if self.on_twin and self.slm != "simulated":
            raise ValueError(f"camera '{self.camera}' sees only the simulated SLM, not '{self.slm}'; set slm: simulated")
        if not self.on_twin and self.slm == "simulated":
            raise ValueError(f"camera '{self.camera}' cannot see the simulated SLM; set slm to screen, slmpy, ... or none")
        if self.trigger == "hardware" and self.camera not in (*_TWIN_CAMERAS, "basler"):
            raise ValueError(f"camera '{self.camera}' has no trigger line; set trigger: software")
        return self


def load_config(path: Path | None) -> InstrumentConfig:
    """Read a configuration file; None gives the simulated instrument.

    Raises
    ------
    ConfigError
        With the key, the value and what was expected; a misspelt key comes with the nearest known one.
    """
    if path is None:
        return InstrumentConfig()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no configuration file {path}; leave --config out for the simulated instrument") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return InstrumentConfig()
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold 'key: value' lines, got {type(content).__name__}")
    return checked(with_present_names(content, range_rad="slm_range_rad"), f"{path}")


def checked(content: Mapping[str, object], origin: str) -> InstrumentConfig:
    """Return the configuration that plain values describe.

    Raises
    ------
    ConfigError
        With ``origin``, the key, the value and what was expected.
    """
    try:
        return InstrumentConfig.model_validate(content)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error, _known_keys())}") from error


def to_yaml(config: InstrumentConfig) -> str:
    """Return the complete configuration as YAML that :func:`load_config` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def save_config(config: InstrumentConfig, path: Path) -> None:
    """Write what differs from the defaults, whole or not at all; :func:`load_config` reads the same configuration back.

    Raises
    ------
    SpeckleScopeError
        The file cannot be written.
    """
    changed = config.model_dump(mode="json", exclude_defaults=True)
    text = "# An instrument of SpeckleScope; what is not named here has its default.\n" + yaml.safe_dump(
        changed, sort_keys=False
    )
    write_whole(path, text, "choose another folder for the instrument file")


def _known_keys() -> list[str]:
    sections: list[type[object]] = [
        InstrumentConfig,
        *(type(getattr(InstrumentConfig(), name)) for name in InstrumentConfig.model_fields),
    ]
    sections += [OpticsConfig, SimulatedSlmConfig, SimulatedCameraConfig, FaultConfig, SensorConfig]
    names: list[str] = []
    for section in sections:
        if isinstance(section, type) and issubclass(section, BaseModel):
            names += section.model_fields
        elif is_dataclass(section):
            names += [item.name for item in fields(section)]
    return names
