"""Folders as other programs and people leave them: endings, formats, numbers, system files, forms of Unicode, other names."""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from acquisition.archive.reader import Archive
from acquisition.exchange.conversion.units import PhaseUnit
from acquisition.exchange.import_folder import open_folder
from acquisition.exchange.import_pairs import ImportOptions, PairImportError, check_pairs, import_pairs

OPTIONS = ImportOptions(phase_range_rad=2.5)


def grey(seed: int, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (16, 12), endpoint=True).astype(dtype)


def write(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix.lower() in (".tif", ".tiff"):
        tifffile.imwrite(file, image, photometric="minisblack")
        return
    file.write_bytes(cv2.imencode(file.suffix.lower(), image)[1].tobytes())


def pairs(folder: Path, name: Callable[[int], str], count: int = 3) -> Path:
    for number in range(count):
        write(folder / "input" / name(number), grey(number))
        write(folder / "label" / name(number), grey(100 + number))
    return folder


def labels(folder: Path, options: ImportOptions) -> list[np.ndarray]:
    problems: list[str] = []
    images = list(open_folder(folder, options).images(problems))
    assert not problems
    return [image["phase"] for image in images if image is not None]


@settings(max_examples=10, deadline=None)
@given(
    suffix=st.sampled_from((".png", ".PNG", ".tif", ".TIFF", ".bmp", ".Png")),
    dtype=st.sampled_from(("uint8", "uint16", "float32")),
    unit=st.sampled_from((None, PhaseUnit.LEVELS, PhaseUnit.RAD, PhaseUnit.DEG)),
)
def test_labels_of_any_format_type_and_unit(suffix: str, dtype: str, unit: PhaseUnit | None) -> None:
    suffix = ".tif" if dtype == "float32" or (suffix == ".bmp" and dtype == "uint16") else suffix
    truth = np.linspace(0, 2.5, 192).reshape(16, 12)
    integers = dtype != "float32"
    white = float(np.iinfo(dtype).max) if integers else 1.0
    in_levels = unit is PhaseUnit.LEVELS or (unit is None and integers)
    scale = white / 2.5 if in_levels else 180 / np.pi if unit is PhaseUnit.DEG else 1.0
    stored = (np.round(truth * scale) if integers else truth * scale).astype(dtype)
    with TemporaryDirectory() as root:
        folder = Path(root)
        write(folder / "input" / f"a{suffix}", grey(0))
        write(folder / "label" / f"a{suffix}", stored)
        options = replace(OPTIONS, phase_unit=unit, phase_white=white if unit is PhaseUnit.LEVELS else None)
        np.testing.assert_allclose(labels(folder, options)[0], truth, atol=0.51 / scale if integers else 1e-6, rtol=0)


def test_sixteen_bit_labels_are_kept_beside_the_phase(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "s/input" / f"{number}.png", grey(number))
        write(tmp_path / "s/label" / f"{number}.png", grey(number, "uint16"))
    archive = Archive.open(import_pairs(tmp_path / "s", tmp_path / "archives", "x", OPTIONS))
    np.testing.assert_array_equal(archive.read("label", 1), grey(1, "uint16"))
    np.testing.assert_allclose(archive.read("phase", 1), grey(1, "uint16") / 65535 * 2.5, rtol=1e-5)


def test_twelve_bit_labels_need_their_white(tmp_path: Path) -> None:
    write(tmp_path / "input/a.png", grey(0))
    write(tmp_path / "label/a.png", grey(1, "uint16") >> 4)
    with pytest.raises(PairImportError, match=r"highest level of the 16-bit phase is 40.*give --phase-white"):
        check_pairs(tmp_path, OPTIONS)
    [phase] = labels(tmp_path, replace(OPTIONS, phase_white=4095.0))
    np.testing.assert_allclose(phase, (grey(1, "uint16") >> 4) / 4095 * 2.5, rtol=1e-5)


def test_floating_point_labels_beyond_the_range_need_a_unit(tmp_path: Path) -> None:
    write(tmp_path / "input/a.png", grey(0))
    degrees = np.linspace(0, 140, 192, dtype=np.float32).reshape(16, 12)
    write(tmp_path / "label/a.tif", degrees)
    with pytest.raises(PairImportError, match=r"label/a\.tif spans 0 to 140.*--phase-unit"):
        check_pairs(tmp_path, OPTIONS)
    np.testing.assert_allclose(labels(tmp_path, replace(OPTIONS, phase_unit=PhaseUnit.DEG))[0], np.radians(degrees), rtol=1e-5)


@pytest.mark.parametrize(
    "extra", ["Thumbs.db", "thumbs.db", "Desktop.ini", ".DS_Store", "._a.png", "ehthumbs.db", "Icon\r", "__MACOSX/a.png"]
)
def test_files_of_operating_systems_are_ignored(tmp_path: Path, extra: str) -> None:
    folder = pairs(tmp_path, lambda number: f"{number}.png")
    for sub in ("input", "label"):
        (folder / sub / extra).parent.mkdir(exist_ok=True)
        (folder / sub / extra).write_bytes(b"x")
    assert check_pairs(folder, OPTIONS).count == 3


def test_numbered_files_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "s", lambda number: f"frame{number}.png", 12)
    archive = Archive.open(import_pairs(folder, tmp_path / "archives", "x", OPTIONS))
    assert [row.pattern_name for row in archive.rows()] == [f"frame{number}" for number in range(12)]
    np.testing.assert_array_equal(archive.read("speckle", 2), grey(2))


@pytest.mark.parametrize("name", ["é", "Å", "ü01", "각"])
def test_names_in_both_forms_of_unicode_are_the_same(tmp_path: Path, name: str) -> None:
    write(tmp_path / "input" / f"{unicodedata.normalize('NFC', name)}.png", grey(0))
    write(tmp_path / "label" / f"{unicodedata.normalize('NFD', name)}.png", grey(1))
    lines = f"input/{unicodedata.normalize('NFD', name)}.png\n"
    for kind in ("data", "label"):
        (tmp_path / f"train_{kind}.flist").write_text(lines, encoding="utf-8")
    source = open_folder(tmp_path, OPTIONS)
    assert source.problems == []
    [images] = source.images([])
    assert images is not None
    row = source.row(0, images)
    assert (row.pattern_name, row.extra["list"]) == (unicodedata.normalize("NFC", name), "train")


def test_a_pair_may_have_two_formats_but_not_two_files(tmp_path: Path) -> None:
    write(tmp_path / "input/a.TIF", grey(0, "uint16"))
    write(tmp_path / "label/a.bmp", grey(1))
    assert check_pairs(tmp_path, OPTIONS).count == 1
    write(tmp_path / "input/a.png", grey(2, "uint16"))
    with pytest.raises(PairImportError, match=r"input/a\.\w+ and a\.\w+ have the same name"):
        check_pairs(tmp_path, OPTIONS)


def test_other_names_of_the_folders_are_stated(tmp_path: Path) -> None:
    folder = pairs(tmp_path, lambda number: f"{number}.png")
    (folder / "input").rename(folder / "Speckles")
    (folder / "label").rename(folder / "ground truth")
    with pytest.raises(PairImportError, match=r"its folders are Speckles, ground truth; give the folder's name by --speckle"):
        check_pairs(folder, OPTIONS)
    assert check_pairs(folder, replace(OPTIONS, speckle="Speckles", phase="ground truth")).count == 3


def test_a_folder_outside_is_refused(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "s", lambda number: f"{number}.png")
    pairs(tmp_path / "other", lambda number: f"{number}.png")
    with pytest.raises(PairImportError, match="outside its folder"):
        check_pairs(folder, replace(OPTIONS, speckle="../other/input"))


def test_jpeg_comes_in_with_a_note(tmp_path: Path) -> None:
    check = check_pairs(pairs(tmp_path, lambda number: f"{number}.JPG"), OPTIONS)
    assert sum("are JPEG, which changes grey values a little" in note for note in check.notes) == 2


def coloured(kind: str) -> Image.Image:
    """A picture in colours, of which no channel is like another."""
    colours = np.random.default_rng(0).integers(0, 256, (16, 12, 3)).astype(np.uint8)
    return Image.fromarray(colours).quantize(16) if kind == "palette" else Image.fromarray(colours)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("1.bmp", "rgb"), ("1.png", "rgb"), ("1.png", "palette"), ("1.tif", "rgb"), ("1.GIF", "palette"), ("1.ppm", "rgb")],
)
@pytest.mark.parametrize("folder", ["input", "label"])
def test_coloured_pictures_are_refused_and_come_in_by_the_option_that_is_named(
    tmp_path: Path, name: str, kind: str, folder: str
) -> None:
    source = pairs(tmp_path, lambda number: f"{number}.png")
    (source / folder / "1.png").unlink()
    picture = coloured(kind)
    picture.save(source / folder / name)
    with pytest.raises(PairImportError, match=rf"{folder}/{re.escape(name)}: it is coloured; give --to-grey"):
        check_pairs(source, OPTIONS)
    options = replace(OPTIONS, to_grey=True)
    check = check_pairs(source, options)
    note = f"1 pictures are coloured; the mean of the channels counts; the first is {folder}/{name}"
    assert check.notes.count(note) == 1
    images = list(open_folder(source, options).images([]))[1]
    assert images is not None
    expected = np.round(np.asarray(picture.convert("RGB")).mean(-1)).astype(np.uint8)
    np.testing.assert_array_equal(images["speckle" if folder == "input" else "label"], expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_transparent_pictures_are_refused_and_come_in_on_black_by_the_option_that_is_named(tmp_path: Path, suffix: str) -> None:
    source = pairs(tmp_path, lambda number: f"{number}.png")
    (source / "label/2.png").unlink()
    opacity = np.full((16, 12), 255, np.uint8)
    opacity[:4] = 0
    pixels = np.dstack([grey(7)] * 3 + [opacity])
    Image.fromarray(pixels).save(source / f"label/2{suffix}", lossless=True)
    with pytest.raises(PairImportError, match=rf"label/2\{suffix}: it is transparent in places; give --to-grey"):
        check_pairs(source, OPTIONS)
    options = replace(OPTIONS, to_grey=True)
    assert any(
        f"1 pictures are transparent in places; these parts count as black; the first is label/2{suffix}" in note
        for note in check_pairs(source, options).notes
    )
    images = list(open_folder(source, options).images([]))[2]
    assert images is not None
    np.testing.assert_array_equal(images["label"], np.where(opacity, grey(7), 0))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_png_of_few_bits_are_scaled_to_all_levels_with_a_note(tmp_path: Path, bits: int) -> None:
    levels = np.random.default_rng(bits).integers(0, 2**bits, (16, 12)).astype(np.uint8)
    write(tmp_path / "input/a.png", grey(0))
    (tmp_path / "label").mkdir()
    (tmp_path / "label/a.png").write_bytes(png_of_few_bits(levels, bits))
    check = check_pairs(tmp_path, OPTIONS)
    assert any("1 files have fewer than 8 bits; their levels are scaled to 0 to 255" in note for note in check.notes)
    np.testing.assert_allclose(labels(tmp_path, OPTIONS)[0], levels / (2**bits - 1) * 2.5, rtol=1e-6)


def png_of_few_bits(levels: np.ndarray, bits: int) -> bytes:
    """A grey PNG file as other programs write it: several pixels share a byte."""
    rows = np.unpackbits(levels[..., None], axis=-1)[..., 8 - bits :].reshape(levels.shape[0], -1)
    lines = b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_a_stack_in_a_folder_is_refused_with_the_way_in(tmp_path: Path) -> None:
    stack = np.stack([grey(number) for number in range(3)])
    for sub, data in (("input", stack), ("label", stack[::-1])):
        (tmp_path / sub).mkdir()
        tifffile.imwrite(tmp_path / sub / "a.tif", data, photometric="minisblack")
    with pytest.raises(PairImportError, match=r"input/a\.tif: it holds 3 pictures.*specklescope import SPECKLE --phase PHASE"):
        check_pairs(tmp_path, OPTIONS)
    options = replace(OPTIONS, phase=str(tmp_path / "label/a.tif"), phase_unit=PhaseUnit.LEVELS)
    assert check_pairs(tmp_path / "input/a.tif", options).count == 3


@pytest.mark.parametrize("turn", [3, 6, 8])
def test_pictures_that_exif_turns_are_read_upright(tmp_path: Path, turn: int) -> None:
    exif = Image.Exif()
    exif[274] = turn
    for sub, seed in (("input", 0), ("label", 1)):
        (tmp_path / sub).mkdir()
        Image.fromarray(grey(seed)).save(tmp_path / sub / "a.png", exif=exif)
    [images] = open_folder(tmp_path, OPTIONS).images([])
    assert images is not None
    np.testing.assert_array_equal(images["speckle"], np.rot90(grey(0), {3: 2, 6: -1, 8: 1}[turn]))
    np.testing.assert_allclose(images["phase"], np.rot90(grey(1), {3: 2, 6: -1, 8: 1}[turn]) / 255 * 2.5, rtol=1e-5)
    assert check_pairs(tmp_path, OPTIONS).count == 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".gif"])
def test_labels_of_one_bit_are_black_and_white(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "input/a.png", grey(0))
    (tmp_path / "label").mkdir()
    Image.fromarray(grey(1) > 99).save(tmp_path / f"label/a{suffix}")
    np.testing.assert_allclose(labels(tmp_path, OPTIONS)[0], np.where(grey(1) > 99, 2.5, 0), rtol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_counts_in_the_high_bits_are_told_and_come_in_by_the_options_that_are_named(tmp_path: Path, bits: int) -> None:
    counts = np.random.default_rng(0).integers(0, 2**bits, (16, 12)).astype(np.uint16)
    counts[0, :2] = 2**bits - 1, 1
    write(tmp_path / "input/a.png", counts << (16 - bits))
    write(tmp_path / "label/a.png", grey(1))
    way_in = f"give --speckle-white {(2**bits - 1) << (16 - bits)} and --bit-depth {bits}"
    assert any(way_in in note for note in check_pairs(tmp_path, OPTIONS).notes)
    with pytest.raises(PairImportError, match=way_in):
        check_pairs(tmp_path, replace(OPTIONS, bit_depth=bits))
    options = replace(OPTIONS, bit_depth=bits, speckle_white=float((2**bits - 1) << (16 - bits)))
    [images] = open_folder(tmp_path, options).images([])
    assert images is not None
    np.testing.assert_array_equal(images["speckle"], counts)


def test_folders_get_a_period_and_a_pixel_size(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "s", lambda number: f"{number}.png")
    options = replace(OPTIONS, period_s=0.1, pixel_um=1.5)
    archive = Archive.open(import_pairs(folder, tmp_path / "archives", "x", options))
    assert [row.t_ns for row in archive.rows()] == [0, 100_000_000, 200_000_000]
    assert archive.metadata["pixel_um"] == 1.5
