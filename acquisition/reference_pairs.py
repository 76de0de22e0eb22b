"""Reference pairs of one session from a folder in the published layout, for reconstructing one of its frames.

The frame to be reconstructed may lie in the folder too. Its own label is then never opened: a pair counts as the frame's own
when its input has the frame's file name or the very same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.import_folder import decode_grey, stated_depth_rad
from acquisition.import_source import PairImportError


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
    left_out : tuple of str
        Pairs that are the frame's own.
    """

    names: tuple[str, ...]
    frames: tuple[NDArray[Any], ...]
    phases_rad: tuple[NDArray[np.float32], ...]
    left_out: tuple[str, ...] = ()


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


def read_references(folder: Path, depth_rad: float | None, frame_path: Path, frame: NDArray[Any]) -> ReferencePairs:
    """Read ``input/*.png`` and ``label/*.png`` of the same names, without the frame's own pair; hidden files are ignored.

    Parameters
    ----------
    folder : Path
        Holds ``input`` and ``label``.
    depth_rad : float, optional
        Phase of label grey 255; by default what ``metadata.yaml`` in the folder says.
    frame_path, frame
        What is to be reconstructed.

    Raises
    ------
    PairImportError
        The folder is not of this layout, a file is damaged, a label is missing, or nothing tells the depth.
    """
    depth_rad = stated_depth_rad(folder) if depth_rad is None else depth_rad
    if depth_rad is None:
        raise PairImportError(folder, ["give --depth-rad, the phase of label grey 255; no metadata.yaml there tells it"])
    inputs = sorted(path for path in (folder / "input").glob("*.png") if not path.name.startswith("."))
    if not inputs:
        raise PairImportError(folder, ["it holds no input/*.png; references lie in input/ and label/ under the same names"])
    names, frames, phases, own = [], [], [], []
    for path in inputs:
        pixels = read_frame(path)
        if path.stem == frame_path.stem or np.array_equal(pixels, frame):
            own.append(path.stem)
            continue
        label = read_frame(folder / "label" / path.name)
        if label.dtype != np.uint8:
            raise PairImportError(folder, [f"label/{path.name} has 16 bits; labels have 8"])
        names.append(path.stem)
        frames.append(pixels)
        phases.append((label * np.float32(depth_rad / 255)).astype(np.float32))
    for kind, images in (("input", frames), ("label", phases)):
        odd = [f"{kind}/{name}.png is {i.shape}, not {images[0].shape}" for name, i in zip(names, images, strict=True)]
        wrong = [text for text, image in zip(odd, images, strict=True) if image.shape != images[0].shape]
        if wrong:
            raise PairImportError(folder, wrong)
    return ReferencePairs(tuple(names), tuple(frames), tuple(phases), tuple(own))
