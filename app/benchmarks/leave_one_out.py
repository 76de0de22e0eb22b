"""Leaves out each captured pair in turn and reconstructs it from the other pairs of its session.

Nothing of the left-out pair is used before it is scored. Registration, reference slopes and ranges come from the other pairs,
the settings were chosen on simulated fibres, and the label is read only to score the reconstruction. The registration of the
label comes from the other pairs too.
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

#: Captured pairs beside a checkout of the source. They may not be distributed with the program, so an installed copy has none.
CAPTURED_PAIRS = Path(__file__).resolve().parents[3] / "shared" / "real-mcf"
#: Radius of the scored disc in a frame of 512 px, and standard deviation of the blur of the label, in pixels.
_RADIUS_PX, _BLUR_PX = 232.0, 2.0


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutPair:
    """One pair, reconstructed from the others.

    Parameters
    ----------
    name : str
        Name of its file.
    references : int
        Number of reference pairs.
    correlation, fast_correlation : float
        Correlation of the few-pair reconstruction and of the fast estimate with the registered label, inside the disc.
    ssim, mae_rad : float
        Scores of the few-pair reconstruction after the means are removed; the error is in radians.
    phase_rad, label_rad : ndarray of float32, shape (H, W)
        Reconstruction, and registered and blurred label, in radians; 0 outside the disc.
    """

    name: str
    references: int
    correlation: float
    fast_correlation: float
    ssim: float
    mae_rad: float
    phase_rad: Image
    label_rad: Image


def leave_one_out(session: Path, phase_range_rad: float = PUBLISHED_PHASE_RANGE_RAD) -> list[HeldOutPair]:
    """Reconstruct every pair of a session (a folder in the published layout) from its others.

    Raises
    ------
    SpeckleScopeError
        There are fewer than three pairs, or a pair cannot be used.
    """
    results = []
    for path in sorted((session / "input").glob("*.png")):
        frame = read_frame(path)
        others = read_references(session, phase_range_rad, path, frame)
        registration = register_pairs(others.frames, others.phases_rad)
        solver = FewPair(others.frames, [registration.warp(phase, fill=None) for phase in others.phases_rad])
        fast, phase = solver.fast_estimate(frame), solver.reconstruct(frame)
        label = read_frame(session / "label" / path.name) * np.float32(phase_range_rad / 255)
        truth = np.asarray(cv2.GaussianBlur(registration.warp(label, fill=None), (0, 0), _BLUR_PX), np.float32)
        rows, columns = (np.arange(side) - (side - 1) / 2 for side in truth.shape)
        disc = np.hypot(rows[:, None], columns) < _RADIUS_PX * truth.shape[0] / 512
        scores = score(phase, truth, disc, phase_range_rad)
        results.append(
            HeldOutPair(
                name=path.stem,
                references=len(others.frames),
                correlation=scores.correlation,
                fast_correlation=score(fast, truth, disc, phase_range_rad).correlation,
                ssim=scores.ssim_centred,
                mae_rad=scores.mae_rad_centred,
                phase_rad=np.where(disc, phase, 0),
                label_rad=np.where(disc, truth, 0),
            )
        )
    return results


def contact_sheet(results: list[HeldOutPair], phase_range_rad: float = PUBLISHED_PHASE_RANGE_RAD) -> NDArray[np.uint8]:
    """Draw labels above reconstructions, side by side, as an 8-bit image; each reconstruction gets the mean of its label."""
    columns = []
    for result in results:
        inside = result.label_rad != 0
        piston_rad = float(result.label_rad[inside].mean() - result.phase_rad[inside].mean())
        images = [result.label_rad, np.where(inside, result.phase_rad + piston_rad, 0)]
        grey = np.vstack([np.clip(image * (255 / phase_range_rad), 0, 255).astype(np.uint8) for image in images])
        caption = f"{result.name}  r {result.correlation:.2f}  SSIM {result.ssim:.2f}"
        cv2.putText(grey, caption, (8, grey.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 1, cv2.LINE_AA)
        columns.append(grey)
    return np.hstack(columns)
