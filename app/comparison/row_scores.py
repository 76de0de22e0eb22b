"""All numbers of one method: its scores, its resolution on charts, its uncertainty, and its textures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.comparison.held_out import HeldOutPairs
from app.comparison.sampled_mean import MEAN_OF, MOST_FRAME_PX, mean_of
from app.comparison.uncertainty import Samples, measure_deviations, measure_samples
from app.instrument.config import InstrumentConfig
from app.instrument.opening import fibre_name
from app.training.train import field_radius
from drivers.twin.optics import FibreOptics
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import TwinExposure
from reconstruction.evaluation.comparison import Row, on_grid
from reconstruction.evaluation.intervals import Reliability, reliability
from reconstruction.evaluation.texture_scores import ScoredImages, texture_scores
from reconstruction.evaluation.usaf import Chart, Resolution, charts, resolution, wide_charts
from reconstruction.metrics import mean_scores, score

_CHART_SEED = 7
#: Phase of the second set of charts, in radians: a thin object. Its bars are harder to resolve than those of full range.
WEAK_RAD = 1.0


@dataclass(frozen=True, eq=False)
class ScoredRow:
    """The numbers of a row, as plain types, and the reliability of its intervals if it has any."""

    numbers: dict[str, object]
    reliability: Reliability | None


class RowScores:
    """Measures all numbers of scored methods. The charts are shown on the twin once, for all of them.

    Parameters
    ----------
    config : InstrumentConfig
        Its twin shows the charts.
    data : HeldOutPairs
        The pairs.
    whole_charts : int
        Number of whole resolution charts.
    budget_s : float
        Time in seconds that one method may take for its charts, its deviations, and its samples, for each of them.
    """

    def __init__(self, config: InstrumentConfig, data: HeldOutPairs, whole_charts: int, budget_s: float) -> None:
        self._data = data
        self._budget_s = budget_s
        self._pixel_um = config.twin.optics.pixel_um
        # The pairs may come from another fibre than the twin's.
        shown = data.fibre == fibre_name(config.twin.optics)
        phases = {"usaf_um": data.phase_range_rad, "usaf_weak_um": WEAK_RAD} if shown else {}
        self._charts = {key: _ShownCharts(config, bars_rad, whole_charts) for key, bars_rad in phases.items()}

    def of(self, row: Row) -> ScoredRow:
        """Measure a method that is scored on the pairs of this object."""
        numbers, notes = row.to_dict(), [row.entry.note]
        for key, phase in (("usaf_um", "the full phase range"), ("usaf_weak_um", f"{WEAK_RAD:g} rad")):
            result = self._resolution(row, key)
            numbers |= self._resolution_numbers(key, result)
            notes.append(self._resolution_note(result, phase))
        deviations = measure_deviations(row, self._data, self._budget_s)
        samples = measure_samples(row, self._data, self._budget_s)
        notes.append(samples.note)
        mask, truths = self._data.mask, self._data.pool.phase_rad[: len(row.per_image)]
        reliable = reliability(deviations.estimates, mask, deviations.scale) if deviations.estimates else None
        images = ScoredImages(
            phases_rad=row.phases_rad,
            truths_rad=[np.asarray(truth, np.float32) for truth in truths],
            samples=samples.images,
            estimates=deviations.estimates,
            std_scale=deviations.scale,
            widening=samples.widening,
        )
        numbers |= texture_scores(images, mask, self._data.phase_range_rad)
        numbers |= self._mean_numbers(samples)
        numbers["interval90_coverage"] = reliable.coverage if reliable else None
        numbers["interval90_width_rad"] = reliable.width_rad if reliable else None
        return ScoredRow(numbers | {"note": "; ".join(note for note in notes if note)}, reliable)

    def _mean_numbers(self, samples: Samples) -> dict[str, object]:
        """Score the mean of the first samples of each sampled image."""
        phase_range_rad = self._data.phase_range_rad
        scores = [
            score(mean_of(each.samples_rad[:MEAN_OF], phase_range_rad), each.truth_rad, self._data.mask, phase_range_rad)
            for each in samples.images
        ]
        mean = mean_scores(scores) if scores else None
        return {
            f"ssim_mean{MEAN_OF}": mean.ssim if mean else None,
            f"correlation_mean{MEAN_OF}": mean.correlation if mean else None,
        }

    def _resolution(self, row: Row, key: str) -> Resolution | str:
        """Measure the resolution; return a text if that is not possible."""
        shown = self._charts.get(key)
        if shown is None:
            return "the twin is another fibre"
        if 1e-3 * row.ms_per_frame * len(shown.frames) > self._budget_s:
            return "it would take too long"
        try:
            return shown.resolution(row, self._data.reference)
        except ReconstructionError as error:
            return str(error)

    def _resolution_numbers(self, key: str, result: Resolution | str) -> dict[str, object]:
        measured = result if isinstance(result, Resolution) else None
        bar_px = measured.bar_px if measured else None
        numbers: dict[str, object] = {key: None if bar_px is None else bar_px * self._pixel_um}
        if key == "usaf_um":
            groups = measured.contrast_by_group() if measured else {}
            numbers["usaf_contrast"] = [
                {"widest_bars_um": round(width_px * self._pixel_um, 2), "contrast": contrast}
                for width_px, contrast in groups.items()
            ]
        return numbers

    def _resolution_note(self, result: Resolution | str, phase: str) -> str:
        if isinstance(result, str):
            return f"resolution at {phase} not measured: {result}"
        if result.bar_px is None:
            return f"does not resolve the widest bars, {max(result.dips, default=0) * self._pixel_um:.1f} um, at {phase}"
        return ""


class _ShownCharts:
    """Charts of one phase, and their frames on the twin."""

    def __init__(self, config: InstrumentConfig, bars_rad: float, whole_charts: int) -> None:
        camera, optics = config.twin.camera, config.twin.optics
        self._bars_rad = bars_rad
        self._grid_px = optics.image_px // config.cell_px
        shape = (optics.image_px, field_radius(config), bars_rad)
        wide = wide_charts(*shape) if optics.image_px <= MOST_FRAME_PX else ()
        self._shown: tuple[Chart, ...] = (*wide, *charts(*shape, whole_charts))
        exposure = TwinExposure(FibreOptics(optics), camera.sensor, camera.exposure_s, _CHART_SEED)
        self.frames: list[NDArray[Any]] = [exposure(chart.phase_rad[None])[0] for chart in self._shown]

    def resolution(self, row: Row, reference: NDArray[np.float32]) -> Resolution:
        """Measure the resolution of a method."""
        reconstructed = [row.entry.method.run(frame, reference) for frame in self.frames]
        return resolution([on_grid(phase, self._grid_px) for phase in reconstructed], self._shown, self._bars_rad)
