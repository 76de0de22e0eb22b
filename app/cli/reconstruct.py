"""The command that turns one frame into its phase."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from acquisition.archive.atomic_files import save_array
from app.cli.options import Json
from app.cli.output import publish
from drivers.base import SpeckleScopeError


def reconstruct(
    frame: Path,
    *,
    references: Path,
    method: Literal["few-pair", "fast"] = "few-pair",
    out: Path = Path("phase.npy"),
    phase_range_rad: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    registration: Path | None = None,
    json: Json = None,
) -> None:
    """Reconstruct the phase of one frame from a handful of reference pairs of its session, with no training.

    Parameters
    ----------
    frame
        The camera's frame, a grey PNG.
    references
        Folder of at least 2 pairs in the published layout: input/ and label/ with PNGs of the same names. The frame's own
        label, if it lies there, is never read.
    method
        few-pair: the most probable phase, in seconds. fast: displacements of the speckle, integrated, in a tenth of one.
    out
        New .npy file: float32 radians on the camera's pixel grid. The mean level is a guess, speckle does not tell it.
    phase_range_rad
        Phase of label grey 255; without it what the folder's metadata.yaml says, else 2.6, the published captures' own.
    registration
        Folder of a stored registration; without it the labels are registered from the references themselves.
    """
    import numpy as np

    from acquisition.exchange.import_folder import stated_phase_range_rad
    from acquisition.exchange.reference_pairs import read_frame, read_references
    from calibration.registration.affine import KIND, Registration
    from calibration.registration.from_pairs import register_pairs
    from calibration.stored import load
    from reconstruction.few_pair.few_pair import PUBLISHED_PHASE_RANGE_RAD, FewPair

    if out.suffix != ".npy":
        raise SpeckleScopeError(f"--out writes a NumPy array, got '{out}'; let the name end in .npy")
    if out.exists():
        raise SpeckleScopeError(f"{out} exists; choose another name for --out")
    pixels = read_frame(frame)
    depth = phase_range_rad or stated_phase_range_rad(references) or PUBLISHED_PHASE_RANGE_RAD
    pairs = read_references(references, depth, frame, pixels)
    start = time.perf_counter()
    if registration is not None:
        placed = Registration.from_stored(load(registration, KIND))
    else:
        placed = register_pairs(pairs.frames, pairs.phases_rad)
    solver = FewPair(pairs.frames, [placed.warp(phase, fill=None) for phase in pairs.phases_rad])
    phase = solver.reconstruct(pixels) if method == "few-pair" else solver.fast_estimate(pixels)
    seconds = time.perf_counter() - start
    save_array(out, phase, "choose another file for --out")
    numbers = {
        "phase": out,
        "method": method,
        "references": list(pairs.names),
        "skipped": list(pairs.skipped),
        "phase_range_rad": depth,
        "scale": placed.scale,
        "rotation_deg": placed.rotation_deg,
        "label_correlation": placed.correlation,
        "peak_to_valley_rad": float(np.ptp(phase)),
        "seconds": seconds,
    }
    publish("reconstruction", numbers, json)
