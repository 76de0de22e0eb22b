"""napari opens OME-Zarr and OME-TIFF exports: images with their scale, and the segmentation as a layer of labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.archives.exported_recording import INTERVAL_S, PHASE_PIXEL_UM, PIXEL_UM, exported, exported_dataset
from tests.helpers.readers_environment import asked, needs_readers, same_values

pytestmark = [pytest.mark.slow, needs_readers]
UNITS = ["second", "micrometer", "micrometer"]


def test_napari_opens_ome_zarr_with_scale_units_and_labels(tmp_path: Path) -> None:
    example = exported(tmp_path, "ome-zarr")
    [speckle], [phase, labels] = asked("napari", example.path_of("speckle"), example.path_of("phase"))
    for layer, name, side_um in (
        (speckle, "speckle", PIXEL_UM),
        (phase, "phase", PHASE_PIXEL_UM),
        (labels, "labels", PHASE_PIXEL_UM),
    ):
        assert same_values(layer, example.stack(name)), name
        assert layer["shape"] == list(example.stack(name).shape)
        assert layer["scale"] == pytest.approx([INTERVAL_S, side_um, side_um])
        assert layer["units"] == UNITS
    assert [layer["kind"] for layer in (speckle, phase, labels)] == ["Image", "Image", "Labels"]
    assert speckle["contrast"] == [0, 2**12 - 1]  # of the channel in `omero`: the bits of the camera
    assert phase["contrast"][0] < example.stack("phase").mean() < phase["contrast"][1]


def test_napari_opens_every_ome_tiff_as_frames(tmp_path: Path) -> None:
    example = exported(tmp_path, "ome-tiff")
    for [layer], name in zip(asked("napari", *example.paths), example.archive.arrays, strict=True):
        assert layer["shape"] == list(example.stack(name).shape)
        assert same_values(layer, example.stack(name)), name


def test_napari_opens_a_dataset_of_an_earlier_version(tmp_path: Path) -> None:
    example = exported_dataset(tmp_path, "ome-zarr")
    for layers, name in zip(asked("napari", *example.paths), example.archive.arrays, strict=True):
        assert [layer["kind"] for layer in layers] == ["Image"]
        assert same_values(layers[0], example.stack(name)), name
