"""Commands that measure the instrument itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from app.options import Camera, Config, Count, Json, Slm, settings_of
from app.terminal import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.config import InstrumentConfig

#: The file of 256 phases that ``panel: {lut_file: ...}`` takes.
LUT_FILE = "lut.txt"


def calibrate(
    what: Literal["lut"],
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
        lut: the panel's phase for each grey level, through the fibre, with no further optics.
    out
        New folder for the result; its lut.txt is what 'panel: {lut_file: ...}' takes.
    levels
        Grey levels to measure, at least 16.
    """
    import numpy as np

    from app.files import write_whole
    from app.rig import open_rig
    from calibration import lut
    from calibration.stored import Stored, devices_of, save

    settings = settings_of(config, camera=camera, slm=slm)
    if out.exists():
        raise SpeckleScopeError(f"{out} exists; choose a new folder for the calibration")
    nominal_rad = present_response(settings)
    rig, fibre = open_rig(settings)
    try:
        with progress_bars() as report:
            data = lut.acquire(rig, nominal_rad, levels, lambda done: report("levels", done, levels))
        devices = devices_of(rig)
    finally:
        rig.close()
    found = lut.fit(data)
    change_rad = found.phases_rad - (nominal_rad - nominal_rad[0])
    numbers: dict[str, Any] = {
        "range_rad": float(found.phases_rad[-1]),
        "residual_rad": found.residual_rad,
        "change_rms_rad": float(np.sqrt(np.mean((change_rad - change_rad.mean()) ** 2))),
        "worst_region_rms_rad": float(np.nanmax(found.region_rms_rad)),
    }
    values = {**numbers, "fibre": fibre}
    save(Stored(lut.KIND, devices, values, {"phases_rad": found.phases_rad, "region_rms_rad": found.region_rms_rad}), out)
    text = "\n".join(f"{phase_rad:.6f}" for phase_rad in found.phases_rad) + "\n"
    write_whole(out / LUT_FILE, text, "choose another folder")
    publish("phase LUT", {**numbers, "lut_file": str(out / LUT_FILE)}, json)


def present_response(config: InstrumentConfig) -> NDArray[Any]:
    """Return the phase by which the configured driver asks for each grey level now, (256,) in radians."""
    import numpy as np

    from app.devices import panel_of

    if config.on_twin:
        twin = config.twin.slm
        return (np.arange(256) / 255) ** twin.assumed_lut_gamma * twin.range_rad
    return panel_of(config).encoder.lut.phases_rad
