"""``specklescope hologram``: compute the phase whose far field is an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from app.cli.options import Count, InstrumentOptions
from app.cli.output import console, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from drivers.displays.panel import Panel

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
    from app.instrument.devices import panel_of
    from drivers.base import Pattern

    panel = panel_of(instrument.settings())
    amplitude, notes = _amplitude(target, panel)
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
    numbers |= {"notes": notes} if notes else {}
    publish("hologram", numbers, instrument.json)


def _amplitude(target: Path, panel: Panel) -> tuple[NDArray[np.float32], list[str]]:
    """Return the amplitude of the target image, centred on a canvas of the panel's pattern, and how it became grey."""
    import numpy as np

    from drivers.pictures import read_picture

    height, width = panel.pattern_shape
    picture = read_picture(target)
    image = picture.pixels
    if image.shape[0] > height or image.shape[1] > width:
        raise SpeckleScopeError(
            f"{target} is {image.shape[0]} x {image.shape[1]} px, the SLM's pattern {height} x {width}; make it smaller"
        )
    if not image.any() or image.min() < 0:
        what = "has negative values" if image.any() else "is black everywhere"
        raise SpeckleScopeError(f"{target} {what}; give an image of the wanted intensity, with bright pixels")
    amplitude = np.zeros((height, width), np.float32)
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    amplitude[top : top + image.shape[0], left : left + image.shape[1]] = np.sqrt(image.astype(np.float32))
    return amplitude, [f"{target.name} is {note}" for note in picture.notes]
