"""Scores segmenters on synthetic cells and on empty fields that pass twin, camera and model, and times them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.benchmarks.leave_one_out import CAPTURED_PAIRS
from app.benchmarks.segmentation.cell_images import CellImage, cell_images, held_out_scene
from app.benchmarks.segmentation.cell_numbers import identity_numbers, mass_numbers
from app.benchmarks.segmentation.empty_fields import EmptyFrame, empty_frames, false_objects
from app.benchmarks.segmentation.real_cells import real_cell_numbers
from app.benchmarks.segmentation.seen_frames import FrameSource
from app.benchmarks.segmentation.small_fibre import small_fibre_numbers
from app.instrument.config import InstrumentConfig
from app.progress import Report
from reconstruction.segmentation.base import SegmentationError, Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import open_segmenter
from reconstruction.segmentation.scores import SegmentationScores, mean_segmentation_scores, segmentation_scores

Numbers = dict[str, object]

#: Segmenters that are scored where they are installed: how they are called in the numbers, and their kind.
SEGMENTERS: Final[Mapping[str, str]] = {"classical": "threshold", "learned": "learned"}
_DEFAULT: Final = "classical"
#: The few-step model that comes with the program.
FEW_STEP: Final = "calibrated-fast-twin"
_FEW_STEP_SHARE: Final = 0.2
_NOISE_SEED: Final = 40
_IMAGES, _QUICK_IMAGES = 48, 8
_EMPTY, _QUICK_EMPTY = 200, 24
#: Scenes of cells of known mass, and frames of every sequence of cells that move.
_MASSES, _QUICK_MASSES = 12, 8
_MOVING, _QUICK_MOVING = 30, 9


@dataclass(frozen=True, kw_only=True)
class _Amounts:
    """How many images of cells, empty frames, scenes of known mass and frames of a sequence are reconstructed."""

    images: int
    empty: int
    masses: int
    moving: int


def bench_segmentation(
    config: InstrumentConfig,
    report: Report,
    *,
    model: str | None = None,
    quick: bool = False,
    sheet: Path | None = None,
) -> Numbers:
    """Score and time every segmenter that is installed, with its default settings.

    Parameters
    ----------
    config : InstrumentConfig
        An instrument on a twin.
    report : Report
        Progress.
    model : str, optional
        Model that reconstructs; by default :data:`FEW_STEP`, and after it the model of the instrument.
    quick : bool
        Few images, and no captured pairs.
    sheet : Path, optional
        Where to draw the segmented captured pairs.

    Returns
    -------
    dict
        For every segmenter, with its name in the key: ``ap50_``, all ``scores_`` against the true cells, ``on_truth_``: the
        same scores of the segmentation of the true phase, ``paper_``: the segmentation of the reconstruction against that of
        the true phase, as publications score it; ``false_objects_empty_``; ``ms_`` and ``fps_``. ``false_objects_empty`` is
        that of the default segmenter over the frames of all models. ``skipped`` says why a segmenter has no numbers. Numbers of
        the second model are under ``instrument_model``. With the default segmenter alone: those of
        :func:`~app.benchmarks.segmentation.cell_numbers.mass_numbers` and of
        :func:`~app.benchmarks.segmentation.cell_numbers.identity_numbers`. Of the small fibre, whatever the instrument: those
        of :func:`~app.benchmarks.segmentation.small_fibre.small_fibre_numbers`. Of captured pairs: those of
        :func:`~app.benchmarks.segmentation.real_cells.real_cell_numbers`.
    """
    names = (model,) if model is not None else (FEW_STEP, config.model)
    empty = _QUICK_EMPTY if quick else _EMPTY
    whole = (_QUICK_IMAGES, _QUICK_MASSES, _QUICK_MOVING) if quick else (_IMAGES, _MASSES, _MOVING)
    runs = []
    for number, name in enumerate(names):
        # A few-step model takes longer for each frame, so most of the empty fields pass the model of the instrument.
        share = 1.0 if len(names) == 1 else (_FEW_STEP_SHARE, 1 - _FEW_STEP_SHARE)[number]
        source = FrameSource(config.model_copy(update={"model": name}), _NOISE_SEED)
        amounts = _Amounts(images=whole[0], empty=round(share * empty), masses=whole[1], moving=whole[2])
        runs.append(_run(source, config.phase_range_rad, amounts, report))
    wrong = [run[f"empty_frames_{_DEFAULT}"] for run in runs]
    counts = [(each["mean"], each["frames"]) for each in wrong if isinstance(each, Mapping)]
    total = sum(frames for _, frames in counts)
    numbers = runs[0] | {"false_objects_empty": sum(mean * frames for mean, frames in counts) / total, "empty_frames": total}
    numbers |= small_fibre_numbers(whole[0], report)
    if not quick:
        numbers |= real_cell_numbers(CAPTURED_PAIRS, SEGMENTERS, sheet, report)
    return numbers | ({"instrument_model": runs[1]} if len(runs) > 1 else {})


def _run(source: FrameSource, phase_range_rad: float, amounts: _Amounts, report: Report) -> Numbers:
    """Score every segmenter on what one model has reconstructed."""
    images = cell_images(source, phase_range_rad, amounts.images, report)
    empty = empty_frames(source, lambda index: _pattern(source, phase_range_rad, index), amounts.empty, report)
    numbers: Numbers = {
        "model": source.model.card.name,
        "model_id": source.model.id,
        "images": len(images),
        "cells": sum(int(image.labels.max()) for image in images),
    }
    skipped: dict[str, str] = {}
    for name, kind in SEGMENTERS.items():
        report(f"segmenter '{kind}'", 0, 1)
        try:
            with open_segmenter(SegmentationConfig(kind=kind)) as segmenter:
                numbers |= _numbers_of(name, segmenter, images, empty, source.mask)
                if name == _DEFAULT:
                    numbers |= mass_numbers(source, segmenter, phase_range_rad, amounts.masses, report)
                    numbers |= identity_numbers(source, segmenter, phase_range_rad, amounts.moving, report)
        except SegmentationError as error:  # without weights, for instance
            skipped[name] = str(error)
    return numbers | {"skipped": skipped}


def _numbers_of(
    name: str,
    segmenter: Segmenter,
    images: Sequence[CellImage],
    empty: Sequence[EmptyFrame],
    mask: NDArray[np.bool_],
) -> Numbers:
    against_truth, on_truth, as_published, times_s = [], [], [], []
    segmenter.segment(images[0].seen.phase_rad, mask, images[0].seen.std_rad)  # the first is slower
    for image in images:
        result = segmenter.segment(image.seen.phase_rad, mask, image.seen.std_rad)
        of_truth = segmenter.segment(image.phase_rad, mask)
        times_s.append(result.seconds)
        against_truth.append(segmentation_scores(result.labels, image.labels))
        on_truth.append(segmentation_scores(of_truth.labels, image.labels))
        as_published.append(segmentation_scores(result.labels, of_truth.labels))
    wrong = false_objects(empty, segmenter, mask)
    scores = mean_segmentation_scores(against_truth)
    return {
        f"ap50_{name}": scores.ap50,
        f"scores_{name}": _rounded(scores),
        f"on_truth_{name}": _rounded(mean_segmentation_scores(on_truth)),
        f"paper_{name}": _rounded(mean_segmentation_scores(as_published)),
        f"false_objects_empty_{name}": wrong["mean"],
        f"empty_frames_{name}": wrong,
        f"ms_{name}": 1e3 * float(np.median(times_s)),
        f"fps_{name}": 1 / float(np.median(times_s)),
        f"settings_{name}": dict(segmenter.settings()),
    }


def _rounded(scores: SegmentationScores) -> dict[str, float]:
    return {key: round(value, 4) for key, value in scores.to_dict().items()}


def _pattern(source: FrameSource, phase_range_rad: float, index: int) -> NDArray[np.float32]:
    return held_out_scene(source.side_px, index).grey * np.float32(phase_range_rad)
