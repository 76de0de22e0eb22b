"""Cells of known mass, and cells that move: how well they are weighed and followed through twin, camera and model."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from acquisition.patterns.tissue.cell import CANVAS_PX
from acquisition.patterns.tissue.lone_cells import lone_cells
from acquisition.patterns.tissue.moving_cells import LEAST_CELLS, MOST_CELLS, MovingCells
from acquisition.patterns.tissue.scene import LabelledScene
from app.benchmarks.segmentation.seen_frames import FrameSource, labels_in_disc
from app.progress import Report
from reconstruction.cells.measurement import measure_cells
from reconstruction.cells.table import CellScale, CellTable
from reconstruction.cells.tracking import CellTracker
from reconstruction.field import to_grid
from reconstruction.segmentation.base import Segmenter
from reconstruction.segmentation.scores import same_objects

Numbers = dict[str, object]
Labels = NDArray[np.uint16]

_MASS_SEED: Final = 10_000_079
_MOTION_SEED: Final = 10_000_103
#: Any scale would do, because masses are compared: with this one, a mass is the phase above the background in radians, summed.
_SCALE: Final = CellScale(pixel_um=1.0, wavelength_um=2 * np.pi, refractive_increment_um3_per_pg=1.0)
#: Numbers of cells in the sequences.
_CELLS: Final = (LEAST_CELLS, (LEAST_CELLS + MOST_CELLS) // 2, MOST_CELLS)
#: Of three frames of a sequence, the last one is dropped. A cell that is not seen for more frames than this has left the field.
_OUT_OF: Final = 3
_GONE_FRAMES: Final = 3


def mass_numbers(source: FrameSource, segmenter: Segmenter, phase_range_rad: float, scenes: int, report: Report) -> Numbers:
    """Weigh cells that stand alone, whose mass is known; cells at the edge of the disc are left out.

    Returns
    -------
    dict
        ``dry_mass_error_percent``: median error of the cells that ``segmenter`` has labelled on the reconstruction, without
        its sign; ``dry_mass_bias_percent``: with its sign. The same with ``_outlined`` of the reconstruction with the true
        labels, and with ``_truth`` of the true phase with the true labels. ``dry_mass_cells`` and ``dry_mass_labelled``:
        numbers of cells.
    """
    grid_px = len(source.mask)
    errors: dict[str, list[float]] = {"": [], "_outlined": [], "_truth": []}
    for index in range(scenes):
        known = lone_cells(CANVAS_PX, _MASS_SEED, index)
        pattern = _pattern(known.scene, source.side_px, phase_range_rad)
        labels = labels_in_disc(known.scene.labels, source.mask)
        whole = _whole_cells(labels, source.mask)
        sums_rad = known.grey_px * (phase_range_rad * (grid_px / CANVAS_PX) ** 2)
        seen = source.see(pattern)
        of_segmenter = segmenter.segment(seen.phase_rad, source.mask, seen.std_rad).labels
        cell_of = same_objects(of_segmenter, labels)
        phase = np.where(source.mask, to_grid(pattern, grid_px), np.float32(0))
        for name, image, drawn in (
            ("", seen.phase_rad, of_segmenter),
            ("_outlined", seen.phase_rad, labels),
            ("_truth", phase, labels),
        ):
            mass = _mass_of(measure_cells(image, drawn, source.mask, _SCALE))
            for true in whole:
                label = cell_of.get(true) if not name else true
                if label is not None:
                    errors[name].append(100 * (mass[label] / float(sums_rad[true - 1]) - 1))
        report("cells of known mass", index + 1, scenes)
    numbers: Numbers = {"dry_mass_cells": len(errors["_truth"]), "dry_mass_labelled": len(errors[""])}
    for name, values in errors.items():
        numbers[f"dry_mass_error_percent{name}"] = float(np.median(np.abs(values))) if values else None
        numbers[f"dry_mass_bias_percent{name}"] = float(np.median(values)) if values else None
    return numbers


def identity_numbers(source: FrameSource, segmenter: Segmenter, phase_range_rad: float, frames: int, report: Report) -> Numbers:
    """Follow cells that move up to half of their diameter a frame, touch, enter and leave; every third frame is dropped.

    Returns
    -------
    dict
        ``identity_switches_percent``: how often a cell got another identity than when it was seen before, of all times that it
        was seen again, with the labels of ``segmenter`` on the reconstruction; ``identity_switches_percent_truth``: with the
        true labels. ``identities_seen_again`` and ``identities_seen_again_truth``: how many times that was.
    """
    switched, followed = {"": 0, "_truth": 0}, {"": 0, "_truth": 0}
    total = len(_CELLS) * frames
    for sequence, cells in enumerate(_CELLS):
        scenes = MovingCells(CANVAS_PX, _MOTION_SEED + sequence, frames, cells=cells)
        follow = {name: _Followed() for name in switched}
        for index in range(frames):
            if index % _OUT_OF == _OUT_OF - 1:
                continue
            scene = scenes[index]
            pattern = _pattern(scene, source.side_px, phase_range_rad)
            truth = labels_in_disc(scene.labels, source.mask)
            seen = source.see(pattern)
            labels = segmenter.segment(seen.phase_rad, source.mask, seen.std_rad).labels
            follow[""].see(index, measure_cells(seen.phase_rad, labels, source.mask, _SCALE), same_objects(labels, truth))
            own = {int(number): int(number) for number in np.unique(truth) if number}
            follow["_truth"].see(index, measure_cells(seen.phase_rad, truth, source.mask, _SCALE), own)
            report("cells that move", sequence * frames + index + 1, total)
        for name, each in follow.items():
            switched[name] += each.switched
            followed[name] += each.again
    numbers: Numbers = {}
    for name in switched:
        numbers[f"identity_switches_percent{name}"] = 100 * switched[name] / max(followed[name], 1)
        numbers[f"identities_seen_again{name}"] = followed[name]
    return numbers


class _Followed:
    """The identities that cells of a sequence got."""

    def __init__(self) -> None:
        self.switched = self.again = 0
        self._tracker = CellTracker()
        self._last: dict[int, tuple[int, int]] = {}

    def see(self, index: int, cells: CellTable, cell_of: dict[int, int]) -> None:
        """Give the cells of a frame their identities; ``cell_of`` has the label of every true cell."""
        named = self._tracker.follow(index, cells)
        identity_of = dict(zip(named.label.tolist(), named.identity.tolist(), strict=True))
        for true, label in cell_of.items():
            identity, last_index = self._last.get(true, (0, -_GONE_FRAMES - 1))
            if index - last_index <= _GONE_FRAMES:
                self.again += 1
                self.switched += identity_of[label] != identity
            self._last[true] = (identity_of[label], index)


def _pattern(scene: LabelledScene, side_px: int, phase_range_rad: float) -> NDArray[np.float32]:
    """Return the phase of a scene on the SLM."""
    grey = cv2.resize(scene.grey, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(grey * np.float32(phase_range_rad), np.float32)


def _whole_cells(labels: Labels, mask: NDArray[np.bool_]) -> list[int]:
    """Return the numbers of cells that lie wholly in the disc, together with their surroundings."""
    near = cv2.dilate((~mask).astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    return sorted({int(number) for number in np.unique(labels) if number} - {int(number) for number in np.unique(labels[near])})


def _mass_of(cells: CellTable) -> dict[int, float]:
    return dict(zip(cells.label.tolist(), cells.dry_mass_pg.tolist(), strict=True))
