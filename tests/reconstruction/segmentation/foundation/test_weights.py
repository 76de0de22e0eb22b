"""Folders of weights that are absent, damaged or hostile are refused, with what to do about it."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from reconstruction.segmentation.base import SegmentationError
from reconstruction.segmentation.config import SegmentationConfig
from reconstruction.segmentation.foundation.cellpose import Cellpose, CellposeSettings
from reconstruction.segmentation.foundation.sam import Sam, Sam2
from reconstruction.segmentation.foundation.sam_network import SAM
from reconstruction.segmentation.foundation.weights import CONFIG, PICKLE, SAFETENSORS, default_folder, read_checkpoint

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that can be read; no network fits it."""
    place = tmp_path / "weights"
    place.mkdir()
    (place / CONFIG).write_text('{"model_type": "sam"}')
    safetensors.torch.save_file(WEIGHTS, place / SAFETENSORS)
    return place


class Marker:
    """A pickle that creates a file when it is read by the usual means."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_folder_is_read_with_its_hashes(folder: Path) -> None:
    checkpoint = read_checkpoint(folder, SAM.source)
    assert checkpoint.config == {"model_type": "sam"}
    assert checkpoint.elements == 8
    assert torch.equal(checkpoint.weights["a"], WEIGHTS["a"])
    assert len(checkpoint.sha256) == len(checkpoint.config_sha256) == 64


@pytest.mark.parametrize(("segmenter", "page"), [(Sam, "facebook/sam-vit-base"), (Sam2, "facebook/sam2.1-hiera-tiny")])
def test_absent_weights_say_where_to_get_them_and_where_to_put_them(tmp_path: Path, segmenter: type[Sam], page: str) -> None:
    place = tmp_path / "nothing"
    with pytest.raises(SegmentationError) as caught:
        segmenter.of(SegmentationConfig(kind=segmenter.kind, weights=place))
    message = str(caught.value)
    for part in (str(place), CONFIG, SAFETENSORS, page, "Apache-2.0", "hf download", "downloads nothing"):
        assert part in message


def test_without_a_folder_the_one_of_the_kind_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(SegmentationError) as caught:
        Sam2.of(SegmentationConfig(kind="sam2"))
    assert str(default_folder("sam2")) in str(caught.value)


@pytest.mark.parametrize("name", [CONFIG, SAFETENSORS])
def test_a_file_that_is_absent_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(SegmentationError, match=f"has no {name}; get {CONFIG} and"):
        read_checkpoint(folder, SAM.source)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"no json",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b" " * (2**20 + 1),
        b'{"x": {"y": 70000}}',
        b'{"x": [1, 1e9, 10000000]}',
    ],
    ids=["empty", "list", "text", "bytes", "deep", "huge", "large number", "large number in a list"],
)
def test_a_configuration_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / CONFIG).write_bytes(content)
    with pytest.raises(SegmentationError, match=r"no configuration of a network .*facebook/sam-vit-base"):
        read_checkpoint(folder, SAM.source)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_refused(folder: Path, length: int) -> None:
    path = folder / SAFETENSORS
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SegmentationError, match="is damaged or no safetensors file"):
        read_checkpoint(folder, SAM.source)


def test_a_pickle_with_another_name_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (folder / SAFETENSORS).write_bytes(pickle.dumps(Marker(mark)))
    with pytest.raises(SegmentationError, match="is damaged or no safetensors file"):
        read_checkpoint(folder, SAM.source, allow_pickle=True)
    assert not mark.exists()


def test_a_pickle_is_read_only_with_permission_and_never_runs(folder: Path, tmp_path: Path) -> None:
    (folder / SAFETENSORS).unlink()
    torch.save(WEIGHTS, folder / PICKLE)
    with pytest.raises(SegmentationError, match="set allow_pickle if you trust"):
        read_checkpoint(folder, SAM.source)
    assert torch.equal(read_checkpoint(folder, SAM.source, allow_pickle=True).weights["b"], WEIGHTS["b"])
    mark = tmp_path / "mark"
    torch.save({"a": Marker(mark)}, folder / PICKLE)
    with pytest.raises(SegmentationError, match="holds more than tensors"):
        read_checkpoint(folder, SAM.source, allow_pickle=True)
    assert not mark.exists()
    torch.save({"a": 1}, folder / PICKLE)
    with pytest.raises(SegmentationError, match="something else than tensors"):
        read_checkpoint(folder, SAM.source, allow_pickle=True)


def test_links_to_other_places_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / SAFETENSORS, tmp_path / "elsewhere")
    (folder / SAFETENSORS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SegmentationError, match="outside its folder"):
        read_checkpoint(folder, SAM.source)


def test_without_transformers_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(SegmentationError, match="pip install transformers"):
        Sam(folder)


def test_weights_of_cellpose_are_checked_before_cellpose_is_imported(tmp_path: Path) -> None:
    """A file that is absent would make Cellpose download its own."""
    file = tmp_path / "cpsam_v2"
    with pytest.raises(SegmentationError, match="non-commercial use only"):
        Cellpose.of(SegmentationConfig(kind="cellpose", weights=file))
    torch.save(WEIGHTS, file)
    with pytest.raises(SegmentationError, match="is a pickle"):
        Cellpose(file)
    with pytest.raises(SegmentationError, match="no weights of Cellpose 4"):
        Cellpose(file, CellposeSettings(allow_pickle=True))
    mark = tmp_path / "mark"
    torch.save({"W2": Marker(mark)}, file)
    with pytest.raises(SegmentationError, match="holds more than tensors"):
        Cellpose(file, CellposeSettings(allow_pickle=True))
    assert not mark.exists()
