"""Run as a program: Cellpose with random weights, through our segmenter and alone; prints what both gave as JSON.

The package index has torchvision for torch's CUDA build only. Beside another build its compiled operators do not load, and its
import fails because two of them are unknown. Cellpose calls neither, so here they are declared.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch


def declare_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def main(folder: Path) -> None:
    declared = declare_operators() if torch.version.cuda is None else None
    from cellpose.models import CellposeModel
    from cellpose.vit import CPSAM

    from reconstruction.segmentation.base import SegmentationError
    from reconstruction.segmentation.foundation.cellpose import Cellpose, CellposeSettings
    from reconstruction.segmentation.foundation.picture import picture

    torch.manual_seed(0)
    network = CPSAM()
    with torch.no_grad():
        # Flows that lead somewhere, and every pixel of a cell.
        network.out.weight *= 30
        network.out.bias.copy_(torch.tensor([0.0, 0.0, 5.0]).repeat_interleave(64))
    weights = folder / "weights"
    torch.save(network.state_dict(), weights)
    part = folder / "part"
    torch.save({"W2": network.W2}, part)
    del network

    y, x = np.mgrid[:64, :64]
    disc = (x - 31.5) ** 2 + (y - 31.5) ** 2 < 31**2
    phase_rad = np.random.default_rng(0).normal(1, 0.5, disc.shape).astype(np.float32)
    settings = CellposeSettings(allow_pickle=True, flow_threshold=0.0, device="cpu")
    segmenter = Cellpose(weights, settings)
    result = segmenter.segment(phase_rad, disc)
    try:
        Cellpose(part, settings)
        refused = ""
    except SegmentationError as error:
        refused = str(error)
    alone = CellposeModel(pretrained_model=str(weights), device=torch.device("cpu"), use_bfloat16=False)
    expected, _, _ = alone.eval(
        picture(phase_rad, disc, settings.window).astype(np.float32) / 255,
        channel_axis=-1,
        normalize=False,
        flow_threshold=0.0,
        min_size=settings.min_area_px,
    )
    expected = np.where(disc, expected, 0)
    pairs = {(int(a), int(b)) for a, b in zip(result.labels.ravel(), expected.ravel(), strict=True)}
    said = {
        "count": result.count,
        "expected": len(np.unique(expected[expected > 0])),
        "pairs": len(pairs),
        "background_alike": bool(((result.labels == 0) == (expected == 0)).all()),
        "scores": [float(result.scores.min(initial=1)), float(result.scores.max(initial=0))],
        "settings": dict(segmenter.settings()),
        "refused": refused,
    }
    del declared
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
