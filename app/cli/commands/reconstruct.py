"""``specklescope reconstruct``: the phase of one frame from a few reference pairs, or of a whole recording."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from acquisition.archive.atomic_files import save_array
from acquisition.archive.folder import sole_writer
from app.cli.options import Flag, Json, Positive
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from acquisition.exchange.conversion.grey_files import GreyReader
    from acquisition.exchange.reference_pairs import ReferencePairs
    from calibration.registration.affine import Registration


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReconstructionOptions:
    """What the frame is reconstructed from, and how.

    Parameters
    ----------
    references
        For a frame: folder of at least 2 pairs in the published layout: input/ and label/ with PNGs of the same names. If the
        label of the frame is among them, it is never read.
    method
        For a frame. few-pair: the most probable phase, in seconds. fast: integrated displacements of the speckle, in a tenth
        of a second.
    out
        New .npy file: float32 radians. Of a frame, on the pixel grid of the camera; its mean is a guess, because speckle does
        not depend on it. Of a recording, (frames, height, width) on the grid of the model.
    phase_range_rad
        Phase of label grey 255 in radians. [default: that in the folder's metadata.yaml, else 2.6]
    to_grey
        Take coloured pictures by the mean of their channels, and transparent parts as black.
    registration
        Folder of a stored registration. [default: the labels are registered from the reference pairs]
    model
        For a recording: the name of a shipped model, or a model folder. [default: the model of the recording if it is shipped,
        else the reference pairs that the recording holds]
    reference
        For a recording: the mean speckle of the flat pattern, a picture or .npy file. [default: the one that the recording
        holds]
    response
        For a recording: folder of the fibre's calibrated response, for models that need it. [default: the one that the
        recording holds]
    """

    references: Path | None = None
    method: Literal["few-pair", "fast"] = "few-pair"
    out: Path = Path("phase.npy")
    phase_range_rad: Positive | None = None
    to_grey: Flag = False
    registration: Path | None = None
    model: str | None = None
    reference: Path | None = None
    response: Path | None = None


_OPTIONS = ReconstructionOptions()


def reconstruct(frame: Path, *, options: ReconstructionOptions = _OPTIONS, json: Json = None) -> None:
    """Reconstruct the phase of one frame from a few reference pairs, without training; or that of a recording again.

    Parameters
    ----------
    frame
        The camera frame, a grey PNG, with --references. Or the folder of a recording: it holds its own reference.
    """
    if options.out.suffix != ".npy":
        raise SpeckleScopeError(f"--out writes a NumPy array, got '{options.out}'; let the name end in .npy")
    with sole_writer(options.out):
        if options.out.exists():
            raise SpeckleScopeError(f"{options.out} exists; choose another name for --out")
        numbers = _recording(frame, options) if frame.is_dir() else _reconstructed(frame, options)
    publish("reconstruction", numbers, json)


def _reconstructed(frame: Path, options: ReconstructionOptions) -> dict[str, object]:
    """Reconstruct the phase, write it, and return the numbers to show."""
    import numpy as np

    from acquisition.exchange.conversion.grey_files import GreyReader
    from acquisition.exchange.import_folder import stated_phase_range_rad
    from acquisition.exchange.reference_pairs import read_frame, read_references
    from reconstruction.few_pair.few_pair import PUBLISHED_PHASE_RANGE_RAD, FewPair

    if options.references is None:
        raise SpeckleScopeError(f"{frame} is one frame; give --references, a folder of pairs, or the folder of a recording")
    reader = GreyReader(to_grey=options.to_grey)
    pixels = read_frame(frame, reader)
    phase_range_rad = options.phase_range_rad or stated_phase_range_rad(options.references) or PUBLISHED_PHASE_RANGE_RAD
    pairs = read_references(options.references, phase_range_rad, frame, pixels, reader)
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
        "notes": reader.notes(options.references),
    }


def _recording(folder: Path, options: ReconstructionOptions) -> dict[str, object]:
    """Reconstruct a recording, write its phases, and return the numbers to show."""
    from acquisition.archive.reader import Archive
    from acquisition.exchange.conversion.grey_files import GreyReader
    from app.datasets.recorded_methods import RecordingOptions
    from app.datasets.recording_phase import reconstruct_recording

    if options.references is not None:
        raise SpeckleScopeError(
            f"{folder} is a folder: with --references give one frame as a picture; a recording uses the pairs that it holds"
        )
    archive = Archive.open(folder)
    reference = _reference(options.reference, GreyReader(to_grey=options.to_grey)) if options.reference else None
    chosen = RecordingOptions(model=options.model, reference=reference, response=options.response)
    with progress_bars() as report:
        return reconstruct_recording(archive, options.out, chosen, lambda done: report("reconstructing", done, len(archive)))


def _reference(path: Path, reader: GreyReader) -> NDArray[np.float32]:
    import numpy as np

    from acquisition.exchange.reference_pairs import read_frame
    from drivers.safe_arrays import load_npy

    try:
        image = load_npy(path) if path.suffix == ".npy" else read_frame(path, reader)
    except (OSError, ValueError) as error:
        raise SpeckleScopeError(f"{path} cannot be read as a reference: {error}") from error
    if image.ndim != 2 or not np.isfinite(image).all() or not image.mean() > 0:
        raise SpeckleScopeError(f"{path} is no reference: {image.dtype} {image.shape}; give one image of counts, not dark")
    return image.astype(np.float32)


def _registration(folder: Path | None, pairs: ReferencePairs) -> Registration:
    from calibration.registration.affine import KIND, Registration
    from calibration.registration.from_pairs import register_pairs
    from calibration.stored import load

    return Registration.from_stored(load(folder, KIND)) if folder else register_pairs(pairs.frames, pairs.phases_rad)
