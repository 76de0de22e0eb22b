"""The published comparison on a small fibre: cells through a network that sees the speckle alone, and through ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from acquisition.patterns.sources import cut_to
from acquisition.patterns.tissue.scene import LabelledScene
from app.benchmarks.segmentation.cell_images import cell_images, held_out_scene
from app.benchmarks.segmentation.seen_frames import FrameSource
from app.instrument.config import load_config, shipped_file
from app.instrument.kinds import InstrumentName
from app.progress import Report
from reconstruction.models.model import shipped_models
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.registry import open_segmenter
from reconstruction.segmentation.scores import mean_segmentation_scores, segmentation_scores

INSTRUMENT: Final = InstrumentName.FIBRE128
#: The models, which have learned from the same pairs, by their names in the numbers.
MODELS: Final[Mapping[str, str]] = {"few_step": f"calibrated-{INSTRUMENT}", "unet": f"unet-{INSTRUMENT}"}
#: Side of a whole scene in pixels of the SLM, as on the large fibre.
_SCENE_PX: Final = 512
_NOISE_SEED: Final = 41


def small_fibre_numbers(count: int, report: Report) -> dict[str, object]:
    """Segment cells on the reconstruction and on the true phase, with the default segmenter, and compare the two.

    The cells are as large, in pixels of the SLM and in cores, as on the large fibre; its smaller field shows fewer of them.

    Parameters
    ----------
    count : int
        Number of scenes.
    report : Report
        Progress.

    Returns
    -------
    dict
        For ``few_step`` and ``unet``: ``iou_`` is the published score, the foreground of the segmented reconstruction against
        that of the segmented truth; ``small_fibre_paper_`` has the other scores of the same pair, ``small_fibre_scores_``
        those of the segmented reconstruction against the true cells. None for a model that the program comes without.
    """
    config = load_config(shipped_file(INSTRUMENT))
    numbers: dict[str, object] = {"small_fibre": str(INSTRUMENT)}
    for key, name in MODELS.items():
        if name not in shipped_models():
            numbers[f"iou_{key}"] = None
            continue
        source = FrameSource(config.model_copy(update={"model": name}), _NOISE_SEED)
        images = cell_images(source, config.phase_range_rad, count, report, middle_of_scene)
        with open_segmenter(SegmentationConfig()) as segmenter:
            pairs = [
                (
                    segmenter.segment(image.seen.phase_rad, source.mask, image.seen.std_rad).labels,
                    segmenter.segment(image.phase_rad, source.mask).labels,
                )
                for image in images
            ]
        as_published = mean_segmentation_scores([segmentation_scores(*pair) for pair in pairs])
        against_truth = [segmentation_scores(labels, image.labels) for (labels, _), image in zip(pairs, images, strict=True)]
        numbers[f"iou_{key}"] = as_published.iou_foreground
        numbers[f"small_fibre_paper_{key}"] = as_published.to_dict()
        numbers[f"small_fibre_scores_{key}"] = mean_segmentation_scores(against_truth).to_dict()
    return numbers


def middle_of_scene(side_px: int, index: int) -> LabelledScene:
    """Return the middle of a scene, ``side_px`` wide."""
    return cut_to((side_px, side_px), held_out_scene(_SCENE_PX, index))
