"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from app.instrument.config import CameraName, InstrumentConfig, SlmName, checked, load_config

Config = Annotated[Path | None, Parameter(name="--config", help="Instrument file (YAML); without it the simulated one.")]
Json = Annotated[Path | None, Parameter(name="--json", help="Also write the numbers to this file.")]
Archives = Annotated[
    Path | None, Parameter(name="--archive", help="Folder for datasets and recordings, instead of the configured.")
]
ModelName = Annotated[str | None, Parameter(name="--model", help="Model: a shipped name or a model folder.")]
Camera = Annotated[CameraName | None, Parameter(name="--camera", help="Camera driver, instead of the configured.")]
Slm = Annotated[SlmName | None, Parameter(name="--slm", help="SLM driver, instead of the configured.")]
Response = Annotated[
    Path | None,
    Parameter(name="--response", help="Calibrated response of the fibre, for methods that work through it."),
]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Seconds = Annotated[float, Parameter(validator=Number(gt=0))]


def settings_of(
    path: Path | None,
    archive: Path | None = None,
    model: str | None = None,
    engine: str | None = None,
    camera: CameraName | None = None,
    slm: SlmName | None = None,
    response: Path | None = None,
) -> InstrumentConfig:
    """Read the configuration and lay the options given over it."""
    settings = load_config(path)
    changes: dict[str, object] = {}
    if archive is not None:
        changes["archive"] = archive
    if model is not None:
        changes["model"] = model
    if camera is not None:
        changes["camera"] = camera
    if slm is not None:
        changes["slm"] = slm
    if response is not None:
        changes["response"] = response
    if engine is not None:
        changes["live"] = settings.live.model_copy(update={"engine": engine})
    # Checked again: options may contradict each other, or the file.
    return checked(dict(settings) | changes, "the options")


def has_display() -> bool:
    """Whether a window can be opened."""
    native = platform.system() in ("Windows", "Darwin")
    shown = native or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) and os.environ.get("QT_QPA_PLATFORM", "") not in ("offscreen", "minimal")
