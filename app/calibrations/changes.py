"""Applying a calibration: which settings it changes, before and after; and going back to the former ones.

A calibration is applied by writing the instrument file. What was there before is written into the folder of the calibration, so
that it can be put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from acquisition.archive.atomic_files import write_bytes, write_whole
from acquisition.archive.folder import one_line
from app.calibrations.kinds import Calibration
from app.calibrations.storing import LUT_FILE, date_text
from app.calibrations.target import CalibrationTarget
from app.instrument.applied_calibrations import (
    APPLIED,
    RESPONSE,
    AppliedSettings,
    applied_folders,
    read_applied,
    setting,
)
from app.instrument.config import InstrumentConfig, checked, load_config, save_config
from app.instrument.kinds import CameraKind, SlmKind
from calibration.stored import CalibrationError, Stored
from drivers.base import TriggerMode

#: A settling time is set this much longer than measured.
_RESERVE: Final = 1.2
_REMEDY: Final = "choose another folder for the instrument file"
#: Sections of the SLMs whose timing is two times in seconds.
_TIMED: Final = {
    SlmKind.SLMPY: "slmpy",
    SlmKind.SLMPY_WINDOW: "slmpy_window",
    SlmKind.SLMSUITE: "slmsuite_slm",
}
_LABELS: Final = {
    "latency_frames": "SLM latency, refresh periods",
    "latency_s": "SLM latency",
    "settle_s": "SLM settling time",
    "trigger_delay_s": "Camera trigger delay",
    "lut_file": "SLM phase response",
    "assumed_lut_gamma": "Assumed SLM gamma",
    "exposure_s": "Exposure",
    "response": "Fibre response",
}


@dataclass(frozen=True)
class Change:
    """One setting that changes.

    Parameters
    ----------
    key : str
        Its place in the instrument file, such as ``screen.settle_s``.
    before, after : object
        Plain values; None where it is not stated.
    """

    key: str
    before: object
    after: object

    @property
    def label(self) -> str:
        """What the setting is, for people."""
        section, _, name = self.key.rpartition(".")
        return "In use" if section == "calibrations" else _LABELS.get(name, self.key)

    @property
    def texts(self) -> tuple[str, str]:
        """Both values for people, with units."""
        return _text(self.key, self.before), _text(self.key, self.after)


def changes_of(what: Calibration, folder: Path, stored: Stored, config: InstrumentConfig) -> tuple[Change, ...]:
    """Return the settings that a calibration changes when it is applied; empty when all are so already.

    Parameters
    ----------
    what : Calibration
        Its kind.
    folder : Path
        Where it is stored.
    stored : Stored
        Its content.
    config : InstrumentConfig
        The present settings.

    Raises
    ------
    CalibrationError
        A number of the calibration is missing or has a wrong type.
    """
    try:
        wanted = _SETTINGS[what](folder, stored, config)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CalibrationError(f"the calibration in {folder} lacks a number ({error}); measure again") from error
    if what is not Calibration.RESPONSE:
        wanted = {**wanted, f"calibrations.{what}": str(folder)}
    return _changes(config, wanted)


def in_use(what: Calibration, config: InstrumentConfig) -> Path | None:
    """Return the folder of the calibration that was applied last, None if none was."""
    return applied_folders(config).get(RESPONSE if what is Calibration.RESPONSE else what.value)


def apply(changes: Sequence[Change], folder: Path, config: InstrumentConfig, file: Path) -> InstrumentConfig:
    """Write changed settings into an instrument file, and what they were into the folder of the calibration.

    Parameters
    ----------
    changes : sequence of Change
        From :func:`changes_of`.
    folder : Path
        The calibration.
    config : InstrumentConfig
        The present settings.
    file : Path
        The instrument file. What it held is kept beside it, with ``.before`` after its name.

    Raises
    ------
    SpeckleScopeError
        A value is out of its range, or a file cannot be written; the instrument file is unchanged.
    """
    changed = _with(config, {change.key: change.after for change in changes}, file)
    settings = AppliedSettings(
        before={change.key: change.before for change in changes}, after={change.key: change.after for change in changes}
    )
    write_whole(folder / APPLIED, settings.text(), "check the folder of the calibration", CalibrationError)
    _write(changed, file)
    return changed


def changes_back(what: Calibration, config: InstrumentConfig) -> tuple[Change, ...]:
    """Return the changes that put back what was set before the calibration in use was applied.

    Raises
    ------
    CalibrationError
        No calibration of this kind is in use, or nothing tells what was set before.
    """
    folder = in_use(what, config)
    if folder is None:
        raise CalibrationError("no calibration of this kind is in use; there is nothing to go back to")
    try:
        return _changes(config, read_applied(folder).before)
    except FileNotFoundError as error:
        text = "it was applied by hand, so nothing tells what was set before; change the settings on the Rig page"
        raise CalibrationError(text) from error
    except (KeyError, TypeError) as error:
        raise CalibrationError(f"{folder / APPLIED} names no setting of this program ({error}); restore it") from error


def revert(changes: Sequence[Change], config: InstrumentConfig, file: Path) -> InstrumentConfig:
    """Write the former settings into an instrument file; raises as :func:`apply`."""
    changed = _with(config, {change.key: change.after for change in changes}, file)
    _write(changed, file)
    return changed


def _write(config: InstrumentConfig, file: Path) -> None:
    """Write an instrument file; its former content is kept beside it, with its comments."""
    try:
        former = file.read_bytes() if file.exists() else None
    except OSError as error:
        raise CalibrationError(f"cannot read {file}: {one_line(error)}; {_REMEDY}") from error
    if former is not None:
        write_bytes(file.with_name(f"{file.name}.before"), former, _REMEDY)
    save_config(config, file)


def settings_of_file(target: CalibrationTarget) -> InstrumentConfig:
    """Return what the instrument file says now; without a file the present settings. Raises ConfigError for a bad file."""
    file = target.config.file
    return target.config if file is None else load_config(file)


# ---- what each calibration sets


def _timing(folder: Path, stored: Stored, config: InstrumentConfig) -> dict[str, object]:
    values = stored.values
    latency_s, settle_s = float(values["latency_s"]), _up(_RESERVE * float(values["settle_s"]))
    frames = [int(values["latency_frames_least"]), int(values["latency_frames_most"])]
    wanted: dict[str, object] = {}
    if config.slm is SlmKind.SIMULATED:
        wanted = {"twin.slm.latency_frames": frames, "twin.slm.settle_s": settle_s}
    elif config.slm is SlmKind.SCREEN:
        wanted = {"screen.latency_frames": frames[1] + 1, "screen.settle_s": settle_s}
    elif config.slm in _TIMED:
        section = _TIMED[config.slm]
        wanted = {f"{section}.latency_s": _up(latency_s), f"{section}.settle_s": settle_s}
    if config.trigger_mode is TriggerMode.HARDWARE:
        section = "basler" if config.camera is CameraKind.BASLER else "twin.camera"
        wanted[f"{section}.trigger_delay_s"] = settle_s  # a shorter one would be refused
    return wanted


def _lut(folder: Path, stored: Stored, config: InstrumentConfig) -> dict[str, object]:
    phases_rad = np.asarray(stored.arrays["phases_rad"], np.float64)
    if phases_rad.shape != (256,):
        raise ValueError(f"phases_rad has the shape {phases_rad.shape}")
    if config.on_twin:  # its response has one parameter
        return {"twin.slm.assumed_lut_gamma": _nearest_gamma(phases_rad, config.twin.slm.slm_range_rad)}
    return {"panel.lut_file": str(folder / LUT_FILE)}


def _nearest_gamma(phases_rad: np.ndarray, slm_range_rad: float) -> float:
    gammas = np.round(np.geomspace(0.2, 5.0, 3219), 3)
    responses_rad = (np.arange(256) / 255) ** gammas[:, None] * slm_range_rad
    return float(gammas[np.argmin(((responses_rad - phases_rad) ** 2).mean(axis=1))])


def _camera(folder: Path, stored: Stored, config: InstrumentConfig) -> dict[str, object]:
    return {"camera_settings.exposure_s": float(f"{float(stored.values['exposure_s']):.3g}")}


def _nothing(folder: Path, stored: Stored, config: InstrumentConfig) -> dict[str, object]:
    return {}


def _response(folder: Path, stored: Stored, config: InstrumentConfig) -> dict[str, object]:
    return {RESPONSE: str(folder)}


_SETTINGS: Final[Mapping[Calibration, Callable[[Path, Stored, InstrumentConfig], dict[str, object]]]] = {
    Calibration.TIMING: _timing,
    Calibration.LUT: _lut,
    Calibration.CAMERA: _camera,
    Calibration.REGISTRATION: _nothing,
    Calibration.FIBRE: _nothing,
    Calibration.RESPONSE: _response,
}


def _up(seconds: float) -> float:
    """Round up to a tenth of a millisecond."""
    return math.ceil(round(seconds * 1e4, 6)) / 1e4


# ---- settings by their place in the file


def _changes(config: InstrumentConfig, wanted: Mapping[str, object]) -> tuple[Change, ...]:
    values = config.model_dump(mode="json")
    changes = [Change(key, setting(values, key), after) for key, after in wanted.items()]
    return tuple(change for change in changes if change.before != change.after)


def _with(config: InstrumentConfig, wanted: Mapping[str, object], file: Path) -> InstrumentConfig:
    values = config.model_dump(mode="json")
    for key, value in wanted.items():
        *sections, name = key.split(".")
        section: Any = values
        for part in sections:
            section = section[part]
        section[name] = value
    return checked(values, str(file), file)


def _text(key: str, value: object) -> str:
    name = key.rpartition(".")[2]
    if value is None or value == "":
        return "not set"
    if isinstance(value, float):
        return f"{1e3 * value:.4g} ms" if name.endswith("_s") else f"{value:.4g}"
    if isinstance(value, list):
        return " to ".join(map(str, value))
    if isinstance(value, str) and ("/" in value or "\\" in value):
        path = Path(value)
        return f"{path.name} of {date_text(path.parent)}" if path.suffix else date_text(path)
    return str(value)
