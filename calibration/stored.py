"""Read and write calibrations on disk, each with its date and the devices that it was measured on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray

from acquisition.archive.atomic_files import array_bytes, write_together
from acquisition.archive.old_names import with_present_names
from acquisition.capture.pair_capture import Rig
from drivers.base import SpeckleScopeError
from drivers.limits import LimitError, check_inside
from drivers.manifest import sha256_of, values_sha256
from drivers.safe_arrays import load_npy
from drivers.safe_text import dump_yaml, read_handwritten_yaml

FILE = "calibration.yaml"
#: Keys of the SHA-256 of every array's file, and of everything else in the description.
_ARRAYS_SHA256, _SHA256 = "arrays_sha256", "sha256"
_ARRAY_NAME = re.compile(r"\w{1,64}")
#: Values of calibrations that version 0.1.0 wrote under other names: old name, present name.
_OLD_VALUES = {
    "range_rad": "slm_range_rad",
    "unexplained": "residual_fraction",
    "judged": "evaluated_pixels",
    "depth_scale": "phase_scale",
    "depth_scale_sd": "phase_scale_sd",
    "spread": "bandwidth",
    "floor": "repeatability",
    "floor_sd": "repeatability_sd",
}


class CalibrationError(SpeckleScopeError):
    """A calibration failed, is damaged, or does not belong to this instrument. The message contains the measured value."""


@dataclass(frozen=True)
class Stored:
    """A calibration as it is stored on disk.

    Parameters
    ----------
    kind : str
        Kind of calibration, such as ``phase LUT``.
    devices : mapping of str to str
        The devices for which the calibration is valid, see :func:`devices_of`.
    values : mapping
        Plain numbers and texts.
    arrays : mapping of str to ndarray
        Each array becomes one ``.npy`` file.
    made_utc : str
        Date and time of the measurement, ISO 8601.
    """

    kind: str
    devices: Mapping[str, str]
    values: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    made_utc: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def age_days(self) -> float:
        """Time since the measurement, in days."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.made_utc)).total_seconds() / 86_400


@dataclass(frozen=True, kw_only=True)
class StoredFacts:
    """What a calibration is, without its arrays.

    Parameters
    ----------
    kind : str
        Kind of calibration.
    made_utc : str
        Date and time of the measurement, ISO 8601.
    sha256 : str
        Check sum of the description, which holds those of the arrays; empty in calibrations of version 0.1.0.
    """

    kind: str
    made_utc: str
    sha256: str


def devices_of(rig: Rig) -> dict[str, str]:
    """Return a text for each device of a rig that identifies it."""
    camera, slm = rig.camera.capabilities, rig.display().capabilities
    return {
        "camera": f"{camera.model} {camera.serial}, {camera.shape[1]} x {camera.shape[0]} px, {rig.camera.bit_depth} bit",
        "slm": f"{slm.model} {slm.serial}, {slm.shape[1]} x {slm.shape[0]} px",
    }


def save(stored: Stored, folder: Path) -> Path:
    """Write a calibration into a folder, its description last, and return the folder.

    Raises
    ------
    CalibrationError
        The folder or a file cannot be written; an older calibration in the folder is unchanged.
    """
    content: dict[str, Any] = {"kind": stored.kind, "made_utc": stored.made_utc, "devices": dict(stored.devices)}
    content |= {"values": dict(stored.values), "arrays": sorted(stored.arrays)}
    files = {folder / f"{name}.npy": array_bytes(array) for name, array in stored.arrays.items()}
    content[_ARRAYS_SHA256] = {path.stem: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    content[_SHA256] = values_sha256(content)
    files[folder / FILE] = dump_yaml(content).encode("utf-8")
    write_together(files, "check the folder, and free space on its disk", CalibrationError)
    return folder


def _check_sums(folder: Path, content: object) -> None:
    """Raise ValueError if a value or an array of the calibration differs from its SHA-256; older calibrations have none."""
    if not isinstance(content, dict):
        raise TypeError(f"{FILE} holds no mapping")
    stated = content.pop(_SHA256, None)
    digests = content.get(_ARRAYS_SHA256)
    if stated is None and digests is None:
        return
    if stated != values_sha256(content) or not isinstance(digests, dict):
        raise ValueError(
            f"{FILE} differs from its {_SHA256}; if you changed it yourself, delete {_SHA256} and {_ARRAYS_SHA256} there"
        )
    for name in content["arrays"]:
        if digests.get(name) != sha256_of(_array_file(folder, name)):
            raise ValueError(f"{name}.npy differs from its SHA-256 in {FILE}")


def _array_file(folder: Path, name: str) -> Path:
    """Return the file of an array; raises LimitError when its name or a link leads out of the folder."""
    if not _ARRAY_NAME.fullmatch(name):
        raise LimitError(f"array name {name!r} is no plain name; use a copy from a source you trust")
    check_inside(folder, [f"{name}.npy"])
    return folder / f"{name}.npy"


def facts_of(folder: Path) -> StoredFacts:
    """Return what a calibration is. Its arrays are neither read nor checked.

    Raises
    ------
    CalibrationError
        The folder holds no readable calibration.
    """
    try:
        check_inside(folder, [FILE])
        content = read_handwritten_yaml(folder / FILE)
        return StoredFacts(kind=str(content["kind"]), made_utc=str(content["made_utc"]), sha256=str(content.get(_SHA256) or ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> CalibrationError:
    return CalibrationError(f"no readable calibration in {folder} ({' '.join(str(error).split())}); calibrate again")


def load(folder: Path, kind: str, rig: Rig | None = None, max_age_days: float = float("inf")) -> Stored:
    """Read a calibration.

    Raises
    ------
    CalibrationError
        The calibration is missing, damaged, of another kind, of other devices, or older than ``max_age_days``.
    """
    try:
        check_inside(folder, [FILE])
        content = read_handwritten_yaml(folder / FILE)
        _check_sums(folder, content)
        arrays = {name: load_npy(_array_file(folder, name)) for name in content["arrays"]}
        arrays, values = with_present_names(arrays), with_present_names(content["values"], **_OLD_VALUES)
        if not isinstance(values, dict) or not isinstance(content["devices"], dict):
            raise TypeError("its devices or its values are no mapping")
        stored = Stored(str(content["kind"]), content["devices"], values, arrays, content["made_utc"])
        age = stored.age_days
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise _unreadable(folder, error) from error
    if stored.kind != kind:
        raise CalibrationError(f"{folder} holds a calibration of '{stored.kind}', not '{kind}'; choose another folder")
    if age > max_age_days:
        raise CalibrationError(
            f"the calibration in {folder} is {age:.0f} days old, at most {max_age_days:g} are allowed; calibrate again"
        )
    if rig is not None:
        for name, device in devices_of(rig).items():
            if (calibrated := stored.devices.get(name)) != device:
                raise CalibrationError(
                    f"the calibration in {folder} was measured with {name} '{calibrated}', the instrument has '{device}'; "
                    "calibrate again"
                )
    return stored
