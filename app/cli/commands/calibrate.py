"""``specklescope calibrate``: measure the instrument."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from acquisition.archive.folder import sole_writer
from app.calibrations.kinds import DEFAULT_LEVELS, Calibration
from app.cli.options import Count, DeviceOptions
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from app.calibrations.measure import Measured
    from app.calibrations.storing import MeasuredOn
    from app.instrument.config import InstrumentConfig


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
        For fibre and response: folder of a stored registration. [default: that of the instrument file, if it names one]
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
    from app.calibrations.storing import LUT_FILE, REPORT, store

    settings = instrument.settings()
    _refuse_others_options(what, options)
    with sole_writer(out):
        if out.exists():
            raise SpeckleScopeError(f"{out} exists; choose a new folder for the calibration")
        measured, on = _measure(what, settings, options)
        numbers = {**measured.numbers, "report": str(out / REPORT)}
        store(what, measured, on, out)
        if what is Calibration.LUT:
            numbers["lut_file"] = str(out / LUT_FILE)
    publish(measured.kind, numbers, instrument.json)


def _refuse_others_options(what: Calibration, options: CalibrationOptions) -> None:
    for name, takers in _TAKEN_BY.items():
        if getattr(options, name) is not None and what not in takers:
            option = f"--{name.replace('_', '-')}"
            raise SpeckleScopeError(f"{option} is for 'calibrate {' and '.join(takers)}', not '{what}'; leave it out")


def _measure(what: Calibration, settings: InstrumentConfig, options: CalibrationOptions) -> tuple[Measured, MeasuredOn]:
    """Open the devices and measure; return the measurement, and what it was measured on."""
    from app.calibrations.measure import MEASURE, Task, stored_registration, stored_response
    from app.calibrations.storing import MeasuredOn
    from app.instrument.opening import open_rig
    from calibration.stored import devices_of

    rig, fibre = open_rig(settings)
    try:
        devices, started_s = devices_of(rig), time.monotonic()
        applied = settings.calibrations.registration if what in _TAKEN_BY["registration"] else None
        folder = options.registration or applied
        registration = stored_registration(folder, rig, fibre) if folder else None
        previous = stored_response(options.previous, rig, fibre) if options.previous else None
        with progress_bars() as report:
            task = Task(
                rig=rig,
                settings=settings,
                report=report,
                levels=options.levels or DEFAULT_LEVELS,
                probe_patterns=options.probe_patterns or 0,
                registration=registration,
                previous=previous,
            )
            measured = MEASURE[what](task)
        return measured, MeasuredOn(devices=devices, fibre=fibre, seconds=time.monotonic() - started_s)
    finally:
        rig.close()
