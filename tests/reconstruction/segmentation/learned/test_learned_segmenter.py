"""The learned segmenter gives what its network says, and refuses weights that are not its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from acquisition.patterns.tissue.scene import tissue_scene
from reconstruction.engines.base import EngineError
from reconstruction.field import field_mask
from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.learned import compiled
from reconstruction.segmentation.learned.compiled import SegmenterEngine
from reconstruction.segmentation.learned.maps import labels_of
from reconstruction.segmentation.learned.network import (
    SegmenterNetwork,
    SegmenterShape,
    in_torch,
    load_network,
    network_input,
    save_network,
)
from reconstruction.segmentation.learned.segmenter import SHIPPED_WEIGHTS
from reconstruction.segmentation.registry import open_segmenter
from reconstruction.segmentation.scores import ap50

SHAPE = SegmenterShape(base_channels=4, multipliers=(1, 2))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(2)
    network = SegmenterNetwork(SHAPE)
    torch.nn.init.normal_(network.unet.head.weight)
    save_network(tmp_path / "cells.safetensors", network, {"minutes": 1.5})
    return tmp_path / "cells.safetensors"


@pytest.mark.parametrize("side", [32, 37])
def test_labels_are_those_of_the_maps(weights: Path, side: int, rng: np.random.Generator) -> None:
    """Also for an image whose side the network cannot halve."""
    phase = rng.normal(1, 0.5, (side, side)).astype(np.float32)
    mask = np.ones(phase.shape, np.bool_)
    mask[:3] = False
    with open_segmenter(SegmentationConfig(kind="learned", weights=weights, min_area_px=1)) as segmenter:
        result = segmenter.segment(phase, mask)
        assert segmenter.settings()["weights"] == load_network(weights)[2]
    network, facts, _ = load_network(weights)
    assert facts == {"minutes": 1.5}
    padded = np.pad(network_input(phase, mask), ((0, 0), (0, side % 2), (0, side % 2)))
    with torch.inference_mode():
        maps = network(torch.from_numpy(padded)[None])[0].numpy()[:, :side, :side]
    maps[:2] = 1 / (1 + np.exp(-maps[:2]))
    expected, _ = labels_of(maps * mask, 0.5, 1)
    assert result.count > 0
    assert ((result.labels > 0) == (np.where(mask, expected, 0) > 0)).mean() > 0.99
    assert result.labels[:3].max() == 0
    assert ((result.scores >= 0.5) & (result.scores <= 1)).all()


def test_an_engine_that_gives_other_maps_than_torch_is_not_used(
    weights: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, _, identity = load_network(weights)
    images = rng.normal(0, 1, (1, 2, 32, 32)).astype(np.float32)
    expected = in_torch(network)(images)
    engine = SegmenterEngine(network, identity)
    assert np.abs(engine(images) - expected).max() < 1e-3
    assert engine.name == "openvino"
    monkeypatch.setattr(compiled, "_openvino", lambda graph: lambda images: expected + np.float32(0.01))

    def broken(graph: object) -> None:
        raise EngineError("it refuses the graph")

    monkeypatch.setattr(compiled, "_onnxruntime", broken)
    other = SegmenterEngine(network, identity)
    assert np.array_equal(other(images), expected)
    assert other.name == "torch"


def test_the_mean_phase_does_not_matter(weights: Path, rng: np.random.Generator) -> None:
    phase, mask = rng.normal(1, 0.5, (32, 32)).astype(np.float32), np.ones((32, 32), np.bool_)
    with open_segmenter(SegmentationConfig(kind="learned", weights=weights)) as segmenter:
        first, second = (segmenter.segment(phase + np.float32(level), mask) for level in (0, 0.5))
    assert ((first.labels > 0) == (second.labels > 0)).mean() > 0.99


def test_the_shipped_segmenter_finds_cells_that_it_has_never_seen_and_none_where_there_are_none() -> None:
    mask = field_mask(128, 0.97)
    scores = []
    with open_segmenter(SegmentationConfig(kind="learned")) as segmenter:
        for index in range(4):
            scene = tissue_scene(128, 10_000_019, index)
            labels = segmenter.segment(np.where(mask, scene.grey * np.float32(2.85), np.float32(0)), mask).labels
            scores.append(ap50(labels, np.where(mask, scene.labels, 0).astype(np.uint16)))
        noise = np.random.default_rng(0).normal(0.3, 0.05, mask.shape).astype(np.float32)
        empty = [segmenter.segment(np.where(mask, image, np.float32(0)), mask).labels.max() for image in (noise, 0 * noise)]
    assert np.mean(scores) > 0.85
    assert empty == [0, 0]
    assert SHIPPED_WEIGHTS.stat().st_size < 10e6


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(SegmentationError, match="specklescope train FOLDER --kind segmentation"):
        open_segmenter(SegmentationConfig(kind="learned", weights=tmp_path / "none.safetensors"))


def test_weights_of_something_else_are_refused(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(SegmentationError, match="holds no learned segmenter"):
        load_network(path)
    damaged = bytearray(weights.read_bytes())
    damaged = damaged[: len(damaged) // 2]
    path.write_bytes(damaged)
    with pytest.raises(SegmentationError, match="holds no learned segmenter"):
        load_network(path)


def test_weights_that_promise_more_than_they_hold_are_refused(tmp_path: Path, weights: Path) -> None:
    data = weights.read_bytes().replace(b'\\"base_channels\\": 4', b'\\"base_channels\\":99')
    assert data != weights.read_bytes()
    (tmp_path / "large.safetensors").write_bytes(data)
    with pytest.raises(SegmentationError, match="holds no learned segmenter"):
        load_network(tmp_path / "large.safetensors")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    network = SegmenterNetwork(SHAPE)
    torch.nn.init.constant_(network.unet.head.weight, float("nan"))
    save_network(tmp_path / "nan.safetensors", network, {})
    with pytest.raises(SegmentationError, match="not finite"):
        load_network(tmp_path / "nan.safetensors")


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_impossible_thresholds_are_refused(weights: Path, threshold: float) -> None:
    with pytest.raises(SegmentationError, match="between 0 and 1"):
        open_segmenter(SegmentationConfig(kind="learned", weights=weights, threshold=threshold))
