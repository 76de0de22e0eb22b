"""``specklescope reconstruct``: the phase of one frame, from a few reference pairs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from acquisition.archive.atomic_files import save_array
from acquisition.archive.folder import sole_writer
from app.cli.options import Json, Positive
from app.cli.output import publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.exchange.reference_pairs import ReferencePairs
    from calibration.registration.affine import Registration


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReconstructionOptions:
    """What the frame is reconstructed from, and how.

    Parameters
    ----------
    references
        Folder of at least 2 pairs in the published layout: input/ and label/ with PNGs of the same names. If the label of the
        frame is among them, it is never read.
    method
        few-pair: the most probable phase, in seconds. fast: integrated displacements of the speckle, in a tenth of a second.
    out
        New .npy file: float32 radians on the pixel grid of the camera. The mean is a guess, because speckle does not depend on
        it.
    phase_range_rad
        Phase of label grey 255 in radians. [default: that in the folder's metadata.yaml, else 2.6]
    registration
        Folder of a stored registration. [default: the labels are registered from the reference pairs]
    """

    references: Path
    method: Literal["few-pair", "fast"] = "few-pair"
    out: Path = Path("phase.npy")
    phase_range_rad: Positive | None = None
    registration: Path | None = None


def reconstruct(frame: Path, *, options: ReconstructionOptions, json: Json = None) -> None:
    """Reconstruct the phase of one frame from a few reference pairs of the same session, without training.

    Parameters
    ----------
    frame
        The camera frame, a grey PNG.
    """
    if options.out.suffix != ".npy":
        raise SpeckleScopeError(f"--out writes a NumPy array, got '{options.out}'; let the name end in .npy")
    with sole_writer(options.out):
        if options.out.exists():
            raise SpeckleScopeError(f"{options.out} exists; choose another name for --out")
        numbers = _reconstructed(frame, options)
    publish("reconstruction", numbers, json)


def _reconstructed(frame: Path, options: ReconstructionOptions) -> dict[str, object]:
    """Reconstruct the phase, write it, and return the numbers to show."""
    import numpy as np

    from acquisition.exchange.import_folder import stated_phase_range_rad
    from acquisition.exchange.reference_pairs import read_frame, read_references
    from reconstruction.few_pair.few_pair import PUBLISHED_PHASE_RANGE_RAD, FewPair

    pixels = read_frame(frame)
    phase_range_rad = options.phase_range_rad or stated_phase_range_rad(options.references) or PUBLISHED_PHASE_RANGE_RAD
    pairs = read_references(options.references, phase_range_rad, frame, pixels)
    start = time.perf_counter()
    registration = _registration(options.registration, pairs)
    solver = FewPair(pairs.frames, [registration.warp(phase, fill=None) for phase in pairs.phases_rad])
    solve = {"few-pair": solver.reconstruct, "fast": solver.fast_estimate}[options.method]
    phase_rad = solve(pixels)
    seconds = time.perf_counter() - start
    save_array(options.out, phase_rad, "choose another file for --out")
    return {
        "phase": options.out,
        "method": options.method,
        "references": list(pairs.names),
        "skipped": list(pairs.skipped),
        "phase_range_rad": phase_range_rad,
        "scale": registration.scale,
        "rotation_deg": registration.rotation_deg,
        "label_correlation": registration.correlation,
        "peak_to_valley_rad": float(np.ptp(phase_rad)),
        "seconds": seconds,
    }


def _registration(folder: Path | None, pairs: ReferencePairs) -> Registration:
    from calibration.registration.affine import KIND, Registration
    from calibration.registration.from_pairs import register_pairs
    from calibration.stored import load

    return Registration.from_stored(load(folder, KIND)) if folder else register_pairs(pairs.frames, pairs.phases_rad)
