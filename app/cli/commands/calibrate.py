"""``specklescope calibrate``: measure the instrument."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import Parameter

from acquisition.archive.atomic_files import moved_when_complete, write_whole
from acquisition.archive.folder import sole_writer
from app.cli.options import Count, DeviceOptions
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from app.calibrations.measure import Measured
    from app.instrument.config import InstrumentConfig

#: The file of 256 phases that ``panel: {lut_file: ...}`` takes, and the page with the plots.
LUT_FILE, REPORT = "lut.txt", "report.html"


class Calibration(StrEnum):
    """What can be measured."""

    LUT = "lut"
    TIMING = "timing"
    CAMERA = "camera"
    REGISTRATION = "registration"
    FIBRE = "fibre"
    RESPONSE = "response"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CalibrationOptions:
    """Settings of single calibrations.

    Parameters
    ----------
    levels
        For lut: number of grey levels to measure, at least 16. [default: 64]
    probe_patterns
        For response: number of probe patterns to show. [default: 64, or 8 with --previous]
    registration
        For fibre and response: folder of a stored registration.
    previous
        For response: folder of an earlier response. Only the core phases are measured again.
    """

    levels: Count | None = None
    probe_patterns: Count | None = None
    registration: Path | None = None
    previous: Path | None = None


#: Which calibrations take an option. With any other calibration it would have no effect, so it is refused.
_TAKEN_BY = {
    "levels": (Calibration.LUT,),
    "probe_patterns": (Calibration.RESPONSE,),
    "registration": (Calibration.FIBRE, Calibration.RESPONSE),
    "previous": (Calibration.RESPONSE,),
}
_OPTIONS, _INSTRUMENT = CalibrationOptions(), DeviceOptions()


def calibrate(
    what: Calibration,
    out: Path,
    *,
    options: CalibrationOptions = _OPTIONS,
    instrument: DeviceOptions = _INSTRUMENT,
) -> None:
    """Measure the instrument; store the result with its date, the devices it is valid for, and a report.

    Parameters
    ----------
    what
        lut: phase of the SLM for each grey level. timing: when a new pattern appears and when it has settled. camera: gain,
        noise, linearity and bad pixels. registration: where the camera sees each pixel of the pattern. fibre: reference
        speckle and second-order model of the fibre. response: the complex response of every fibre core.
    out
        New folder for the result. For lut, it holds the lut.txt that 'panel: {lut_file: ...}' takes.
    """
    from app.calibrations.report import document
    from calibration.stored import Stored, save

    settings = instrument.settings()
    _refuse_others_options(what, options)
    with sole_writer(out):
        if out.exists():
            raise SpeckleScopeError(f"{out} exists; choose a new folder for the calibration")
        measured, devices, fibre = _measure(what, settings, options)
        stored = Stored(measured.kind, devices, {**measured.more, **measured.numbers, "fibre": fibre}, measured.arrays)
        numbers = {**measured.numbers, "report": str(out / REPORT)}
        with moved_when_complete(out) as part:
            save(stored, part)
            write_whole(part / REPORT, document(stored, measured.numbers, measured.sections), "choose another folder")
            if what is Calibration.LUT:
                text = "\n".join(f"{phase_rad:.6f}" for phase_rad in measured.arrays["phases_rad"]) + "\n"
                write_whole(part / LUT_FILE, text, "choose another folder")
                numbers["lut_file"] = str(out / LUT_FILE)
    publish(measured.kind, numbers, instrument.json)


def _refuse_others_options(what: Calibration, options: CalibrationOptions) -> None:
    for name, takers in _TAKEN_BY.items():
        if getattr(options, name) is not None and what not in takers:
            option = f"--{name.replace('_', '-')}"
            raise SpeckleScopeError(f"{option} is for 'calibrate {' and '.join(takers)}', not '{what}'; leave it out")


def _measure(
    what: Calibration, settings: InstrumentConfig, options: CalibrationOptions
) -> tuple[Measured, dict[str, Any], str]:
    """Open the devices and measure; return the measurement, the description of the devices, and the fibre's name."""
    from app.calibrations.measure import MEASURE, Task, stored_registration, stored_response
    from app.instrument.opening import open_rig
    from calibration.stored import devices_of

    rig, fibre = open_rig(settings)
    try:
        devices = devices_of(rig)
        registration = stored_registration(options.registration, rig, fibre) if options.registration else None
        previous = stored_response(options.previous, rig, fibre) if options.previous else None
        with progress_bars() as report:
            task = Task(
                rig=rig,
                settings=settings,
                report=report,
                levels=options.levels or 64,
                probe_patterns=options.probe_patterns or 0,
                registration=registration,
                previous=previous,
            )
            return MEASURE[what](task), devices, fibre
    finally:
        rig.close()
