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

from acquisition.exchange.import_folder import check_import_folder, decode_grey, manifest_digests, stated_phase_range_rad
from acquisition.exchange.import_source import PairImportError
from drivers.manifest import content_problem

#: Largest number of references by default. More of them take time and memory, and improve little.
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


def read_frame(path: Path) -> NDArray[Any]:
    """Read one camera frame from a grey PNG file.

    Raises
    ------
    PairImportError
        The file cannot be read, is damaged, or is coloured.
    """
    return _read_grey(path, path.name, None)


def _read_grey(path: Path, name: str, digests: Mapping[str, str] | None) -> NDArray[Any]:
    """Read a grey PNG file of a folder whose manifest lists ``digests``."""
    try:
        data = path.read_bytes()
        if problem := content_problem(name, data, digests):
            raise PairImportError(path, [problem])
        return decode_grey(data)
    except OSError as error:
        raise PairImportError(path, [error.strerror or str(error)]) from error
    except ValueError as error:
        raise PairImportError(path, [str(error)]) from error


def read_references(
    folder: Path, phase_range_rad: float | None, frame_path: Path, frame: NDArray[Any], most: int = MOST
) -> ReferencePairs:
    """Read ``input/*.png`` and ``label/*.png`` of the same names, without the frame's own pair; hidden files are ignored.

    Parameters
    ----------
    folder : Path
        Folder with ``input`` and ``label``.
    phase_range_rad : float, optional
        Phase of label grey 255 in radians; by default the one in ``metadata.yaml`` of the folder.
    frame_path : Path
        File of the frame to be reconstructed.
    frame : ndarray, shape (H, W)
        Its pixels.
    most : int
        Largest number of references. Of more pairs, those are used whose frames correlate most with the frame; the labels of
        the others are not opened.

    Raises
    ------
    PairImportError
        The folder has another layout, a file is damaged or differs from the folder's manifest, a label is missing, or the
        phase range is stated nowhere.
    """
    check_import_folder(folder)
    problems: list[str] = []
    digests = manifest_digests(folder, problems)
    if problems:
        raise PairImportError(folder, problems)
    phase_range_rad = stated_phase_range_rad(folder) if phase_range_rad is None else phase_range_rad
    if phase_range_rad is None:
        raise PairImportError(folder, ["give --phase-range-rad, the phase of label grey 255; no metadata.yaml there states it"])
    inputs = sorted(path for path in (folder / "input").glob("*.png") if not path.name.startswith("."))
    if not inputs:
        raise PairImportError(folder, ["it holds no input/*.png; put references into input/ and label/ under the same names"])
    frames: dict[str, NDArray[Any]] = {}
    own = []
    for path in inputs:
        pixels = _read_grey(path, f"input/{path.name}", digests)
        if path.stem == frame_path.stem or np.array_equal(pixels, frame):
            own.append(path.stem)
        else:
            frames[path.stem] = pixels
    _check_shapes("input", frames, folder)
    nearest = sorted(frames, key=lambda name: _correlation(frames[name], frame), reverse=True)[:most]
    names = sorted(nearest)
    phases = {}
    for name in names:
        label = _read_grey(folder / "label" / f"{name}.png", f"label/{name}.png", digests)
        if label.dtype != np.uint8:
            raise PairImportError(folder, [f"label/{name}.png has 16 bits; labels have 8"])
        phases[name] = (label * np.float32(phase_range_rad / 255)).astype(np.float32)
    _check_shapes("label", phases, folder)
    return ReferencePairs(
        names=tuple(names),
        frames=tuple(frames[name] for name in names),
        phases_rad=tuple(phases[name] for name in names),
        skipped=tuple(own),
    )


def _check_shapes(subfolder: str, images: Mapping[str, NDArray[Any]], folder: Path) -> None:
    """Raise PairImportError unless all images of a subfolder have the shape of the first one."""
    shapes = {name: image.shape for name, image in images.items()}
    first = next(iter(shapes.values()), None)
    problems = [f"{subfolder}/{name}.png is {shape}, not {first}" for name, shape in shapes.items() if shape != first]
    if problems:
        raise PairImportError(folder, problems)


def _correlation(pixels: NDArray[Any], frame: NDArray[Any]) -> float:
    """Return the correlation of two frames from every third pixel in both directions, which is enough for a ranking."""
    if pixels.shape != frame.shape or pixels.std() == 0 or frame.std() == 0:
        return 0.0
    return float(np.corrcoef(pixels[::3, ::3].ravel(), frame[::3, ::3].ravel())[0, 1])
