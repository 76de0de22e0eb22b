"""Which calibrations an instrument uses, as recordings and datasets say it.

What a calibration has changed when it was applied, and what was set before, lies in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.instrument.config import InstrumentConfig
from calibration.stored import FILE, CalibrationError, facts_of
from drivers.limits import check_inside
from drivers.safe_text import dump_yaml, read_yaml

#: Key of the response of the fibre, beside those of ``calibrations``.
RESPONSE = "response"
#: The file that says what a calibration has changed.
APPLIED = "applied.yaml"


@dataclass(frozen=True)
class AppliedSettings:
    """The settings that a calibration has changed, by their place in the instrument file, such as ``screen.settle_s``.

    Parameters
    ----------
    before, after : mapping
        Plain values; None where it was not stated.
    """

    before: Mapping[str, object]
    after: Mapping[str, object]

    def text(self) -> str:
        """Return it as the text of a file."""
        return dump_yaml({"before": dict(self.before), "after": dict(self.after)})


def applied_folders(config: InstrumentConfig) -> dict[str, Path]:
    """Return the folder of each calibration in use, by the name that ``specklescope calibrate`` has for it.

    A look-up table that was named by hand counts where it lies in the folder of its calibration.
    """
    folders = {name: getattr(config.calibrations, name) for name in type(config.calibrations).model_fields}
    folders[RESPONSE] = config.response
    if config.panel.lut_file and not config.on_twin:
        folder = Path(config.panel.lut_file).parent
        folders["lut"] = folder if (folder / FILE).is_file() else None
    return {name: folder for name, folder in folders.items() if folder is not None}


def applied_facts(config: InstrumentConfig) -> dict[str, dict[str, object]]:
    """Return what the metadata of a recording or a dataset say about each calibration in use.

    Returns
    -------
    dict
        By the name of the calibration: its ``folder``, when it was ``measured_utc``, and the ``sha256`` of its description; or
        its ``folder`` and the ``problem``, where it cannot be read any more. ``changed_since`` lists settings that have other
        values now than when it was applied.
    """
    facts = {name: _facts(folder) for name, folder in applied_folders(config).items()}
    for name, folder in applied_folders(config).items():
        changed = changed_since(folder, config)
        if changed:
            facts[name]["changed_since"] = list(changed)
    return facts


def changed_since(folder: Path, config: InstrumentConfig) -> tuple[str, ...]:
    """Return the settings that have other values now than when a calibration was applied; empty where nothing tells."""
    try:
        after = read_applied(folder).after
        values = config.model_dump(mode="json")
        return tuple(key for key, value in after.items() if setting(values, key) != value)
    except (FileNotFoundError, CalibrationError, KeyError, TypeError):
        return ()


def read_applied(folder: Path) -> AppliedSettings:
    """Read what a calibration has changed when it was applied.

    Raises
    ------
    FileNotFoundError
        Nothing tells; it was applied by hand.
    CalibrationError
        The file cannot be read.
    """
    try:
        check_inside(folder, [APPLIED])
        content = read_yaml(folder / APPLIED)
        return AppliedSettings(_mapping(content["before"]), _mapping(content["after"]))
    except FileNotFoundError:
        raise
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise CalibrationError(f"{folder / APPLIED} cannot be read ({' '.join(str(error).split())}); restore it") from error


def setting(values: Mapping[str, Any], key: str) -> object:
    """Return a value by its place in the instrument file; raises KeyError or TypeError where there is none."""
    value: Any = values
    for part in key.split("."):
        value = value[part]
    return value


def _mapping(values: object) -> Mapping[str, object]:
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise TypeError(f"{values!r} is no mapping of settings")
    return values


def _facts(folder: Path) -> dict[str, object]:
    try:
        facts = facts_of(folder)
    except CalibrationError as error:
        return {"folder": str(folder), "problem": str(error)}
    return {"folder": str(folder), "measured_utc": facts.made_utc, "sha256": facts.sha256}
