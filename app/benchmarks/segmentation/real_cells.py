"""Cells through a real fibre: the segmentation of each reconstruction against that of the phase that was displayed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.archive.atomic_files import write_image
from app.benchmarks.leave_one_out import HeldOutPair, leave_one_out
from app.progress import Report
from reconstruction.few_pair.few_pair import PUBLISHED_PHASE_RANGE_RAD
from reconstruction.field import to_grid
from reconstruction.segmentation.base import Segmenter
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import open_segmenter
from reconstruction.segmentation.scores import mean_segmentation_scores, segmentation_scores

Labels = NDArray[np.uint16]

#: Folder of the pairs of cells in the folder of captured pairs.
_SESSION = "cell"
#: The grid of the live view.
_GRID_PX = 128
#: Width of a picture in the contact sheet in pixels.
_SHEET_PX = 512


def real_cell_numbers(captured: Path, segmenters: Mapping[str, str], sheet: Path | None, report: Report) -> dict[str, object]:
    """Reconstruct every captured pair of cells from the others, and segment both.

    Parameters
    ----------
    captured : Path
        Folder of captured pairs.
    segmenters : mapping
        Kinds of segmenters by their names in the numbers.
    sheet : Path, optional
        Where to write a picture of all outlines: the displayed phases above, the reconstructions below.
    report : Report
        Progress.

    Returns
    -------
    dict
        ``real_cells``: the number of pairs, their names, and for every segmenter ``scores_``, the scores of the segmented
        reconstruction against the segmented phase, and ``objects_``, how many objects both have. None where the folder has
        no pairs of cells.
    """
    folder = captured / _SESSION
    if not folder.is_dir():
        return {"real_cells": None}
    report("captured cells", 0, 1)
    pairs = leave_one_out(folder)
    numbers: dict[str, object] = {"pairs": len(pairs), "names": [pair.name for pair in pairs]}
    for name, kind in segmenters.items():
        with open_segmenter(SegmentationConfig(kind=kind)) as segmenter:
            labels = [_segmented(segmenter, pair) for pair in pairs]
        scores = mean_segmentation_scores([segmentation_scores(seen, shown) for seen, shown in labels])
        numbers[f"scores_{name}"] = {key: round(value, 4) for key, value in scores.to_dict().items()}
        numbers[f"objects_{name}"] = [[int(each.max()) for each in both] for both in labels]
        if sheet is not None:
            path = sheet.with_stem(f"{sheet.stem}-{name}")
            write_image(path, _outlined(pairs, labels), "choose another file for the sheet")
    report("captured cells", 1, 1)
    return {"real_cells": numbers}


def _segmented(segmenter: Segmenter, pair: HeldOutPair) -> tuple[Labels, Labels]:
    """Return the labels of reconstruction and displayed phase on the grid of the live view."""
    mask = to_grid((pair.label_rad != 0).astype(np.float32), _GRID_PX) > 0.5
    seen, shown = (
        segmenter.segment(np.where(mask, to_grid(each, _GRID_PX), np.float32(0)), mask).labels
        for each in (pair.phase_rad, pair.label_rad)
    )
    return seen, shown


def _outlined(pairs: list[HeldOutPair], labels: list[tuple[Labels, Labels]]) -> NDArray[np.uint8]:
    """Draw the outlines of all objects, as an 8-bit colour image: displayed phases above, reconstructions below."""
    columns = []
    for pair, (seen, shown) in zip(pairs, labels, strict=True):
        rows = []
        for phase, objects in ((pair.label_rad, shown), (pair.phase_rad, seen)):
            picture = to_grid(phase, _SHEET_PX)
            grey = np.clip(picture * (255 / PUBLISHED_PHASE_RANGE_RAD), 0, 255).astype(np.uint8)
            colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
            large = cv2.resize(objects, (_SHEET_PX, _SHEET_PX), interpolation=cv2.INTER_NEAREST)
            for number in range(1, int(objects.max()) + 1):
                outlines, _ = cv2.findContours((large == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                cv2.drawContours(colour, outlines, -1, (0, 255, 255), 1)
            rows.append(colour)
        columns.append(np.vstack(rows))
    return np.hstack(columns)
