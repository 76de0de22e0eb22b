"""Captured pairs, each left out in turn and reconstructed from the others of its session.

Nothing of the left-out pair is used before its score: registration, reference slopes and ranges come from the others, settings
were fixed on simulated fibres, and its label is opened only to be compared. The label that it is compared with is placed
by the others' registration too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.exchange.reference_pairs import read_frame, read_references
from calibration.registration.from_pairs import register_pairs
from reconstruction.few_pair.few_pair import PUBLISHED_PHASE_RANGE_RAD, FewPair
from reconstruction.metrics import score

Image = NDArray[np.float32]

#: Radius of the disc that is scored, in pixels of 512, and the blur of the label it is compared with.
_RADIUS_PX, _BLUR_PX = 232.0, 2.0


@dataclass(frozen=True, eq=False)
class LeftOut:
    """One pair, reconstructed from the others.

    Parameters
    ----------
    name : str
        Of its file.
    references : int
        How many others there were.
    correlation, fast_correlation : float
        With the registered label in the disc, of the few-pair reconstruction and of the fast estimate.
    ssim, mae_rad : float
        Means removed.
    phase_rad, label_rad : ndarray of float32, shape (H, W)
        Reconstruction, and registered label, blurred.
    """

    name: str
    references: int
    correlation: float
    fast_correlation: float
    ssim: float
    mae_rad: float
    phase_rad: Image
    label_rad: Image


def leave_one_out(session: Path, phase_range_rad: float = PUBLISHED_PHASE_RANGE_RAD) -> list[LeftOut]:
    """Reconstruct every pair of a session (a folder in the published layout) from its others.

    Raises
    ------
    SpeckleScopeError
        Fewer than three pairs, or pairs that cannot be used.
    """
    results = []
    for path in sorted((session / "input").glob("*.png")):
        frame = read_frame(path)
        others = read_references(session, phase_range_rad, path, frame)
        placed = register_pairs(others.frames, others.phases_rad)
        pairs = FewPair(others.frames, [placed.warp(phase, fill=None) for phase in others.phases_rad])
        fast, phase = pairs.fast_estimate(frame), pairs.reconstruct(frame)
        label = read_frame(session / "label" / path.name) * np.float32(phase_range_rad / 255)
        truth = np.asarray(cv2.GaussianBlur(placed.warp(label, fill=None), (0, 0), _BLUR_PX), np.float32)
        rows, columns = (np.arange(side) - (side - 1) / 2 for side in truth.shape)
        disc = np.hypot(rows[:, None], columns) < _RADIUS_PX * truth.shape[0] / 512
        scores = score(phase, truth, disc, phase_range_rad)
        alone = score(fast, truth, disc, phase_range_rad).correlation
        results.append(
            LeftOut(
                path.stem,
                len(others.frames),
                scores.correlation,
                alone,
                scores.ssim_centred,
                scores.mae_rad_centred,
                np.where(disc, phase, 0),
                np.where(disc, truth, 0),
            )
        )
    return results


def contact_sheet(results: list[LeftOut], phase_range_rad: float = PUBLISHED_PHASE_RANGE_RAD) -> NDArray[np.uint8]:
    """Draw labels above reconstructions, side by side, each at its own level, as an 8-bit image."""
    columns = []
    for result in results:
        inside = result.label_rad != 0
        level = float(result.label_rad[inside].mean() - result.phase_rad[inside].mean())
        shown = [result.label_rad, np.where(inside, result.phase_rad + level, 0)]
        grey = np.vstack([np.clip(image * (255 / phase_range_rad), 0, 255).astype(np.uint8) for image in shown])
        words = f"{result.name}  r {result.correlation:.2f}  SSIM {result.ssim:.2f}"
        cv2.putText(grey, words, (8, grey.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1, cv2.LINE_AA)
        columns.append(grey)
    return np.hstack(columns)
