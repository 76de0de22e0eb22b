"""Commands that measure the instrument itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from app.files import write_whole
from app.options import Camera, Config, Count, Json, Slm, settings_of
from app.terminal import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acquisition.capture import Rig
    from app.config import InstrumentConfig

    #: Kind, numbers and arrays of a calibration.
    Measured = tuple[str, dict[str, Any], dict[str, NDArray[Any]]]

#: The file of 256 phases that ``panel: {lut_file: ...}`` takes.
LUT_FILE = "lut.txt"


def calibrate(
    what: Literal["lut", "timing"],
    out: Path,
    *,
    levels: Count = 64,
    camera: Camera = None,
    slm: Slm = None,
    config: Config = None,
    json: Json = None,
) -> None:
    """Measure the instrument itself, and store the result with its date and the devices it holds for.

    Parameters
    ----------
    what
        lut: the panel's phase for each grey level, through the fibre, with no further optics. timing: when a pattern is light
        and when it has settled, seen by the camera.
    out
        New folder for the result; a lut.txt in it is what 'panel: {lut_file: ...}' takes.
    levels
        For lut: grey levels to measure, at least 16.
    """
    from app.rig import open_rig
    from calibration.stored import Stored, devices_of, save

    settings = settings_of(config, camera=camera, slm=slm)
    if out.exists():
        raise SpeckleScopeError(f"{out} exists; choose a new folder for the calibration")
    rig, fibre = open_rig(settings)
    try:
        devices = devices_of(rig)
        if what == "lut":
            kind, numbers, arrays = _lut(rig, settings, levels)
        else:
            kind, numbers, arrays = _timing(rig)
    finally:
        rig.close()
    save(Stored(kind, devices, {**numbers, "fibre": fibre}, arrays), out)
    if what == "lut":
        text = "\n".join(f"{phase_rad:.6f}" for phase_rad in arrays["phases_rad"]) + "\n"
        write_whole(out / LUT_FILE, text, "choose another folder")
        numbers["lut_file"] = str(out / LUT_FILE)
    publish(kind, numbers, json)


def _lut(rig: Rig, settings: InstrumentConfig, levels: int) -> Measured:
    import numpy as np

    from calibration import lut

    nominal_rad = present_response(settings)
    with progress_bars() as report:
        found = lut.fit(lut.acquire(rig, nominal_rad, levels, lambda done: report("levels", done, levels)))
    change_rad = found.phases_rad - (nominal_rad - nominal_rad[0])
    numbers: dict[str, Any] = {
        "range_rad": float(found.phases_rad[-1]),
        "residual_rad": found.residual_rad,
        "change_rms_rad": float(np.sqrt(np.mean((change_rad - change_rad.mean()) ** 2))),
        "worst_region_rms_rad": float(np.nanmax(found.region_rms_rad)),
    }
    return lut.KIND, numbers, {"phases_rad": found.phases_rad, "region_rms_rad": found.region_rms_rad}


def _timing(rig: Rig) -> Measured:
    from calibration import timing

    steps = 240
    with progress_bars() as report:
        data = timing.acquire(rig, steps, progress=lambda done: report("steps", done, steps))
    found = timing.fit(data)
    least, most = found.latency_frames
    numbers: dict[str, Any] = {
        "latency_frames_least": least,
        "latency_frames_most": most,
        "latency_s": found.latency_s,
        "settle_s": found.settle_s,
        "declared_latency_s": rig.display().capabilities.latency_s,
        "declared_settle_s": rig.display().capabilities.settle_s,
        "suggested_trigger_delay_s": found.trigger_delay_s,
        "unexplained": found.unexplained,
    }
    return timing.KIND, numbers, {"delays_s": data.delays_s, "progress": data.progress}


def present_response(config: InstrumentConfig) -> NDArray[Any]:
    """Return the phase by which the configured driver asks for each grey level now, (256,) in radians."""
    import numpy as np

    from app.devices import panel_of

    if config.on_twin:
        twin = config.twin.slm
        return (np.arange(256) / 255) ** twin.assumed_lut_gamma * twin.range_rad
    return panel_of(config).encoder.lut.phases_rad
