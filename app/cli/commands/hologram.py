"""``specklescope hologram``: compute the phase whose far field is an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclopts import Parameter

from app.cli.options import Count, InstrumentOptions
from app.cli.output import console, publish
from drivers.base import SpeckleScopeError

#: Types of file that a hologram is written as.
_SUFFIXES = (".npy", ".png")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class HologramOptions:
    """How the phase is computed.

    Parameters
    ----------
    method
        gs: Gerchberg-Saxton. wgs: weighted Gerchberg-Saxton, more uniform. wgs-kim: weighted with the phase held fixed, for
        spots.
    iterations
        Number of iterations.
    seed
        Seed of the random initial phase.
    """

    method: Literal["gs", "wgs", "wgs-kim"] = "wgs"
    iterations: Count = 30
    seed: int = 0


_OPTIONS, _INSTRUMENT = HologramOptions(), InstrumentOptions()


def hologram(
    target: Path,
    out: Path,
    *,
    options: HologramOptions = _OPTIONS,
    instrument: InstrumentOptions = _INSTRUMENT,
) -> None:
    """Compute the phase whose far field is an image, for the configured SLM.

    Parameters
    ----------
    target
        Image of the wanted intensity. It is centred on the optical axis and not enlarged; one pixel is one diffraction-limited
        spot.
    out
        File to write: .npy for the phase in radians (float32), .png for the grey levels of the SLM.
    """
    from acquisition.archive.atomic_files import save_array, write_image
    from acquisition.holograms.gerchberg_saxton import IterationSettings, gerchberg_saxton
    from acquisition.holograms.target_picture import target_amplitude
    from app.instrument.devices import panel_of
    from drivers.base import Pattern

    panel = panel_of(instrument.settings())
    amplitude, notes = target_amplitude(target, panel.pattern_shape)
    if out.suffix not in _SUFFIXES:
        raise SpeckleScopeError(f"cannot write {out}: a hologram is .npy (radians) or .png (grey levels); choose one of them")
    with console.status("computing"):
        settings = IterationSettings(method=options.method, seed=options.seed)
        result = gerchberg_saxton(amplitude, iterations=options.iterations, settings=settings)
    remedy = "choose another folder, or free space on its disk"
    if out.suffix == ".npy":
        save_array(out, result.phase_rad, remedy)
    else:
        write_image(out, panel.grey(Pattern(result.phase_rad, target.name)), remedy)
    numbers = {"file": str(out), "efficiency": result.efficiency, "uniformity": result.uniformity}
    numbers |= {"notes": list(notes)} if notes else {}
    publish("hologram", numbers, instrument.json)
