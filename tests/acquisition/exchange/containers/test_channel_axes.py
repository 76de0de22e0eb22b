"""Files of other programs: channels are used only where the file or the operator says what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tensorstore as ts
import tifffile
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs, import_pairs

COUNT = 4
NAMES = ["red", "green", "blue"]
RNG = np.random.default_rng(3)
FRAMES = RNG.integers(0, 256, (COUNT, 3, 8, 10)).astype(np.uint8)
PHASE = RNG.uniform(0, 2.5, (COUNT, 6, 6)).astype(np.float32)
OPTIONS = ImportOptions(phase_range_rad=2.6)


def npz(path: Path, frames: NDArray[Any], **more: Any) -> Path:
    file = path / "x.npz"
    np.savez(file, speckle=frames, phase=PHASE, **more)
    return file


def hdf5(path: Path, frames: NDArray[Any], **more: Any) -> Path:
    file = path / "x.h5"
    with h5py.File(file, "w") as opened:
        opened["speckle"], opened["phase"] = frames, PHASE
        for key, value in more.items():
            opened[key] = value
    return file


def hdf5_attribute(path: Path, frames: NDArray[Any], **more: Any) -> Path:
    file = hdf5(path, frames)
    with h5py.File(file, "r+") as opened:
        opened.attrs.update(more)
    return file


def matlab(path: Path, frames: NDArray[Any], **more: Any) -> Path:
    file = path / "x.mat"
    texts = {key: np.array(value, object)[:, None] for key, value in more.items()}
    arrays = {"speckle": frames.transpose(2, 3, 1, 0), "phase": PHASE.transpose(1, 2, 0)}
    scipy.io.savemat(file, {**arrays, **texts})
    return file


def ome_tiff(path: Path, names: list[str], frames: NDArray[Any] = FRAMES, stem: str = "x_speckle") -> Path:
    facts: dict[str, Any] = {"axes": "TCYX", "Channel": {"Name": names}} if names else {"axes": "TCYX"}
    tifffile.imwrite(path / f"{stem}.ome.tif", frames, ome=True, photometric="minisblack", metadata=facts)
    tifffile.imwrite(path / "x_phase.ome.tif", PHASE, ome=True, photometric="minisblack", metadata={"axes": "TYX"})
    return path / f"{stem}.ome.tif"


def ome_zarr(path: Path, names: list[str], frames: NDArray[Any] = FRAMES, stem: str = "x_speckle") -> Path:
    write_image(path / f"{stem}.ome.zarr", frames, "tcyx", names)
    write_image(path / "x_phase.ome.zarr", PHASE, "tyx", [])
    return path / f"{stem}.ome.zarr"


def write_image(folder: Path, array: NDArray[Any], axes: str, names: list[str]) -> None:
    """Write one OME-Zarr image with its axes and the names of its channels."""
    folder.mkdir()
    image = {"axes": [{"name": axis} for axis in axes], "datasets": [{"path": "0"}], "name": folder.name}
    facts = {"version": "0.5", "multiscales": [image], "omero": {"channels": [{"label": name} for name in names]}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": facts}}
    (folder / "zarr.json").write_text(json.dumps(group))
    write_zarr(folder / "0", array, list(axes))


def write_zarr(folder: Path, array: NDArray[Any], axes: list[str]) -> None:
    metadata = {"shape": array.shape, "data_type": array.dtype.name, "dimension_names": axes}
    kvstore = {"driver": "file", "path": f"{folder}/"}
    ts.open({"driver": "zarr3", "kvstore": kvstore, "metadata": metadata, "create": True}).result().write(array).result()


def imported(file: Path, options: ImportOptions = OPTIONS) -> Archive:
    return Archive.open(import_pairs(file, file.parent / "archives", "x", options))


def refused(file: Path, options: ImportOptions = OPTIONS) -> str:
    with pytest.raises(PairImportError) as caught:
        import_pairs(file, file.parent / "archives", "x", options)
    assert not (file.parent / "archives").exists()
    return str(caught.value)


def stacked(archive: Archive) -> NDArray[Any]:
    return np.stack([archive.read("speckle", k) for k in range(len(archive))])


@pytest.mark.parametrize("write", [npz, hdf5, hdf5_attribute, matlab])
def test_names_of_channels_in_the_file_make_its_four_axes_clear(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write(tmp_path, FRAMES, channels=NAMES)
    archive = imported(file)
    np.testing.assert_array_equal(stacked(archive), FRAMES)
    assert archive.metadata["channels"] == NAMES
    assert any("C 3" in note and "its 3 channels have names" in note for note in check_pairs(file, OPTIONS).notes)


@pytest.mark.parametrize("write", [npz, hdf5, matlab])
def test_four_axes_that_nothing_explains_are_refused_with_the_remedy(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write(tmp_path, FRAMES)
    text = refused(file)
    assert "it has no 'speckle' of shape (N, H, W)" in text
    assert "if its frames have channels, state --axes NCHW or HWCN" in text
    stated = "HWCN" if write is matlab else "NCHW"
    archive = imported(file, ImportOptions(phase_range_rad=2.6, axes=stated))
    np.testing.assert_array_equal(stacked(archive), FRAMES)
    assert archive.metadata["channels"] == ["channel 1", "channel 2", "channel 3"]
    assert "its 3 channels have no names of their own; they are numbered" in " ".join(
        check_pairs(file, ImportOptions(phase_range_rad=2.6, axes=stated)).notes
    )


@pytest.mark.parametrize("names", [["red", "green"], ["red", "red", "blue"], ["red", "", "blue"]])
def test_names_that_do_not_fit_are_no_evidence(names: list[str], tmp_path: Path) -> None:
    assert "of shape (4, 3, 8, 10) holds no images" in refused(npz(tmp_path, FRAMES, channels=names))


@pytest.mark.parametrize("more", [{}, {"channels": NAMES}])
def test_colour_pictures_with_the_colour_last_stay_refused(more: dict[str, Any], tmp_path: Path) -> None:
    pictures = np.ascontiguousarray(np.moveaxis(FRAMES, 1, -1))
    assert "it has no 'speckle' of shape (N, H, W)" in refused(npz(tmp_path, pictures, **more))


def test_numbers_called_channels_stay_an_array(tmp_path: Path) -> None:
    images = RNG.uniform(size=(COUNT, 5, 6)).astype(np.float32)
    archive = imported(npz(tmp_path, FRAMES[:, 0], channels=images))
    np.testing.assert_array_equal(archive.read("channels", 2), images[2])


def test_a_phase_with_channels_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez(file, speckle=FRAMES, phase=np.stack([PHASE, PHASE], 1))
    text = refused(file, ImportOptions(phase_range_rad=2.6, axes="NCHW"))
    assert "'phase' has images of shape (2, 6, 6): only the speckle may have channels; save it as (N, H, W)" in text


def test_labels_of_the_dimensions_make_hdf5_clear(tmp_path: Path) -> None:
    file = hdf5(tmp_path, np.moveaxis(FRAMES, 1, 3))
    with h5py.File(file, "r+") as opened:
        for dimension, label in zip(opened["speckle"].dims, "tyxc", strict=True):
            dimension.label = label
    np.testing.assert_array_equal(stacked(imported(file)), FRAMES)


def test_names_of_the_dimensions_make_a_zarr_group_clear(tmp_path: Path) -> None:
    group = tmp_path / "x.zarr"
    group.mkdir()
    (group / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    write_zarr(group / "speckle", FRAMES, ["time", "channel", "y", "x"])
    write_zarr(group / "phase", PHASE, ["time", "y", "x"])
    np.testing.assert_array_equal(stacked(imported(group)), FRAMES)


@pytest.mark.parametrize("write", [ome_tiff, ome_zarr])
def test_named_channels_of_a_file_of_the_speckle_are_its_channels(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write(tmp_path, NAMES)
    archive = imported(file)
    np.testing.assert_array_equal(stacked(archive), FRAMES)
    assert (archive.metadata["channels"], archive.arrays) == (NAMES, ("speckle", "phase"))
    assert any("its channels red, green, blue are those of the speckle" in note for note in check_pairs(file, OPTIONS).notes)


@pytest.mark.parametrize("write", [ome_tiff, ome_zarr])
def test_one_channel_is_used_alone_where_it_is_named(write: Callable[..., Path], tmp_path: Path) -> None:
    archive = imported(write(tmp_path, NAMES), ImportOptions(phase_range_rad=2.6, speckle="green"))
    np.testing.assert_array_equal(stacked(archive), FRAMES[:, 1])
    assert "channels" not in archive.metadata


@pytest.mark.parametrize("write", [ome_tiff, ome_zarr])
@pytest.mark.parametrize("names", [[], ["red", "red", "blue"], ["red", "phase", "blue"]])
def test_channels_that_are_not_clear_stay_refused(write: Callable[..., Path], names: list[str], tmp_path: Path) -> None:
    assert "it has no 'speckle' of shape (N, H, W)" in refused(write(tmp_path, names))


@pytest.mark.parametrize("write", [ome_tiff, ome_zarr])
def test_a_file_with_another_name_keeps_its_channels_apart(write: Callable[..., Path], tmp_path: Path) -> None:
    file = write(tmp_path, NAMES, stem="frames")
    phase = str(next(tmp_path.glob("x_phase.*")))
    options = ImportOptions(phase_range_rad=2.6, phase=phase)
    assert "its arrays of three axes are: red, green, blue" in refused(file, options)


def test_a_tiff_of_colour_pictures_stays_refused(tmp_path: Path) -> None:
    pictures = np.ascontiguousarray(np.moveaxis(FRAMES, 1, -1))
    file = tmp_path / "x_speckle.ome.tif"
    tifffile.imwrite(file, pictures, ome=True, photometric="rgb", metadata={"axes": "TYXS"})
    tifffile.imwrite(tmp_path / "x_phase.ome.tif", PHASE, ome=True, photometric="minisblack", metadata={"axes": "TYX"})
    assert "its images are in colour; save each channel in grey" in refused(file)
