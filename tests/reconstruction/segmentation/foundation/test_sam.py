"""Segment Anything gives the masks of transformers' own pipeline, and a picture is embedded once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.foundation.automatic_masks import MaskChoice, automatic_masks, distinct
from reconstruction.segmentation.foundation.picture import ContrastWindow, picture
from reconstruction.segmentation.foundation.prompts import Box, Click
from reconstruction.segmentation.foundation.sam import Sam, Sam2, SamSettings, labels_of_masks
from reconstruction.segmentation.foundation.weights import CONFIG, SAFETENSORS
from tests.helpers.tiny_sam import kept_by_definition, pipeline_masks, save_tiny_for_videos

CLASSES = {"sam": Sam, "sam2": Sam2}
#: Some masks of the random networks are kept, others are not.
CHOICES = {
    "sam": MaskChoice(points_per_side=6, min_score=0.1, min_stability=0.5, most_overlap=1),
    "sam2": MaskChoice(points_per_side=6, min_score=0.45, min_stability=0.5, most_overlap=1),
}
CHOICE = CHOICES["sam"]


@pytest.fixture
def disc() -> NDArray[np.bool_]:
    y, x = np.mgrid[:48, :48] - 23.5
    return x**2 + y**2 < 23**2


@pytest.fixture
def phase_rad(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[:48, :48]
    cells = sum(1.5 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 30) for cx, cy in rng.uniform(10, 38, (5, 2)))
    return np.asarray(cells, np.float32)


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_masks_are_those_of_the_pipeline_of_transformers(
    transformers: ModuleType, tiny: dict[str, Path], kind: str, phase_rad: NDArray[np.float32], disc: NDArray[np.bool_]
) -> None:
    segmenter, choice = CLASSES[kind](tiny[kind]), CHOICES[kind]
    image = picture(phase_rad, disc, ContrastWindow())
    masks, scores = automatic_masks(segmenter.network, segmenter.network.embed(image), choice)
    expected, expected_scores = pipeline_masks(transformers, kind, tiny[kind], image, choice)
    assert 10 < len(expected) < 3 * choice.points_per_side**2, "the choice keeps some masks and removes others"
    # Of equal scores, either may come first.
    assert sorted(mask.tobytes() for mask in masks) == sorted(mask.tobytes() for mask in expected)
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)
    few = replace(choice, most_overlap=0.7)
    fewer, _ = automatic_masks(segmenter.network, segmenter.network.embed(image), few)
    np.testing.assert_array_equal(fewer, pipeline_masks(transformers, kind, tiny[kind], image, few)[0])
    assert 0 < len(fewer) < len(masks)


def test_of_boxes_that_overlap_the_best_is_kept(rng: np.random.Generator) -> None:
    corners = rng.integers(0, 20, (40, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 20, (40, 2))], axis=1).astype(float)  # some have no area
    scores = rng.permutation(40).astype(np.float32)
    kept = distinct(boxes, scores, 0.4)
    assert kept.tolist() == kept_by_definition(boxes.tolist(), scores.tolist(), 0.4)
    assert 5 < len(kept) < 35


def test_labels_are_the_best_masks_in_the_disc(
    tiny: dict[str, Path], phase_rad: NDArray[np.float32], disc: NDArray[np.bool_]
) -> None:
    with Sam(tiny["sam"], SamSettings(choice=CHOICE, most_area=0.9)) as segmenter:
        result = segmenter.segment(phase_rad, disc)
        masks, scores = automatic_masks(
            segmenter.network, segmenter.network.embed(picture(phase_rad, disc, ContrastWindow())), CHOICE
        )
    assert result.count > 0
    assert not result.labels[~disc].any()
    best = masks[scores.argmax()] & disc
    assert len(np.unique(result.labels[best])) == 1, "the best mask is whole"
    assert result.scores[result.labels[best][0] - 1] == min(scores.max(), 1)


def test_a_pixel_belongs_to_the_best_mask_and_large_and_small_ones_are_dropped() -> None:
    disc = np.ones((10, 10), np.bool_)
    masks = np.zeros((4, 10, 10), np.bool_)
    masks[0, :, :6] = True  # 60 % of the image
    masks[1, 0:4, 0:4] = True
    masks[2, 2:6, 2:6] = True
    masks[3, 9, 9] = True
    labels, scores = labels_of_masks(masks, np.array([0.99, 0.8, 1.2, 0.9], np.float32), disc, most_area=0.5, min_area_px=5)
    assert set(np.unique(labels)) == {0, 2, 3}
    assert (labels == 3).sum() == 16
    assert (labels == 2).sum() == 12
    assert scores.max() == 1.0


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_a_frame_is_embedded_once_for_all_clicks(
    tiny: dict[str, Path], kind: str, phase_rad: NDArray[np.float32], disc: NDArray[np.bool_], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = CLASSES[kind](tiny[kind], SamSettings(choice=CHOICE))
    calls = []
    encoder = segmenter.network._network.vision_encoder  # noqa: SLF001
    hook = encoder.register_forward_hook(lambda *_: calls.append(1))
    prompts = segmenter.prompts()
    prompts.embed(phase_rad, disc)
    answers = [
        prompts.prompted([Click(x_px=20, y_px=20)]),
        prompts.prompted([Click(x_px=20, y_px=20), Click(x_px=5, y_px=40, on_object=False)]),
        prompts.prompted(box=Box(left_px=10, top_px=10, right_px=30, bottom_px=30)),
        prompts.prompted([Click(x_px=20, y_px=20)], Box(left_px=10, top_px=10, right_px=30, bottom_px=30)),
    ]
    segmenter.segment(phase_rad, disc)
    assert len(calls) == 1
    prompts.embed(phase_rad[::-1].copy(), disc)
    assert len(calls) == 2
    hook.remove()
    assert all(answer.mask.shape == phase_rad.shape and 0 <= answer.score <= 1 for answer in answers)
    assert not any(answer.mask[~disc].any() for answer in answers)
    assert len({answer.mask.tobytes() for answer in answers}) > 1, "the prompts matter"


def test_a_click_gives_the_mask_of_transformers_with_the_highest_score(
    transformers: ModuleType, tiny: dict[str, Path], phase_rad: NDArray[np.float32]
) -> None:
    disc = np.ones(phase_rad.shape, np.bool_)
    prompts = Sam(tiny["sam"]).prompts()
    prompts.embed(phase_rad, disc)
    answer = prompts.prompted([Click(x_px=30, y_px=12)])
    side = {"height": 64, "width": 64}
    processor = transformers.SamProcessor(transformers.SamImageProcessorPil(size={"longest_edge": 64}, pad_size=side))
    inputs = processor(images=picture(phase_rad, disc, ContrastWindow()), input_points=[[[30, 12]]], return_tensors="pt")
    with torch.no_grad():
        output = transformers.SamModel.from_pretrained(tiny["sam"], local_files_only=True).eval()(**inputs)
    masks = processor.post_process_masks(output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"])
    best = int(output.iou_scores[0, 0].argmax())
    np.testing.assert_array_equal(answer.mask, masks[0][0, best].numpy())


def test_clicks_need_a_frame_and_something_to_ask(
    tiny: dict[str, Path], phase_rad: NDArray[np.float32], disc: NDArray[np.bool_]
) -> None:
    prompts = Sam(tiny["sam"]).prompts()
    with pytest.raises(SegmentationError, match="no frame is prepared"):
        prompts.prompted([Click(x_px=1, y_px=1)])
    with pytest.raises(SegmentationError, match="no finite phase"):
        prompts.embed(np.full_like(phase_rad, np.nan), disc)
    prompts.embed(phase_rad, disc)
    with pytest.raises(SegmentationError, match="nothing is asked"):
        prompts.prompted()


def test_truth_and_reconstruction_have_the_same_contrast(phase_rad: NDArray[np.float32], disc: NDArray[np.bool_]) -> None:
    """The mean phase does not matter, noise outside the disc neither, and one radian is as many grey levels everywhere."""
    window = ContrastWindow(low_rad=-1, high_rad=2)
    image = picture(phase_rad, disc, window)
    other = np.where(disc, phase_rad + 0.75, np.float32(np.nan))
    np.testing.assert_allclose(image.astype(int), picture(other, disc, window), atol=1)
    assert image[~disc].max() == image[~disc].min() == 85
    step = np.where(np.mgrid[:48, :48][1] < 16, np.float32(1), np.float32(0))
    assert set(np.unique(picture(step, disc, window)[disc])) == {85, 170}


def test_settings_hold_all_that_labels_depend_on(tiny: dict[str, Path]) -> None:
    settings = Sam(tiny["sam"], SamSettings(choice=CHOICE, most_area=0.4, device="cpu")).settings()
    assert all(isinstance(value, str | float | int) for value in settings.values())
    assert len(str(settings["weights_sha256"])) == 64
    expected = {"segmenter": "sam", "points_per_side": 6, "most_area": 0.4, "low_rad": -0.5, "high_rad": 2.5, "device": "cpu"}
    assert expected.items() <= dict(settings).items()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="low < high"):
        ContrastWindow(low_rad=1, high_rad=1)
    with pytest.raises(ValueError, match="128 points"):
        MaskChoice(points_per_side=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        MaskChoice(min_score=2)
    with pytest.raises(ValueError, match="fraction of the image"):
        SamSettings(most_area=0)


@pytest.fixture
def folder(tiny: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the weights of SAM that a test may damage."""
    return Path(shutil.copytree(tiny["sam"], tmp_path / "weights"))


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / SAFETENSORS)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("vision_config", "num_hidden_layers", 10**9),
        ("vision_config", "num_hidden_layers", 60_000),
        ("vision_config", "hidden_size", 64),
        ("vision_config", "num_hidden_layers", 1),
        ("vision_config", "num_hidden_layers", "two"),
        ("prompt_encoder_config", "image_size", 60_000),
        ("mask_decoder_config", "num_attention_heads", 0),
    ],
)
def test_a_configuration_of_another_size_is_refused(folder: Path, part: str, name: str, value: object) -> None:
    def change(config: dict[str, Any]) -> None:
        config[part][name] = value

    changed(folder, change)
    with pytest.raises(SegmentationError, match=r"facebook/sam-vit-base|no network"):
        Sam(folder)


def test_only_the_shape_of_the_network_is_read_from_a_configuration(folder: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["auto_map"] = {"AutoModel": "code--that.runs"}
        config["quantization_config"] = {"quant_method": "unknown"}
        config["vision_config"]["_attn_implementation"] = "unknown"
        config["transformers_weights"] = "../other.safetensors"

    changed(folder, change)
    assert Sam(folder).settings()["segmenter"] == "sam"


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    weights = weights_of(folder)
    name = "mask_decoder.iou_token.weight"
    weights[name] = torch.cat([weights[name]] * 2)
    safetensors.torch.save_file(weights, folder / SAFETENSORS)
    with pytest.raises(SegmentationError, match="no network for the segmenter 'sam'"):
        Sam(folder)


def test_a_partial_checkpoint_is_refused(folder: Path) -> None:
    weights = weights_of(folder)
    del weights["mask_decoder.iou_token.weight"]
    # As many numbers as before, so that only the name is missing.
    weights["mask_decoder.other"] = torch.zeros(10_000)
    safetensors.torch.save_file(weights, folder / SAFETENSORS)
    with pytest.raises(SegmentationError, match=r"are absent, such as mask_decoder\.iou_token\.weight"):
        Sam(folder)


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    weights = weights_of(folder)
    weights["mask_decoder.iou_token.weight"][0] = torch.nan
    safetensors.torch.save_file(weights, folder / SAFETENSORS)
    with pytest.raises(SegmentationError, match="a weight is not finite"):
        Sam(folder)


def test_weights_of_the_other_network_are_refused(tiny: dict[str, Path], folder: Path) -> None:
    with pytest.raises(SegmentationError, match="model_type is 'sam2', not sam"):
        Sam(tiny["sam2"])
    shutil.copy(tiny["sam2"] / SAFETENSORS, folder)
    with pytest.raises(SegmentationError, match="no network for the segmenter 'sam'"):
        Sam(folder)


def test_weights_of_the_network_for_videos_hold_those_of_the_one_for_pictures(transformers: ModuleType, tmp_path: Path) -> None:
    """The published weights of SAM 2.1 are of this form."""
    save_tiny_for_videos(transformers, tmp_path)
    assert json.loads((tmp_path / CONFIG).read_text())["model_type"] == "sam2_video"
    network = Sam2(tmp_path).network._network  # noqa: SLF001
    stored = weights_of(tmp_path)
    assert any(name.startswith("memory_attention") for name in stored)
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())
