"""A recording is reconstructed again from what it holds; without a reference the option that gives one is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.references import StoredReference
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.export import export
from acquisition.exchange.import_pairs import import_pairs
from calibration.reference_state import ReferenceState
from calibration.registration.affine import Registration
from calibration.retune import ReferencePairs
from reconstruction.engines.torch_eager import TorchEngine
from reconstruction.live.pairs_method import PairsMethod
from reconstruction.models.model import Model
from tests.helpers.command import refused, run_here
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_model

FRAMES = 4


def speckle(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(20, 200, (FRAME_PX, FRAME_PX)).astype(np.float32)


def pairs_state(seed: int) -> ReferenceState:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:FRAME_PX, :FRAME_PX] / FRAME_PX
    phases = tuple((np.sin(6 * rows * k + k) * np.cos(5 * columns * k)).astype(np.float32) for k in (1, 2, 3))
    frames = tuple(rng.integers(20, 4000, (FRAME_PX, FRAME_PX), np.uint16) for _ in phases)
    registration = Registration(np.eye(2, 3), (FRAME_PX, FRAME_PX), (FRAME_PX, FRAME_PX), 1.0, 0.1, 2.0)
    pairs = ReferencePairs(reference=speckle(seed), frames=frames, phases_rad=phases, registration=registration, stability=0.9)
    return ReferenceState(speckle=pairs.reference, pairs=pairs)


def recording(root: Path, model: Model, *references: StoredReference) -> Path:
    """Write what the live view would: phases of the model for frames 30 and 31 against the first reference, then of others."""
    arrays = [ArraySpec("speckle", (FRAME_PX, FRAME_PX), "uint8"), ArraySpec("phase", (GRID_PX, GRID_PX), "float32")]
    metadata = {"fibre": model.card.fibre, "model": model.card.name, "model_id": model.id}
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="old", arrays=arrays, metadata=metadata)
    engine = TorchEngine(model)
    with ArchiveWriter.create(root, spec, FRAMES) as writer:
        for reference in references:
            writer.add_reference(reference)
        for number in range(FRAMES):
            frame = np.random.default_rng(number).integers(0, 255, (FRAME_PX, FRAME_PX), np.uint8)
            against = next((r for r in reversed(references) if (r.first_frame or 0) <= 30 + number), None)
            base = speckle(1) if against is None else against.arrays["speckle"]
            phase = np.where(model.mask, engine.run(frame, base), np.float32(0))
            row = PairRow(frame_index=30 + number, t_ns=number * 10**7, exposure_s=0.002, model_id=model.id)
            writer.append({"speckle": frame, "phase": phase}, row)
        writer.complete()
        return writer.path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return small_model(tmp_path_factory.mktemp("model") / "small")


def stored(seed: int, first_frame: int) -> StoredReference:
    return ReferenceState(speckle=speckle(seed)).stored(first_frame)


def folder_of(model: Model, root: Path) -> Path:
    from reconstruction.models.model import save_model

    save_model(root / "small", model.network, model.card)
    return root / "small"


def test_the_model_gives_the_recorded_phases_again_each_against_its_own_reference(tmp_path: Path, model: Model) -> None:
    path = recording(tmp_path, model, stored(1, 30), stored(2, 32))
    run_here("reconstruct", path, "--model", folder_of(model, tmp_path), "--json", "r.json", cwd=tmp_path)
    phases, archive = np.load(tmp_path / "phase.npy"), Archive.open(path)
    assert phases.shape == (FRAMES, GRID_PX, GRID_PX)
    for index in range(FRAMES):
        assert np.allclose(phases[index], archive.read("phase", index), atol=1e-5)
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["reference"] == "stored in the recording, from frame 30, 32 on"
    assert (numbers["method"], numbers["method_id"]) == (model.card.name, model.id)
    assert numbers["frames_compared"] == FRAMES
    assert numbers["rms_difference_rad"] < 1e-5


def test_an_exported_and_imported_recording_is_reconstructed_to_the_same_phases(tmp_path: Path, model: Model) -> None:
    path = recording(tmp_path, model, stored(1, 30), stored(2, 32))
    file = export(Archive.open(path), tmp_path / "out", ["hdf5"])[0]
    again = import_pairs(file, tmp_path / "root", "again")
    run_here("reconstruct", again, "--model", folder_of(model, tmp_path), "--json", "r.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["reference"] == "stored in the recording, from frame 30, 32 on"
    assert numbers["frames_compared"] == FRAMES
    assert numbers["rms_difference_rad"] < 1e-5


def test_imported_reference_pairs_reconstruct_without_a_model(tmp_path: Path, model: Model) -> None:
    path = recording(tmp_path, model, pairs_state(5).stored(30))
    run_here("reconstruct", path, cwd=tmp_path)
    file = export(Archive.open(path), tmp_path / "out", ["npz"])[0]
    again = import_pairs(file, tmp_path / "root", "again")
    run_here("reconstruct", again, "--out", "again.npy", cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "again.npy"), np.load(tmp_path / "phase.npy"))


def test_without_a_shipped_model_the_stored_pairs_are_used(tmp_path: Path, model: Model) -> None:
    state = pairs_state(5)
    path = recording(tmp_path, model, state.stored(30))
    run_here("reconstruct", path, "--json", "r.json", cwd=tmp_path)
    assert state.pairs is not None
    method = PairsMethod(state.pairs, GRID_PX)
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert (numbers["method"], numbers["method_id"]) == ("3 reference pairs", method.id)
    assert numbers["rms_difference_rad"] is None
    pixels = Archive.open(path).read("speckle", 2)
    expected = np.where(method.mask, method.run(pixels, state.pairs.reference), np.float32(0))
    assert np.allclose(np.load(tmp_path / "phase.npy")[2], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["npy", "png"])
def test_a_recording_without_a_reference_names_the_option_and_takes_one(tmp_path: Path, model: Model, kind: str) -> None:
    import cv2

    path = recording(tmp_path, model)
    shutil.rmtree(path / "references", ignore_errors=True)
    small = folder_of(model, tmp_path)
    text = refused("reconstruct", path, "--model", small, cwd=tmp_path)
    assert "holds no reference" in text
    assert "give --reference, a picture of the speckle of the flat pattern" in text
    assert not (tmp_path / "phase.npy").exists()
    if kind == "npy":
        np.save(tmp_path / "flat.npy", speckle(1))
    else:
        cv2.imwrite(str(tmp_path / "flat.png"), np.rint(speckle(1)).astype(np.uint8))
    run_here("reconstruct", path, "--model", small, "--reference", f"flat.{kind}", "--json", "r.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["reference"] == "the given one"
    assert numbers["rms_difference_rad"] < (1e-5 if kind == "npy" else 0.1)


def test_neither_pairs_nor_a_shipped_model_names_the_option(tmp_path: Path, model: Model) -> None:
    path = recording(tmp_path, model, stored(1, 30))
    text = refused("reconstruct", path, cwd=tmp_path)
    assert "its model ('small') does not come with the program; give --model" in text


def test_a_damaged_reference_is_refused_and_nothing_is_written(tmp_path: Path, model: Model) -> None:
    path = recording(tmp_path, model, stored(1, 30))
    file = path / "references" / "000000" / "speckle.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    text = refused("reconstruct", path, "--model", folder_of(model, tmp_path), cwd=tmp_path)
    assert "speckle.npy differs from what was written" in text
    assert not (tmp_path / "phase.npy").exists()


def test_a_single_frame_needs_pairs_and_a_folder_is_no_frame(tmp_path: Path, model: Model) -> None:
    (tmp_path / "frame.png").touch()
    assert "give --references, a folder of pairs" in refused("reconstruct", "frame.png", cwd=tmp_path)
    path = recording(tmp_path, model, stored(1, 30))
    assert "with --references give one frame" in refused("reconstruct", path, "--references", path, cwd=tmp_path)
