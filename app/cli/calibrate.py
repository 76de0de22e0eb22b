"""Commands that measure the instrument itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from acquisition.archive.atomic_files import write_whole
from app.cli.options import Camera, Config, Count, Json, Slm, settings_of
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError

#: The file of 256 phases that ``panel: {lut_file: ...}`` recordings, and the page to look at.
LUT_FILE, REPORT = "lut.txt", "report.html"
#: What each option is for; given elsewhere it would silently do nothing.
_OPTION_OF = {
    "--levels": ("lut",),
    "--probe-patterns": ("response",),
    "--registration": ("fibre", "response"),
    "--previous": ("response",),
}


def calibrate(
    what: Literal["lut", "timing", "camera", "registration", "fibre", "response"],
    out: Path,
    *,
    levels: Count | None = None,
    probe_patterns: Count | None = None,
    registration: Annotated[Path | None, Parameter(name="--registration")] = None,
    previous: Annotated[Path | None, Parameter(name="--previous")] = None,
    camera: Camera = None,
    slm: Slm = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Measure the instrument itself; store the result with its date, the devices it holds for, and a report to look at.

    Parameters
    ----------
    what
        lut: the panel's phase for each grey level. timing: when a pattern is light and has settled. camera: gain, noise,
        linearity, bad pixels. registration: where the camera sees each pixel of the pattern. fibre: the reference speckle and
        the fibre's second-order model. response: what every core makes of the light it gets.
    out
        New folder for the result; a lut.txt in it is what 'panel: {lut_file: ...}' takes.
    levels
        For lut: grey levels to measure, at least 16; 64 unless said otherwise.
    probes
        For response: patterns to show; 64 unless said otherwise, 8 with --previous.
    registration
        For fibre and response: folder of a stored registration.
    previous
        For response: folder of an earlier response, of which only the core phases are measured anew.
    """
    from app.calibrations.measure import MEASURE, Task, stored_registration, stored_response
    from app.calibrations.report import document
    from app.instrument.opening import open_rig
    from calibration.stored import Stored, devices_of, save

    settings = settings_of(config, camera=camera, slm=slm)
    given = {"--levels": levels, "--probe-patterns": probe_patterns, "--registration": registration, "--previous": previous}
    for option, kinds in _OPTION_OF.items():
        if given[option] is not None and what not in kinds:
            raise SpeckleScopeError(f"{option} is for 'calibrate {' and '.join(kinds)}', not '{what}'; leave it out")
    if out.exists():
        raise SpeckleScopeError(f"{out} exists; choose a new folder for the calibration")
    rig, fibre = open_rig(settings)
    try:
        devices = devices_of(rig)
        lies = stored_registration(registration, rig, fibre) if registration else None
        earlier = stored_response(previous, rig, fibre) if previous else None
        with progress_bars() as report:
            found = MEASURE[what](
                Task(
                    rig=rig,
                    settings=settings,
                    report=report,
                    levels=levels or 64,
                    probe_patterns=probe_patterns or 0,
                    registration=lies,
                    previous=earlier,
                )
            )
    finally:
        rig.close()
    stored = Stored(found.kind, devices, {**found.more, **found.numbers, "fibre": fibre}, found.arrays)
    save(stored, out)
    write_whole(out / REPORT, document(stored, found.numbers, found.sections), "choose another folder")
    numbers = {**found.numbers, "report": str(out / REPORT)}
    if what == "lut":
        text = "\n".join(f"{phase_rad:.6f}" for phase_rad in found.arrays["phases_rad"]) + "\n"
        write_whole(out / LUT_FILE, text, "choose another folder")
        numbers["lut_file"] = str(out / LUT_FILE)
    publish(found.kind, numbers, json)
