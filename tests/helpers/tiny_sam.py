"""Tiny networks of Segment Anything with random weights, and what the pipeline of transformers makes of a picture with them.

The pipeline's image processors need torchvision in two places: to resize for SAM 2, and to remove repeated masks. torchvision
cannot be installed beside every build of torch, so here SAM 2 gets the processor of SAM with the other enlargement of its
masks, and repeated masks are removed by the definition.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reconstruction.segmentation.foundation.automatic_masks import MaskChoice

SIDE_PX = 64


def save_tiny(transformers: ModuleType, kind: str, folder: Path) -> None:
    """Save a network of this kind; its masks are decided, and their scores differ."""
    torch.manual_seed(3)
    network = _sam(transformers) if kind == "sam" else _sam2(transformers)
    with torch.no_grad():
        # Fresh layers hardly change what goes through them: all points would give the same mask, near 0 everywhere.
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.5 / parameter[0].numel() ** 0.5)
            if "output_hypernetworks_mlps" in name and "proj_out.weight" in name:
                parameter *= 10 if kind == "sam" else 1
    network.save_pretrained(folder)


def save_tiny_for_videos(transformers: ModuleType, folder: Path) -> None:
    """Save a network of SAM 2 for videos, of which that for pictures is a part."""
    parts = _sam2(transformers).config
    config = transformers.Sam2VideoConfig(
        vision_config=parts.vision_config.to_dict(),
        prompt_encoder_config=parts.prompt_encoder_config.to_dict(),
        mask_decoder_config=parts.mask_decoder_config.to_dict(),
        image_size=SIDE_PX,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=16,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    transformers.Sam2VideoModel(config).save_pretrained(folder)


def _sam(transformers: ModuleType) -> Any:
    vision = {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE_PX,
        "patch_size": 8,
        "window_size": 4,
        "global_attn_indexes": [1],
        "mlp_dim": 64,
        "num_pos_feats": 16,
    }
    return transformers.SamModel(
        transformers.SamConfig(
            vision_config=vision,
            prompt_encoder_config={"hidden_size": 32, "image_size": SIDE_PX, "patch_size": 8, "mask_input_channels": 4},
            mask_decoder_config={"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
        )
    )


def _sam2(transformers: ModuleType) -> Any:
    backbone = {
        "hidden_size": 16,
        "image_size": [SIDE_PX, SIDE_PX],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [16, 32, 64, 128],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "window_size_per_stage": [4, 4, 4, 4],
        "window_positional_embedding_background_size": [2, 2],
        "global_attention_blocks": [3],
        "model_type": "sam2_hiera_det_model",
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": [128, 64, 32, 16],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 32,
        "model_type": "sam2_vision_model",
    }
    return transformers.Sam2Model(
        transformers.Sam2Config(
            vision_config=vision,
            prompt_encoder_config={"hidden_size": 32, "image_size": SIDE_PX, "patch_size": 16, "mask_input_channels": 4},
            mask_decoder_config={"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
        )
    )


def pipeline_masks(
    transformers: ModuleType, kind: str, folder: Path, picture: NDArray[np.uint8], choice: MaskChoice
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return masks and scores that transformers' own pipeline ``mask-generation`` gives for a picture (h, w, 3)."""
    network_class = transformers.SamModel if kind == "sam" else transformers.Sam2Model
    pipeline = transformers.MaskGenerationPipeline(
        model=network_class.from_pretrained(folder, local_files_only=True).eval(),
        image_processor=_processor_class(transformers, stretches=kind == "sam2")(
            size={"longest_edge": SIDE_PX}, pad_size={"height": SIDE_PX, "width": SIDE_PX}
        ),
    )
    result = pipeline(
        Image.fromarray(picture),
        points_per_crop=choice.points_per_side,
        points_per_batch=64,
        pred_iou_thresh=choice.min_score,
        stability_score_thresh=choice.min_stability,
        crops_nms_thresh=choice.most_overlap,
    )
    masks = np.array(result["masks"], np.bool_).reshape(-1, *picture.shape[:2])
    return masks, result["scores"].numpy()


def _processor_class(transformers: ModuleType, *, stretches: bool) -> type[Any]:
    class Processor(transformers.SamImageProcessorPil):  # type: ignore[name-defined, misc]
        def post_process_masks(self, masks: Any, original_sizes: Any, **options: Any) -> Any:
            if not stretches:
                return super().post_process_masks(masks, original_sizes, **options)
            resize = torch.nn.functional.interpolate
            return [resize(mask, size, mode="bilinear") for mask, size in zip(masks, original_sizes, strict=True)]

        def post_process_for_mask_generation(self, masks: Any, scores: Any, boxes: Any, most_overlap: float) -> Any:
            kept = kept_by_definition(boxes.tolist(), scores.tolist(), most_overlap)
            return [_mask(masks[one]) for one in kept], scores[kept], None, boxes[kept]

    return Processor


def kept_by_definition(boxes: list[list[float]], scores: list[float], most_overlap: float) -> list[int]:
    """Return which boxes have no box with a higher score that overlaps them and is kept itself, by falling score."""
    kept: list[int] = []
    for one in sorted(range(len(scores)), key=lambda k: -scores[k]):
        if all(_iou(boxes[one], boxes[other]) <= most_overlap for other in kept):
            kept.append(one)
    return kept


def _iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


def _mask(lengths: dict[str, list[int]]) -> NDArray[np.bool_]:
    """Return the mask of run lengths, which go down the columns and begin with background."""
    height, width = lengths["size"]
    values = np.arange(len(lengths["counts"])) % 2 == 1
    return np.repeat(values, lengths["counts"]).reshape(width, height).T
