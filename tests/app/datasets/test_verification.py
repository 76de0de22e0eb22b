"""``certify`` takes whatever the program stores, names what is damaged, and says where check sums are missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.references import StoredReference
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec
from acquisition.exchange.export import ExportFormat, export
from app.datasets.verification import NO_PLAN, ROWS_UNPROTECTED, verify
from reconstruction.training.checkpoint import CHECKPOINT, write_checkpoint
from tests.conftest import ROOT
from tests.helpers.command import refused, run_here
from tests.helpers.journals import execute

OLD = ROOT / "tests" / "fixtures" / "version-0.1.0"
FRAMES = 6


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    arrays = [ArraySpec("speckle", (16, 16), "uint8"), ArraySpec("phase", (8, 8), "float32", compress=True)]
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="r", arrays=arrays, metadata={"bit_depth": 8})
    rng = np.random.default_rng(1)
    with ArchiveWriter.create(tmp_path / "archive", spec, FRAMES) as writer:
        for k in range(FRAMES):
            images = {"speckle": rng.integers(0, 256, (16, 16), np.uint8), "phase": rng.random((8, 8), np.float32)}
            writer.append(images, PairRow(frame_index=k, t_ns=10**7 * k, exposure_s=0.01))
        writer.complete()
    return writer.path


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 4
    file.write_bytes(content)


def test_a_recording_is_verified(recording: Path, tmp_path: Path) -> None:
    run_here("certify", recording, "--json", "v.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "v.json").read_text())
    assert (numbers["content"], numbers["rows"], numbers["images_checked"]) == ("recording", FRAMES, 2 * FRAMES)
    assert (numbers["verdict"], numbers["rows_protected"], numbers["verified"]) == ("complete", True, True)
    assert numbers["damaged"] == []


def test_everything_that_is_damaged_in_a_recording_is_named(recording: Path, tmp_path: Path) -> None:
    flip(recording / "data.zarr" / "speckle" / "c.0.0.0", 300)
    execute(recording, "UPDATE rows SET t_ns = 1 WHERE idx = 4", "UPDATE status SET value = 'fine' WHERE key = 'verdict'")
    message = refused("certify", recording, "--json", "v.json", cwd=tmp_path)
    assert "is damaged: journal.sqlite: status 'verdict' differs" in message
    assert "(and 2 more)" in message
    numbers = json.loads((tmp_path / "v.json").read_text())
    assert not numbers["verified"]
    assert [text.partition(":")[0] for text in numbers["damaged"][:2]] == ["journal.sqlite", "row 4 of the journal"]
    assert "row 1 of 'speckle'" in numbers["damaged"][2]


def test_an_old_recording_is_verified_with_unprotected_rows(tmp_path: Path) -> None:
    check = verify(shutil.copytree(OLD / "take", tmp_path / "take"))
    assert check.verified
    assert check.notes == (ROWS_UNPROTECTED,)


@pytest.mark.parametrize("target", [ExportFormat.NPZ, ExportFormat.HDF5])
def test_an_export_is_verified_and_its_damage_is_named(target: ExportFormat, recording: Path, tmp_path: Path) -> None:
    (file,) = export(Archive.open(recording), tmp_path / "export", [target])
    assert verify(file).verified
    execute(recording, "UPDATE rows SET t_ns = 1 WHERE idx = 4")
    assert refused("export", recording, "--format", target.value, cwd=tmp_path).count("row 4")


def test_a_file_of_another_program_is_not_verified(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", speckle=np.ones((2, 4, 4), np.uint8), phase=np.ones((2, 4, 4), np.float32))
    assert "is not verified: no check sums in this file" in refused("certify", "foreign.npz", cwd=tmp_path)


def test_a_checkpoint_and_a_model_are_verified(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "run" / CHECKPOINT, {"a": torch.ones(30)}, {"n": 1})
    shutil.copytree(ROOT / "reconstruction" / "weights" / "unet-twin", tmp_path / "model")
    for folder, file in (("run", CHECKPOINT), ("model", "weights.safetensors")):
        assert verify(tmp_path / folder).verified
        flip(tmp_path / folder / file, -3)
        (text,) = verify(tmp_path / folder).damaged
        assert file in text


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert "is no export" in refused("certify", "notes.txt", cwd=tmp_path)
    assert refused("certify", "absent", cwd=tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [{}, {"plan": "a grid of 3 x 3"}, {"plan": {"source": "my script", "steps": 9}}],
    ids=["no plan", "a text", "a mapping"],
)
def test_a_dataset_that_a_script_wrote_is_verified_and_told_why_it_gets_no_certificate(
    tmp_path: Path, metadata: dict[str, object]
) -> None:
    arrays = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (8, 8), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="scan", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(tmp_path / "archive", spec, 1) as writer:
        images: dict[str, Image] = {"speckle": np.ones((8, 8), np.uint8), "phase": np.zeros((8, 8), np.float32)}
        writer.append(images, PairRow(frame_index=0, t_ns=0, exposure_s=0.01))
    run_here("certify", writer.path, "--json", "v.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "v.json").read_text())
    assert (numbers["content"], numbers["verified"], numbers["notes"]) == ("dataset", True, [NO_PLAN])
    resumed = refused("acquire", "--resume", writer.path, cwd=tmp_path)
    assert "it was imported, or written by a script" in resumed


def test_a_damaged_reference_of_a_recording_is_named(recording: Path, tmp_path: Path) -> None:
    with ArchiveWriter.resume(recording) as writer:
        writer.add_reference(StoredReference(first_frame=0, arrays={"speckle": np.ones((16, 16), np.float32)}))
        writer.complete()
    run_here("certify", recording, cwd=tmp_path)
    flip(recording / "references" / "000000" / "speckle.npy", -1)
    assert "000000/speckle.npy differs from what was written" in refused("certify", recording, cwd=tmp_path)
