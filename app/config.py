"""The instrument's configuration: YAML in, checked and typed; unknown keys are errors, not silence."""

from __future__ import annotations

import difflib
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.types import StringConstraints

from acquisition.patterns import DEFAULT_DEPTH_RAD
from drivers.base import SpeckleScopeError
from drivers.optics import OpticsConfig
from drivers.sensor import SensorConfig
from drivers.simulated_camera import FaultConfig, SimulatedCameraConfig
from drivers.simulated_slm import SimulatedSlmConfig
from reconstruction.model import DEFAULT_MODEL

#: What ``camera`` may be: the twin's own driver, or the twin's frames through Basler's pylon and its emulator.
CameraName = Literal["simulated", "basler-emulated"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=60)]


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


class SceneConfig(_Strict):
    """What the twin's SLM plays as the live object: a pattern source, changed every ``period_s`` seconds."""

    source: str = "held-out"
    period_s: float = Field(1.5, gt=0)
    count: int = Field(12, ge=1)
    seed: int = 0


class LiveConfig(_Strict):
    """The live view: engine preference, reference shots and the recorder's queue in frames."""

    engine: str = "auto"
    reference_shots: int = Field(8, ge=1, le=256)
    record_queue: int = Field(64, ge=1)


class InstrumentConfig(_Strict):
    """One instrument."""

    name: Name = "simulated instrument"
    camera: CameraName = "simulated"
    slm: Literal["simulated"] = "simulated"
    twin: TwinConfig = TwinConfig()
    scene: SceneConfig = SceneConfig()
    live: LiveConfig = LiveConfig()
    model: str = DEFAULT_MODEL
    depth_rad: float = Field(DEFAULT_DEPTH_RAD, gt=0)
    archive: Path = Path("archive")


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
    try:
        return InstrumentConfig.model_validate(content)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(error)}") from error


def to_yaml(config: InstrumentConfig) -> str:
    """Return the complete configuration as YAML that :func:`load_config` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _explain(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = difflib.get_close_matches(str(first["loc"][-1]), _known_keys(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else "remove it"
        return f"unknown key '{key}'; {hint}{more}"
    return f"'{key}' = {first['input']!r}: {first['msg']}{more}"


def _known_keys() -> list[str]:
    models: list[type[Any]] = [InstrumentConfig, TwinConfig, SceneConfig, LiveConfig]
    dataclasses = [OpticsConfig, SimulatedSlmConfig, SimulatedCameraConfig, FaultConfig, SensorConfig]
    names = [name for model in models for name in model.model_fields]
    return names + [item.name for cls in dataclasses for item in fields(cls)]
