"""Calibrations on disk: a folder of its own for each measurement, so that older ones are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from acquisition.archive.atomic_files import make_folder, moved_when_complete, write_inside, write_whole
from acquisition.archive.folder import one_line, sole_writer
from app.calibrations.figure_file import figure_files
from app.calibrations.kinds import FACTS, Calibration
from app.calibrations.report import document
from calibration.stored import CalibrationError, Stored, load, save

if TYPE_CHECKING:  # it loads torch, which those that only read have no need of
    from app.calibrations.measure import Measured

#: The file of 256 phases that ``panel: {lut_file: ...}`` takes, and the page with the plots.
LUT_FILE, REPORT = "lut.txt", "report.html"
_REMEDY = "choose another folder"
#: Folders are named by date and time, UTC; a number follows where two were made within one second.
_NAME = re.compile(r"(\d{8}-\d{6})(?:_\d+)?")
_TIME = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, kw_only=True)
class MeasuredOn:
    """What a calibration was measured on.

    Parameters
    ----------
    devices : mapping of str to str
        See :func:`calibration.stored.devices_of`.
    fibre : str
        Name of the fibre.
    seconds : float, optional
        How long it took.
    """

    devices: Mapping[str, str]
    fibre: str
    seconds: float | None = None


def store(what: Calibration, measured: Measured, on: MeasuredOn, folder: Path) -> Stored:
    """Write a calibration with its report, plots and pictures into a new folder, completely or not at all.

    Raises
    ------
    SpeckleScopeError
        The folder cannot be written, or exists.
    """
    values = {**measured.more, **measured.numbers, "fibre": on.fibre}
    if on.seconds is not None:
        values["seconds"] = round(on.seconds, 1)
    stored = Stored(measured.kind, on.devices, values, measured.arrays)
    if folder.exists():
        raise CalibrationError(f"{folder} exists; choose a new folder for the calibration")
    try:
        with moved_when_complete(folder) as part:
            save(stored, part)
            write_whole(part / REPORT, document(stored, measured.numbers, measured.sections), _REMEDY)
            for name, content in figure_files(measured.sections).items():
                write_inside(part / name, content)
            if what is Calibration.LUT:
                text = "\n".join(f"{phase_rad:.6f}" for phase_rad in measured.arrays["phases_rad"]) + "\n"
                write_whole(part / LUT_FILE, text, _REMEDY)
    except OSError as error:
        raise CalibrationError(f"cannot write the calibration into {folder}: {one_line(error)}; {_REMEDY}") from error
    return stored


def store_new(what: Calibration, measured: Measured, on: MeasuredOn, root: Path) -> Path:
    """Write a calibration into a new folder below ``root``, named by date and time; return that folder."""
    name = datetime.now(UTC).strftime(_TIME)
    root = root / what
    with sole_writer(root, wait=True):
        try:
            make_folder(root)
        except OSError as error:
            raise CalibrationError(f"cannot write to {root}: {one_line(error)}; {_REMEDY}") from error
        folder = root / name
        number = 1
        while folder.exists():
            number += 1
            folder = root / f"{name}_{number}"
        store(what, measured, on, folder)
    return folder


def folders_of(what: Calibration, root: Path) -> tuple[Path, ...]:
    """Return the folders of one kind below ``root``, newest first; without ``root`` none."""
    try:
        names = [path for path in (root / what).iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return ()
    return tuple(sorted(names, key=_order, reverse=True))


def date_text(folder: Path) -> str:
    """Return when the calibration in a folder was measured, in local time; of a folder with another name, that name."""
    named = _NAME.fullmatch(folder.name)
    if named is None:
        return folder.name
    try:
        made = datetime.strptime(named[1], _TIME).replace(tzinfo=UTC)
    except ValueError:
        return folder.name
    return f"{made.astimezone():%d %b %Y, %H:%M}"


def read(what: Calibration, folder: Path) -> Stored:
    """Read a calibration of any age and of any devices; raises CalibrationError as :func:`calibration.stored.load`."""
    return load(folder, FACTS[what].stored_kind)


def _order(folder: Path) -> tuple[str, int]:
    date, _, number = folder.name.partition("_")
    return date, int(number or 1)
