"""Imports: everything is checked before anything is written, every mistake is named, and real pairs come back exactly."""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from acquisition.archive.kinds import ArchiveKind, FinishReason
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, NotOnDiskError, PairRow
from acquisition.exchange.export import export
from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs, import_pairs
from drivers.base import Pattern
from reconstruction.data.dataset import SpecklePairs
from reconstruction.data.pairs import part_of

OPTIONS = ImportOptions(phase_range_rad=2.6)


def write_png(path: Path, image: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def read_png(path: Path) -> NDArray[np.generic]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def random_image(seed: int, shape: tuple[int, ...] = (12, 16), dtype: str = "uint8") -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(0, 256 if dtype == "uint8" else 4096, shape).astype(dtype)


def published(root: Path, stems: str = "abcd") -> Path:
    """A folder in the published layout: labels smaller than inputs, one pair for each letter."""
    folder = root / "published"
    for k, stem in enumerate(stems):
        write_png(folder / "input" / f"{stem}.png", random_image(k))
        write_png(folder / "label" / f"{stem}.png", random_image(100 + k, (8, 10)))
    return folder


def refused(source: Path, tmp_path: Path, options: ImportOptions = OPTIONS) -> PairImportError:
    root = tmp_path / "archives"
    with pytest.raises(PairImportError) as caught:
        import_pairs(source, root, "x", options)
    assert not root.exists(), "nothing may be written"
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("session", ["imagenet", "cell"])
def test_real_pairs_come_back_pixel_by_pixel(tmp_path: Path, real_mcf: Path, session: str) -> None:
    path = import_pairs(real_mcf / session, tmp_path / "archives", session, OPTIONS)
    archive = Archive.open(path)
    assert archive.verify().ok
    [out] = export(archive, tmp_path / "out", ["specdiffusion"])
    for folder in ("input", "label"):
        originals = sorted((real_mcf / session / folder).glob("*.png"))
        assert [file.name for file in originals] == sorted(file.name for file in (out / folder).iterdir())
        for file in originals:
            np.testing.assert_array_equal(read_png(out / folder / file.name), read_png(file))


def test_every_real_session_is_tested(real_mcf: Path) -> None:
    assert {path.name for path in real_mcf.iterdir() if path.is_dir()} == {"imagenet", "cell"}


def test_an_imported_folder_is_a_dataset_like_any_other(tmp_path: Path) -> None:
    folder = published(tmp_path)
    write_png(folder / "label" / "c.png", np.full((8, 10), 7, np.uint8))
    steps: list[tuple[str, int, int]] = []
    path = import_pairs(
        folder,
        tmp_path / "archives",
        "x",
        ImportOptions(phase_range_rad=2.5, metadata={"fibre": "F1"}),
        on_progress=lambda *step: steps.append(step),
    )
    assert list((tmp_path / "archives").iterdir()) == [path]
    archive = Archive.open(path)
    assert archive.verify().ok
    assert archive.finish_reason is FinishReason.COMPLETED
    assert archive.status["verdict"] == "complete"
    assert archive.metadata["phase_range_rad"] == 2.5
    assert archive.metadata["imported_from"] == "published"
    assert archive.metadata["fibre"] == "F1"
    assert [row.pattern_name for row in archive.rows()] == ["a", "b", "blank", "d"]
    assert [row.extra["file_stem"] for row in archive.rows()] == list("abcd")
    for k, row in enumerate(archive.rows()):
        label = read_png(folder / "label" / f"{'abcd'[k]}.png")
        np.testing.assert_array_equal(archive.read("label", k), label)
        np.testing.assert_allclose(archive.read("phase", k), label * (2.5 / 255), rtol=1e-6)
        np.testing.assert_array_equal(archive.read("speckle", k), read_png(folder / "input" / f"{'abcd'[k]}.png"))
        assert row.pattern_id == Pattern(archive.read("phase", k)).id
    assert steps == [(step, k, 4) for step in ("check", "write") for k in (1, 2, 3, 4)]
    part = part_of(archive.row(0).pattern_id)
    part = {"training": "train"}.get(part, part)
    assert 0 in SpecklePairs(path, part).indices  # type: ignore[arg-type]


def test_a_check_writes_nothing_and_describes_the_archive(tmp_path: Path) -> None:
    check = check_pairs(published(tmp_path), OPTIONS)
    assert check.count == 4
    assert {spec.name: (spec.shape, spec.dtype) for spec in check.arrays} == {
        "speckle": ((12, 16), "uint8"),
        "phase": ((8, 10), "float32"),
        "label": ((8, 10), "uint8"),
    }
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_sixteen_bit_speckle_is_kept(tmp_path: Path) -> None:
    folder = published(tmp_path)
    for k, stem in enumerate("abcd"):
        write_png(folder / "input" / f"{stem}.png", random_image(k, dtype="uint16"))
    archive = Archive.open(import_pairs(folder, tmp_path / "archives", "x", OPTIONS))
    np.testing.assert_array_equal(archive.read("speckle", 1), random_image(1, dtype="uint16"))
    assert archive.metadata["bit_depth"] == 12, "none of the counts needs more"


def test_missing_partners_and_other_files_are_all_named(tmp_path: Path) -> None:
    folder = published(tmp_path)
    (folder / "label" / "b.png").unlink()
    (folder / "input" / "d.png").unlink()
    (folder / "input" / "notes.txt").write_text("x")
    (folder / "input" / ".hidden").write_text("x")
    problems = refused(folder, tmp_path).problems
    assert problems == (
        "input/notes.txt is no picture, such as .png or .tif; rename or remove it",
        "input/b.png has no label/b.png",
        "label/d.png has no input/d.png",
    )


def test_files_of_another_size_are_named(tmp_path: Path) -> None:
    folder = published(tmp_path)
    write_png(folder / "input" / "a.png", random_image(0, (12, 15)))
    write_png(folder / "label" / "c.png", random_image(1, (10, 8)))
    assert refused(folder, tmp_path).problems == (
        "input/a.png is 15 x 12 of 8 bits, but 3 others are 16 x 12 of 8 bits",
        "label/c.png is 8 x 10 of 8 bits, but 3 others are 10 x 8 of 8 bits",
    )


def test_every_damaged_file_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    folder = published(tmp_path, "abcdefg")
    changed = {name: bytearray((folder / name).read_bytes()) for name in ("input/a.png", "input/b.png", "label/c.png")}
    changed["input/a.png"][-30] ^= 1
    del changed["input/b.png"][-20:]
    changed["label/c.png"][:4] = b"GIF8"
    for name, data in changed.items():
        (folder / name).write_bytes(data)
    write_png(folder / "label" / "d.png", random_image(5, (8, 10), "uint16"))
    write_png(folder / "input" / "e.png", random_image(5, (12, 16, 3)))
    error = refused(folder, tmp_path)
    assert len(error.problems) == 5
    for name, reason in {
        "input/a.png": "damaged",
        "input/b.png": "truncated",
        "label/c.png": "not a PNG file",
        "label/d.png": "16 bits",
        "input/e.png": "coloured",
    }.items():
        assert sum(problem.startswith(name) and reason in problem for problem in error.problems) == 1, name


def test_the_message_is_one_line_also_for_many_problems(tmp_path: Path) -> None:
    folder = published(tmp_path, "abcdefghij")
    for stem in "abcdefgh":
        (folder / "label" / f"{stem}.png").write_bytes(b"")
    error = refused(folder, tmp_path)
    assert len(error.problems) == 8
    assert str(error).endswith("; and 3 more")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_header_that_claims_too_much_is_refused_before_decoding(tmp_path: Path) -> None:
    folder = published(tmp_path)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**30, 2**30, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")
    (folder / "input" / "a.png").write_bytes(bomb)
    assert "claims" in str(refused(folder, tmp_path))


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_files_that_are_grey_count_as_grey_with_a_note(tmp_path: Path, channels: int) -> None:
    folder = published(tmp_path)
    grey = random_image(0)
    image = np.stack([grey] * 3 + [np.full_like(grey, 255)] * (channels - 3), axis=-1)
    write_png(folder / "input" / "a.png", image)
    archive = Archive.open(import_pairs(folder, tmp_path / "archives", "x", OPTIONS))
    np.testing.assert_array_equal(archive.read("speckle", 0), grey)
    no_check_sums, event = archive.events()
    assert "1 colour files with equal channels count as grey, the first is input/a.png" in event.text
    assert archive.metadata["import_notes"] == [no_check_sums.text, event.text]


def test_transparency_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path)
    write_png(folder / "label" / "a.png", np.full((8, 10, 4), 128, np.uint8))
    assert "label/a.png: it is transparent" in str(refused(folder, tmp_path))


def test_the_same_frame_twice_is_refused_unless_allowed(tmp_path: Path) -> None:
    folder = published(tmp_path)
    write_png(folder / "input" / "c.png", read_png(folder / "input" / "a.png"))
    problem = "input/c.png has the same content as input/a.png; remove one, or give --allow-duplicates"
    assert problem in str(refused(folder, tmp_path))
    path = import_pairs(folder, tmp_path / "archives", "x", replace(OPTIONS, allow_duplicates=True))
    assert "input/c.png" in Archive.open(path).events()[1].text


def test_a_pattern_shown_twice_is_only_noted(tmp_path: Path) -> None:
    folder = published(tmp_path)
    write_png(folder / "label" / "c.png", read_png(folder / "label" / "a.png"))
    archive = Archive.open(import_pairs(folder, tmp_path / "archives", "x", OPTIONS))
    assert archive.row(0).pattern_id == archive.row(2).pattern_id
    assert "label/c.png has the same content as label/a.png" in archive.events()[1].text


def test_the_phase_range_must_be_stated(tmp_path: Path) -> None:
    folder = published(tmp_path)
    for phase_range_rad in (None, 0.0, float("nan"), -1.0):
        assert "--phase-range-rad" in str(refused(folder, tmp_path, ImportOptions(phase_range_rad=phase_range_rad)))
    (folder / "metadata.yaml").write_text("phase_range_rad: 2.25\n")
    assert check_pairs(folder).metadata["phase_range_rad"] == 2.25


def test_lists_are_checked_and_stored(tmp_path: Path) -> None:
    folder = published(tmp_path)
    for split, stems in (("train", "ac"), ("test", "b")):
        for kind, sub in (("data", "input"), ("label", "label")):
            lines = [f"./datasets/published/{sub}/{stem}.png\n" for stem in stems]
            (folder / f"{split}_{kind}.flist").write_text("".join(lines))
    archive = Archive.open(import_pairs(folder, tmp_path / "archives", "x", OPTIONS))
    assert [row.extra.get("list") for row in archive.rows()] == ["train", "test", "train", None]
    assert "1 pairs are in no list, the first is d.png" in archive.events()[1].text
    (folder / "test_data.flist").write_text("input/c.png\ninput/z.png\n")
    problems = refused(folder, tmp_path / "again").problems
    assert "test_data.flist and test_label.flist do not name the same pairs in the same order" in problems
    assert "test_data.flist names z.png, which has no pair" in problems
    assert "c.png is in the lists 'test' and 'train'" in problems or "c.png is in the lists 'train' and 'test'" in problems


def captured(root: Path, count: int = 5, bit_depth: int = 12) -> Archive:
    specs = [ArraySpec("speckle", (12, 16), "uint16", compress=True), ArraySpec("phase", (8, 10), "float32", compress=True)]
    metadata = {"phase_range_rad": 2.5, "pixel_um": 3.45, "bit_depth": bit_depth}
    with ArchiveWriter.create(
        root, ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=specs, metadata=metadata), count
    ) as writer:
        for k in range(count):
            phase = np.random.default_rng(k).uniform(0, 2.5, (8, 10)).astype(np.float32)
            pattern = Pattern(phase, "blank" if k == 2 else f"cells µ {k}")
            row = PairRow(
                frame_index=10 + k,
                t_ns=10**9 + 40_000_000 * k,
                exposure_s=0.01,
                pattern_id=pattern.id,
                pattern_name=pattern.name,
                latency_s=0.5 if k else None,
                extra={"shot": k},
            )
            speckle = (random_image(k, dtype="uint16") << 4) >> (16 - bit_depth)
            writer.append({"speckle": speckle.astype(np.uint16), "phase": phase}, row)
    return Archive.open(writer.path)


FIELDS = ("frame_index", "t_ns", "exposure_s", "pattern_id", "pattern_name", "host_utc", "latency_s", "extra", "crc32")


@pytest.mark.parametrize("file_format", ["npz", "hdf5", "matlab", "ome-tiff", "ome-zarr"])
@pytest.mark.parametrize("count", [1, 5])
def test_exported_array_files_come_back_with_all_their_facts(tmp_path: Path, file_format: str, count: int) -> None:
    archive = captured(tmp_path / "in", count)
    files = export(archive, tmp_path / "out", [file_format])
    [file] = (file for file in files if "_phase." not in file.name)
    again = Archive.open(import_pairs(file, tmp_path / "again", "x"))
    assert again.verify().ok
    assert again.arrays == archive.arrays
    assert archive.metadata.items() <= again.metadata.items()
    for row, back in zip(archive.rows(), again.rows(), strict=True):
        assert {name: getattr(row, name) for name in FIELDS} == {name: getattr(back, name) for name in FIELDS}


@pytest.mark.parametrize("file_format", ["npz", "hdf5", "matlab", "ome-tiff", "ome-zarr"])
@pytest.mark.parametrize("bit_depth", [9, 11, 13, 14])
def test_bits_that_no_data_type_has_come_back(tmp_path: Path, file_format: str, bit_depth: int) -> None:
    archive = captured(tmp_path / "in", 2, bit_depth)
    files = export(archive, tmp_path / "out", [file_format])
    [file] = (file for file in files if "_phase." not in file.name)
    assert Archive.open(import_pairs(file, tmp_path / "again", "x")).metadata["bit_depth"] == bit_depth


def test_plain_arrays_can_be_imported(tmp_path: Path) -> None:
    speckle, phase = random_image(0, (3, 6, 6)), np.random.default_rng(1).normal(size=(3, 5, 5)).astype(">f4")
    np.savez_compressed(tmp_path / "mine.npz", speckle=speckle, phase=phase, comment=np.array("x"))
    archive = Archive.open(import_pairs(tmp_path / "mine.npz", tmp_path / "archives", "x"))
    np.testing.assert_array_equal(np.stack([archive.read("phase", k) for k in range(3)]), phase)
    assert archive.row(1).pattern_id == Pattern(archive.read("phase", 1)).id


def test_array_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    images = {"speckle": random_image(0, (3, 6, 6)), "phase": np.zeros((3, 6, 6), np.float32)}
    np.savez(file, **(images | {"phase": images["phase"][:2]}))
    assert "'phase' holds 2 images, but 'speckle' holds 3" in str(refused(file, tmp_path, ImportOptions()))
    np.savez(file, speckle=images["speckle"])
    assert "no 'phase'" in str(refused(file, tmp_path, ImportOptions()))
    np.savez(file, **images, t_ns=np.zeros(2, np.int64))
    assert "column 't_ns'" in str(refused(file, tmp_path, ImportOptions()))
    np.savez(file, **images, extra_json=np.array(["{}", "[", "{}"]))
    assert "the facts of image 1 of 'speckle'" in str(refused(file, tmp_path, ImportOptions()))
    np.savez(file, **images, metadata_json=np.array("[1]"))
    assert "'[1]' is not a JSON object" in str(refused(file, tmp_path, ImportOptions()))
    np.savez(file, **images, pattern_id=np.array([{}] * 3, object))
    assert "Python objects" in str(refused(file, tmp_path, ImportOptions()))
    np.savez(file, **images, metadata_json=np.array('{"phase_range_rad": 2.0}'))
    assert "phase_range_rad 2.0, not 2.6" in str(refused(file, tmp_path))


@pytest.mark.parametrize("file_format", ["npz", "hdf5", "ome-tiff"])
def test_a_truncated_file_is_refused(tmp_path: Path, file_format: str) -> None:
    file = export(captured(tmp_path / "in"), tmp_path / "out", [file_format])[0]
    file.write_bytes(file.read_bytes()[:-700])
    assert file.name in str(refused(file, tmp_path, ImportOptions()))


def test_a_changed_byte_in_an_npz_is_noticed(tmp_path: Path) -> None:
    [file] = export(captured(tmp_path / "in"), tmp_path / "out", ["npz"])
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)
    assert "CRC" in str(refused(file, tmp_path, ImportOptions()))


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "NAME_speckle.ome.tif" in str(refused(tmp_path / "x.txt", tmp_path))
    assert "input/" in str(refused(tmp_path, tmp_path))
    assert "cannot be read" in str(refused(tmp_path / "none.npz", tmp_path))
    with zipfile.ZipFile(tmp_path / "foreign.npz", "w") as file:
        file.writestr("readme.txt", "hello")
    assert "cannot be read" in str(refused(tmp_path / "foreign.npz", tmp_path))
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["speckle"] = np.zeros((3, 4, 4), np.uint8)
    assert "no 'phase'" in str(refused(tmp_path / "foreign.h5", tmp_path))


def test_a_file_that_changes_after_the_check_leaves_no_archive(tmp_path: Path) -> None:
    folder = published(tmp_path)

    def change(step: str, done: int, _: int) -> None:
        if (step, done) == ("write", 2):
            write_png(folder / "input" / "d.png", random_image(77))

    with pytest.raises(PairImportError, match=r"input/d\.png or its label changed"):
        import_pairs(folder, tmp_path / "archives", "x", OPTIONS, on_progress=change)
    assert list((tmp_path / "archives").iterdir()) == []


def test_names_from_a_journal_do_not_lead_out_of_the_export(tmp_path: Path) -> None:
    specs = [ArraySpec("speckle", (4, 4), "uint8"), ArraySpec("phase", (4, 4), "float32")]
    with ArchiveWriter.create(
        tmp_path / "in", ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=specs, metadata={"phase_range_rad": 2.0}), 1
    ) as writer:
        images = {"speckle": np.ones((4, 4), np.uint8), "phase": np.ones((4, 4), np.float32)}
        writer.append(images, PairRow(frame_index=0, t_ns=0, exposure_s=0.0, extra={"file_stem": "../../evil"}))
    [out] = export(Archive.open(writer.path), tmp_path / "out", ["specdiffusion"])
    assert [file.name for file in (out / "input").iterdir()] == ["00000.png"]
    assert yaml.safe_load((out / "metadata.yaml").read_text())["count"] == 1
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("target", ["data.zarr/phase/c.0.0.0", "journal.sqlite", "."])
def test_what_is_deleted_before_the_verdict_leaves_no_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    complete = ArchiveWriter.complete

    def delete_and_complete(writer: ArchiveWriter) -> None:
        writer.flush()
        if target == ".":
            shutil.rmtree(writer.path)
        else:
            (writer.path / target).unlink()
        complete(writer)

    monkeypatch.setattr(ArchiveWriter, "complete", delete_and_complete)
    with pytest.raises(NotOnDiskError):
        import_pairs(published(tmp_path), tmp_path / "archives", "x", OPTIONS)
    assert list((tmp_path / "archives").iterdir()) == []
