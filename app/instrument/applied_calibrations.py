"""Which calibrations an instrument uses, as recordings and datasets say it."""

from __future__ import annotations

from pathlib import Path

from app.instrument.config import InstrumentConfig
from calibration.stored import CalibrationError, facts_of

#: Key of the response of the fibre, beside those of ``calibrations``.
RESPONSE = "response"


def applied_folders(config: InstrumentConfig) -> dict[str, Path]:
    """Return the folder of each calibration that was applied, by the name that ``specklescope calibrate`` has for it."""
    folders = {name: getattr(config.calibrations, name) for name in type(config.calibrations).model_fields}
    return {name: folder for name, folder in {**folders, RESPONSE: config.response}.items() if folder is not None}


def applied_facts(config: InstrumentConfig) -> dict[str, dict[str, str]]:
    """Return what the metadata of a recording or a dataset say about each calibration that was applied.

    Returns
    -------
    dict
        By the name of the calibration: its ``folder``, when it was ``measured_utc``, and the ``sha256`` of its description; or
        its ``folder`` and the ``problem``, where it cannot be read any more.
    """
    return {name: _facts(folder) for name, folder in applied_folders(config).items()}


def _facts(folder: Path) -> dict[str, str]:
    try:
        facts = facts_of(folder)
    except CalibrationError as error:
        return {"folder": str(folder), "problem": str(error)}
    return {"folder": str(folder), "measured_utc": facts.made_utc, "sha256": facts.sha256}
