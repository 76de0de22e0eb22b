"""Compare several methods on the same held-out pairs, with their times, in one run."""

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
from reconstruction.segmentation.scores import iou_foreground, iou_matched
from reconstruction.segmentation.threshold_watershed import segment

Phase = NDArray[np.float32]
_QUARTILES = (0, 25, 50, 75, 100)
#: A method with more evaluations per frame needs no warm-up call before its time is measured.
_WARM_UP_EVALUATIONS = 16


class Method(Protocol):
    """A way to reconstruct phase from counts."""

    @property
    def name(self) -> str:
        """Name for people; different from that of every other method of the comparison."""

    @property
    def engine(self) -> str:
        """Name of the engine or library that computes it."""

    @property
    def evaluations(self) -> int:
        """Evaluations of its network, or of its model of the fibre, for one frame."""

    def run(self, frame: NDArray[Any], reference: Phase) -> Phase:
        """Return the phase in radians, (grid, grid), for counts and the reference speckle (H, W)."""


@dataclass(frozen=True)
class Entry:
    """A method of the comparison, and what the result states beside its scores.

    Parameters
    ----------
    method : Method
        Used by this thread only.
    parameters : int
        Number of parameters that it learned or stores.
    model_id : str
        Hash of its weights; empty without weights.
    note : str
        Remark for the reader.
    minutes : float, optional
        Time in minutes that it was trained for; None for a method that is not trained.
    seed : int, optional
        Seed of its training; None where none is known.
    """

    method: Method
    parameters: int = 0
    model_id: str = ""
    note: str = ""
    minutes: float | None = None
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The held-out pairs of a comparison.

    Parameters
    ----------
    pool : PairPool
        The pairs.
    mask : ndarray of bool, shape (grid, grid)
        The fibre's disc. Methods with another grid are resampled to this one.
    phase_range_rad : float
        Phase of white.
    """

    pool: PairPool
    mask: NDArray[np.bool_]
    phase_range_rad: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Row:
    """A scored method.

    Parameters
    ----------
    entry : Entry
        The method.
    per_image : tuple of Scores
        Scores of every image.
    iou, iou_matched : float
        Intersection over union of the segmented foregrounds and of matched objects, means over the images.
    ms_per_frame : float
        Median time per frame, in milliseconds.
    phases_rad : tuple of ndarray of float32, shape (grid, grid)
        The reconstructions.
    """

    entry: Entry
    per_image: tuple[Scores, ...]
    iou: float
    iou_matched: float
    ms_per_frame: float
    phases_rad: tuple[Phase, ...] = field(repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for JSON."""
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
            "minutes": self.entry.minutes,
            "seed": self.entry.seed,
            "model_id": self.entry.model_id,
            "note": self.entry.note,
            "ssim_quartiles": [float(value) for value in ssim],
            "ssim_per_image": [each.ssim for each in self.per_image],
        }


def compare(
    entries: Sequence[Entry],
    held_out: HeldOut,
    budget_s: float = 120.0,
    on_progress: Callable[[int, str], None] = lambda done, name: None,
    least_images: int = 2,
) -> tuple[list[Row], list[str]]:
    """Score every method on the held-out pairs, or on the first of them if the time is short.

    For each image all methods run one after another, so that a slow period of the computer affects all of them. The time of a
    method is the median over its images, after one warm-up call.

    Parameters
    ----------
    entries : sequence of Entry
        The methods, in the order of the result.
    held_out : HeldOut
        The pairs.
    budget_s : float
        Longest time in seconds for one method over all images. A slower method is scored on fewer images.
    on_progress : callable
        Called with the number of images done and the name of the running method.
    least_images : int
        Number of images that even the slowest method is scored on.

    Returns
    -------
    (list of Row, list of str)
        The scored methods, and a line for each method that is skipped because it refused a frame.
    """
    pool, mask = held_out.pool, held_out.mask
    reference = np.ascontiguousarray(pool.reference, np.float32)
    phases: list[list[Phase]] = [[] for _ in entries]
    times_s: list[list[float]] = [[] for _ in entries]
    refused: dict[int, str] = {}
    for index in range(pool.ready):
        frame = np.array(pool.speckle[index])
        for number, entry in enumerate(entries):
            spent_s = times_s[number]
            if number in refused or (len(spent_s) >= least_images and sum(spent_s) + max(spent_s) > budget_s):
                continue
            on_progress(index, entry.method.name)
            try:
                if not spent_s and entry.method.evaluations <= _WARM_UP_EVALUATIONS:
                    entry.method.run(frame, reference)
                start = time.perf_counter()
                phase = entry.method.run(frame, reference)
            except ReconstructionError as error:
                refused[number] = f"{entry.method.name}: {error}"
                continue
            spent_s.append(time.perf_counter() - start)
            phases[number].append(on_grid(phase, len(mask)))
        on_progress(index + 1, "")
    truths = [np.asarray(truth, np.float32) for truth in pool.phase_rad[: pool.ready]]
    rows = [
        _row(entry, phases[number], truths, held_out, 1e3 * float(np.median(times_s[number])))
        for number, entry in enumerate(entries)
        if number not in refused
    ]
    return rows, list(refused.values())


def on_grid(phase_rad: Phase, grid_px: int) -> Phase:
    """Resample a phase image (n, n) to a grid: by averaging to a coarser one, by interpolation to a finer one."""
    if len(phase_rad) >= grid_px:
        return to_grid(phase_rad, grid_px)
    return np.asarray(cv2.resize(phase_rad, (grid_px, grid_px), interpolation=cv2.INTER_LINEAR), np.float32)


def _row(entry: Entry, phases: Sequence[Phase], truths: Sequence[Phase], held_out: HeldOut, ms_per_frame: float) -> Row:
    mask = held_out.mask
    scores, foreground, matched = [], [], []
    for phase, truth in zip(phases, truths, strict=False):  # a slow method has only the first images
        scores.append(score(phase, truth, mask, held_out.phase_range_rad))
        labels, true_labels = (segment(np.where(mask, image, np.float32(0)), mask) for image in (phase, truth))
        foreground.append(iou_foreground(labels, true_labels))
        matched.append(iou_matched(labels, true_labels))
    return Row(
        entry=entry,
        per_image=tuple(scores),
        iou=float(np.mean(foreground)),
        iou_matched=float(np.mean(matched)),
        ms_per_frame=ms_per_frame,
        phases_rad=tuple(phases),
    )
