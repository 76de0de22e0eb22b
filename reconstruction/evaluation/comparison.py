"""Several methods on the same held-out pairs: one row of a table each, timed in turn in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool
from reconstruction.field import to_grid
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.segmentation.threshold_watershed import iou_foreground, iou_matched, segment

Phase = NDArray[np.float32]
_QUARTILES = (0, 25, 50, 75, 100)
#: Methods of more evaluations need no call before they are timed: they are their own warm-up.
_WARMED = 16


class Method(Protocol):
    """A way from counts to phase."""

    @property
    def name(self) -> str:
        """For people, and unlike every other row's."""

    @property
    def engine(self) -> str:
        """What computes it."""

    @property
    def evaluations(self) -> int:
        """Evaluations of its network, or of its model of the fibre, for one frame."""

    def run(self, frame: NDArray[Any], reference: Phase) -> Phase:
        """Return the phase in radians, (grid, grid), for counts and the reference speckle (H, W)."""


@dataclass(frozen=True)
class Entry:
    """A method that enters the table, and what a row says beside its scores.

    Parameters
    ----------
    method : Method
        Used by this thread.
    parameters : int
        Numbers that it learned or keeps.
    model_id : str
        Hash of its weights, where it has some.
    note : str
        What a reader has to know.
    """

    method: Method
    parameters: int = 0
    model_id: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Row:
    """A scored method: scores and times of every image, and the reconstructions themselves."""

    entry: Entry
    per_image: tuple[Scores, ...]
    iou: float
    iou_matched: float
    ms_per_frame: float
    phases_rad: tuple[Phase, ...] = field(repr=False)

    def to_dict(self) -> dict[str, object]:
        """Plain types, for JSON."""
        scores, method = mean_scores(list(self.per_image)), self.entry.method
        ssim = np.percentile([each.ssim for each in self.per_image], _QUARTILES)
        return {
            "method": method.name,
            "ssim": scores.ssim,
            "psnr_db": scores.psnr_db,
            "mae_rad": scores.mae_rad,
            "correlation": scores.correlation,
            "prstd": scores.prstd_rad,
            "iou": self.iou,
            "ms_ssim": scores.ms_ssim,
            "nrmse": scores.nrmse,
            "evaluations": method.evaluations,
            "ms_per_frame": self.ms_per_frame,
            "engine": method.engine,
            "ssim_centred": scores.ssim_centred,
            "mae_rad_centred": scores.mae_rad_centred,
            "psnr_db_centred": scores.psnr_db_centred,
            "iou_matched": self.iou_matched,
            "images": len(self.per_image),
            "parameters": self.entry.parameters,
            "model_id": self.entry.model_id,
            "note": self.entry.note,
            "ssim_quartiles": [float(value) for value in ssim],
            "ssim_per_image": [each.ssim for each in self.per_image],
        }


def compare(
    entries: Sequence[Entry],
    pool: PairPool,
    mask: NDArray[np.bool_],
    phase_range_rad: float,
    budget_s: float = 120.0,
    on_progress: Callable[[int, str], None] = lambda done, name: None,
) -> tuple[list[Row], list[str]]:
    """Score every method on the pool's images, the first as many as its time allows.

    For each image all methods run in turn, so that a slow spell of the computer falls on all of them; a method's time is the
    median over its images, after one call that is not counted.

    Parameters
    ----------
    entries : sequence of Entry
        In the order of the table.
    pool : PairPool
        Held-out pairs.
    mask : ndarray of bool, shape (grid, grid)
        Where the fibre sees; methods of another grid are resampled to it.
    phase_range_rad : float
        Phase of white.
    budget_s : float
        What one method may take over all images. One that is slower sees fewer, at least two.
    on_progress : callable
        Called with the number of images done, and with the method at work.

    Returns
    -------
    (list of Row, list of str)
        Rows, and a line for each method that refused a frame and is left out.
    """
    reference = np.ascontiguousarray(pool.reference, np.float32)
    phases: list[list[Phase]] = [[] for _ in entries]
    times_s: list[list[float]] = [[] for _ in entries]
    refused: dict[int, str] = {}
    for index in range(pool.ready):
        frame = np.array(pool.speckle[index])
        for number, entry in enumerate(entries):
            taken = times_s[number]
            if number in refused or (len(taken) >= 2 and sum(taken) + max(taken) > budget_s):
                continue
            on_progress(index, entry.method.name)
            try:
                if not taken and entry.method.evaluations <= _WARMED:
                    entry.method.run(frame, reference)
                start = time.perf_counter()
                phase = entry.method.run(frame, reference)
            except ReconstructionError as error:
                refused[number] = f"{entry.method.name}: {error}"
                continue
            taken.append(time.perf_counter() - start)
            phases[number].append(on_grid(phase, len(mask)))
        on_progress(index + 1, "")
    truths = [np.asarray(truth, np.float32) for truth in pool.phase_rad[: pool.ready]]
    rows = [
        _row(entry, phases[number], truths, mask, phase_range_rad, 1e3 * float(np.median(times_s[number])))
        for number, entry in enumerate(entries)
        if number not in refused
    ]
    return rows, list(refused.values())


def on_grid(phase_rad: Phase, grid_px: int) -> Phase:
    """Resample a phase image (n, n) to a grid: cells are averaged, or interpolated between."""
    if len(phase_rad) >= grid_px:
        return to_grid(phase_rad, grid_px)
    return np.asarray(cv2.resize(phase_rad, (grid_px, grid_px), interpolation=cv2.INTER_LINEAR), np.float32)


def _row(
    entry: Entry, phases: Sequence[Phase], truths: Sequence[Phase], mask: NDArray[np.bool_], phase_range_rad: float, ms: float
) -> Row:
    scores, overlaps, matches = [], [], []
    for phase, truth in zip(phases, truths, strict=False):  # a slow method has seen only the first
        scores.append(score(phase, truth, mask, phase_range_rad))
        found, true = (segment(np.where(mask, image, np.float32(0)), mask) for image in (phase, truth))
        overlaps.append(iou_foreground(found, true))
        matches.append(iou_matched(found, true))
    return Row(entry, tuple(scores), float(np.mean(overlaps)), float(np.mean(matches)), ms, tuple(phases))
