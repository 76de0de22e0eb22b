"""Reference pairs of one session from a folder in the published layout, for reconstructing one of its frames.

The frame to be reconstructed may lie in the folder too. Its own label is then never opened: a pair counts as the frame's own
when its input has the frame's file name or the very same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.import_folder import decode_grey, stated_phase_range_rad
from acquisition.exchange.import_source import PairImportError

#: More references take time and memory, and help little.
MOST = 5


@dataclass(frozen=True)
class ReferencePairs:
    """Speckles and the phases that made them.

    Parameters
    ----------
    names : tuple of str
        File names without their ending.
    frames : tuple of ndarray of uint8 or uint16, shape (H, W)
        Counts.
    phases_rad : tuple of ndarray of float32, shape (h, w)
        On the pattern's own grid.
    skipped : tuple of str
        Pairs that are the frame's own.
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
        It cannot be read, is damaged, or in colours.
    """
    try:
        return decode_grey(path.read_bytes())
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
        Holds ``input`` and ``label``.
    phase_range_rad : float, optional
        Phase of label grey 255; by default what ``metadata.yaml`` in the folder says.
    frame_path, frame
        What is to be reconstructed.
    most : int
        Of more pairs, those whose frames are most like the frame; the labels of the others are not opened.

    Raises
    ------
    PairImportError
        The folder is not of this layout, a file is damaged, a label is missing, or nothing tells the depth.
    """
    phase_range_rad = stated_phase_range_rad(folder) if phase_range_rad is None else phase_range_rad
    if phase_range_rad is None:
        raise PairImportError(folder, ["give --phase-range-rad, the phase of label grey 255; no metadata.yaml there tells it"])
    inputs = sorted(path for path in (folder / "input").glob("*.png") if not path.name.startswith("."))
    if not inputs:
        raise PairImportError(folder, ["it holds no input/*.png; references lie in input/ and label/ under the same names"])
    frames: dict[str, NDArray[Any]] = {}
    own = []
    for path in inputs:
        pixels = read_frame(path)
        if path.stem == frame_path.stem or np.array_equal(pixels, frame):
            own.append(path.stem)
        else:
            frames[path.stem] = pixels
    _alike("input", frames, folder)
    nearest = sorted(frames, key=lambda name: _correlation(frames[name], frame), reverse=True)[:most]
    names = sorted(nearest)
    phases = {}
    for name in names:
        label = read_frame(folder / "label" / f"{name}.png")
        if label.dtype != np.uint8:
            raise PairImportError(folder, [f"label/{name}.png has 16 bits; labels have 8"])
        phases[name] = (label * np.float32(phase_range_rad / 255)).astype(np.float32)
    _alike("label", phases, folder)
    return ReferencePairs(
        tuple(names), tuple(frames[name] for name in names), tuple(phases[name] for name in names), tuple(own)
    )


def _alike(kind: str, images: Mapping[str, NDArray[Any]], folder: Path) -> None:
    first = next(iter(images.values()), None)
    if first is not None:
        odd = [f"{kind}/{name}.png is {i.shape}, not {first.shape}" for name, i in images.items() if i.shape != first.shape]
        if odd:
            raise PairImportError(folder, odd)


def _correlation(pixels: NDArray[Any], frame: NDArray[Any]) -> float:
    """How alike two frames are; every third pixel both ways is enough to rank by."""
    if pixels.shape != frame.shape or pixels.std() == 0 or frame.std() == 0:
        return 0.0
    return float(np.corrcoef(pixels[::3, ::3].ravel(), frame[::3, ::3].ravel())[0, 1])
