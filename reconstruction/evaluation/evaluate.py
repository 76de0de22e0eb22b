"""Score a model on held-out pairs, for the model card and the ``evaluate`` command."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import PairPool
from reconstruction.engines.base import Engine
from reconstruction.metrics import Scores, mean_scores, score
from reconstruction.models.model import Model
from reconstruction.segmentation.scores import iou_foreground
from reconstruction.segmentation.threshold_watershed import segment


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of a model over a pool of pairs.

    Parameters
    ----------
    scores : Scores
        Means over the images.
    iou_foreground : float
        Mean intersection over union of the segmented foregrounds.
    ms_per_frame : float
        Median time per frame, in milliseconds.
    images : int
        Number of images.
    engine : str
        Name of the engine.
    per_image : tuple of Scores
        Scores of every image.
    """

    scores: Scores
    iou_foreground: float
    ms_per_frame: float
    images: int
    engine: str
    per_image: tuple[Scores, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain types, for JSON and model cards."""
        numbers = {name: round(value, 5) for name, value in asdict(self.scores).items()}
        extra = {"iou_foreground": round(self.iou_foreground, 4), "ms_per_frame": round(self.ms_per_frame, 2)}
        return {**numbers, **extra, "images": self.images, "engine": self.engine}


def evaluate(
    model: Model, engine: Engine, pool: PairPool, on_progress: Callable[[int], None] = lambda done: None
) -> Evaluation:
    """Reconstruct and score every pair of a pool, one frame at a time as in live use.

    Parameters
    ----------
    model : Model
        The model.
    engine : Engine
        Runs the model; used by this thread only.
    pool : PairPool
        Held-out pairs.
    on_progress : callable
        Called with the number of images done.

    Raises
    ------
    ReconstructionError
        A reconstructed phase is not finite.
    """
    mask, reference = model.mask, np.ascontiguousarray(pool.reference, np.float32)
    scores, ious, times = [], [], []
    for index in range(pool.ready):
        frame = np.array(pool.speckle[index])
        start = time.perf_counter()
        phase = engine.run(frame, reference)
        times.append((time.perf_counter() - start) * 1e3)
        if not np.isfinite(phase[mask]).all():
            raise ReconstructionError(
                f"model '{model.card.name}' gives a phase that is not finite for image {index}; train it again, or use another"
            )
        truth = np.asarray(pool.phase_rad[index], np.float32)
        scores.append(score(phase, truth, mask, model.card.phase_range_rad))
        ious.append(iou_foreground(segment(np.where(mask, phase, 0), mask), segment(np.where(mask, truth, 0), mask)))
        on_progress(index + 1)
    return Evaluation(
        scores=mean_scores(scores),
        iou_foreground=float(np.mean(ious)),
        ms_per_frame=float(np.median(times)),
        images=pool.ready,
        engine=engine.name,
        per_image=tuple(scores),
    )
