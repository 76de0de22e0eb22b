"""Reference pairs of one session from a folder in the published layout, for reconstructing one of its frames.

The frame to be reconstructed may be in the folder too. Its own label is never opened: a pair counts as the frame's own when its
input has the frame's file name or exactly the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.conversion.grey_files import GreyReader, find_pictures
from acquisition.exchange.conversion.phase import PhaseConverter, PhaseError, StatedPhase
from acquisition.exchange.conversion.units import PhaseUnit
from acquisition.exchange.import_folder import check_import_folder, manifest_digests, stated_phase_range_rad
from acquisition.exchange.import_source import PairImportError
from drivers.manifest import content_problem

#: Largest number of references. More of them take time and memory, and improve little.
MOST = 5


@dataclass(frozen=True, kw_only=True)
class ReferencePairs:
    """Camera frames and the phases that gave them.

    Parameters
    ----------
    names : tuple of str
        File names without their suffix.
    frames : tuple of ndarray of uint8 or uint16, shape (H, W)
        Counts.
    phases_rad : tuple of ndarray of float32, shape (h, w)
        On the pattern's own grid.
    skipped : tuple of str
        File names of pairs that are the frame's own.
    """

    names: tuple[str, ...]
    frames: tuple[NDArray[Any], ...]
    phases_rad: tuple[NDArray[np.float32], ...]
    skipped: tuple[str, ...] = ()


def read_frame(path: Path, reader: GreyReader | None = None) -> NDArray[Any]:
    """Read one camera frame from a grey picture file; ``reader`` may take coloured ones.

    Raises
    ------
    PairImportError
        The file cannot be read, is damaged, or is coloured.
    """
    return _read_grey(path, path.name, None, reader or GreyReader())


def _read_grey(path: Path, name: str, digests: Mapping[str, str] | None, reader: GreyReader) -> NDArray[Any]:
    """Read a grey picture file of a folder whose manifest lists ``digests``."""

    def check(data: bytes) -> None:
        if problem := content_problem(name, data, digests):
            raise PairImportError(path, [problem])

    try:
        return reader.read(path, check)
    except OSError as error:
        raise PairImportError(path, [error.strerror or str(error)]) from error
    except ValueError as error:
        raise PairImportError(path, [str(error)]) from error


def read_references(
    folder: Path, phase_range_rad: float | None, frame_path: Path, frame: NDArray[Any], reader: GreyReader | None = None
) -> ReferencePairs:
    """Read pictures of the same names in ``input/`` and ``label/``, without the frame's own pair; hidden files are ignored.

    Of more than :data:`MOST` pairs, those are used whose frames correlate most with the frame; the labels of the others are not
    opened.

    Parameters
    ----------
    folder : Path
        Folder with ``input`` and ``label``.
    phase_range_rad : float, optional
        Phase of white in the labels in radians; by default the one in ``metadata.yaml`` of the folder.
    frame_path : Path
        File of the frame to be reconstructed.
    frame : ndarray, shape (H, W)
        Its pixels.
    reader : GreyReader, optional
        Reads the pictures; by default, coloured and transparent ones are refused.

    Raises
    ------
    PairImportError
        The folder has another layout, a file is damaged or differs from the folder's manifest, a label is missing, or the
        phase range is stated nowhere.
    """
    reader = reader or GreyReader()
    check_import_folder(folder)
    problems: list[str] = []
    digests = manifest_digests(folder, problems)
    if problems:
        raise PairImportError(folder, problems)
    phase_range_rad = stated_phase_range_rad(folder) if phase_range_rad is None else phase_range_rad
    if phase_range_rad is None:
        raise PairImportError(folder, ["give --phase-range-rad, the phase of label grey 255; no metadata.yaml there states it"])
    inputs, labels = _pictures(folder, "input"), _pictures(folder, "label")
    if not inputs:
        raise PairImportError(
            folder, ["it holds no input/ with pictures; put references into input/ and label/ by the same names"]
        )
    frames: dict[str, NDArray[Any]] = {}
    own = []
    for stem, path in inputs.items():
        pixels = _read_grey(path, f"input/{path.name}", digests, reader)
        if stem == frame_path.stem or np.array_equal(pixels, frame):
            own.append(stem)
        else:
            frames[stem] = pixels
    _check_shapes("input", frames, inputs, folder)
    nearest = sorted(frames, key=lambda name: _correlation(frames[name], frame), reverse=True)[:MOST]
    names = sorted(nearest)
    files = {name: labels.get(name, folder / "label" / inputs[name].name) for name in names}
    images = {name: _read_grey(file, f"label/{file.name}", digests, reader) for name, file in files.items()}
    _check_shapes("label", images, files, folder)
    phases = _phases_rad(folder, images, files, phase_range_rad)
    return ReferencePairs(
        names=tuple(names),
        frames=tuple(frames[name] for name in names),
        phases_rad=tuple(phases[name] for name in names),
        skipped=tuple(own),
    )


def _pictures(folder: Path, subfolder: str) -> dict[str, Path]:
    try:
        return find_pictures(folder / subfolder)[0]
    except OSError:
        return {}


def _phases_rad(
    folder: Path, labels: Mapping[str, NDArray[Any]], files: Mapping[str, Path], phase_range_rad: float
) -> dict[str, NDArray[np.float32]]:
    """Return the phases of labels: integers are levels of the phase range, floating-point values are radians."""
    if not labels:
        return {}
    dtype = next(iter(labels.values())).dtype
    other = next((name for name, label in labels.items() if label.dtype != dtype), None)
    if other is not None:
        raise PairImportError(folder, [f"label/{files[other].name} is {labels[other].dtype}, not {dtype}; save all alike"])
    unit = PhaseUnit.LEVELS if dtype.kind == "u" else None
    try:
        converter = PhaseConverter(dtype, StatedPhase(unit=unit, phase_range_rad=phase_range_rad))
        phases = {name: converter.convert(f"label/{files[name].name}", label) for name, label in labels.items()}
    except PhaseError as error:
        raise PairImportError(folder, [str(error)]) from error
    if converter.problems():
        raise PairImportError(folder, ["the 16-bit labels use only the lowest levels: save them with 8 bits, or white 65535"])
    return phases


def _check_shapes(subfolder: str, images: Mapping[str, NDArray[Any]], files: Mapping[str, Path], folder: Path) -> None:
    """Raise PairImportError unless all images of a subfolder have the shape of the first one."""
    shapes = {name: image.shape for name, image in images.items()}
    first = next(iter(shapes.values()), None)
    problems = [f"{subfolder}/{files[name].name} is {shape}, not {first}" for name, shape in shapes.items() if shape != first]
    if problems:
        raise PairImportError(folder, problems)


def _correlation(pixels: NDArray[Any], frame: NDArray[Any]) -> float:
    """Return the correlation of two frames from every third pixel in both directions, which is enough for a ranking."""
    if pixels.shape != frame.shape or pixels.std() == 0 or frame.std() == 0:
        return 0.0
    return float(np.corrcoef(pixels[::3, ::3].ravel(), frame[::3, ::3].ravel())[0, 1])
