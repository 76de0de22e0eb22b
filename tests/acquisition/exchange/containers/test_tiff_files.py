"""TIFF stacks of other programs: OME-TIFF in any order, unit and spelling, ImageJ's hyperstacks, and plain pages."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from acquisition.exchange.array_files import ArrayFile, ArrayFileError, is_array_file, read_array_file

LENGTHS_PER_UM = {"pm": 1e6, "nm": 1e3, "\u00b5m": 1, "\u03bcm": 1, "um": 1, "mm": 1e-3, "cm": 1e-4, "m": 1e-6, "Å": 1e4}
TIMES_PER_S = {"ns": 1e9, "\u00b5s": 1e6, "\u03bcs": 1e6, "us": 1e6, "ms": 1e3, "s": 1, "min": 1 / 60, "h": 1 / 3600}


def filled(shape: tuple[int, ...], dtype: str = "u1") -> NDArray[Any]:
    return np.random.default_rng(0).uniform(0, 200, shape).astype(dtype)


def images(content: ArrayFile, name: str) -> NDArray[Any]:
    stack = np.stack(list(content.read(name)))
    assert (stack.shape, stack.dtype) == content.arrays[name]
    return stack


def ome(path: Path, stack: NDArray[Any], axes: str = "TYX", **more: Any) -> Path:
    options = {key: more.pop(key) for key in ("byteorder", "compression", "bigtiff") if key in more}
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata={"axes": axes, **more}, **options)
    return path


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from(["".join(order) for order in itertools.permutations("ZCT")]),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3)),
    dtype=st.tuples(st.sampled_from("<>"), st.sampled_from(["u1", "u2", "i2", "f4", "f8"])),
    compression=st.sampled_from([None, "zlib"]),
    suffix=st.sampled_from([".ome.tif", ".ome.tiff", ".OME.TIF", ".tif"]),
)
def test_every_order_of_dimensions_gives_the_same_channels(
    order: str, sizes: tuple[int, int, int], dtype: tuple[str, str], compression: str | None, suffix: str
) -> None:
    size_z, size_c, size_t = sizes
    byteorder, kind = dtype
    stack = filled((size_t, size_z, size_c, 6, 9), kind)
    stored = np.transpose(stack, [*("TZC".index(axis) for axis in order), 3, 4])
    with tempfile.TemporaryDirectory() as folder:
        names = {"Channel": {"Name": ["speckle", "phase"][:size_c]}}
        path = ome(Path(folder) / f"x{suffix}", stored, f"{order}YX", byteorder=byteorder, compression=compression, **names)
        assert is_array_file(path)
        content = read_array_file(path)
        assert list(content.arrays) == (["speckle", "phase"] if size_c == 2 else ["x"])
        for channel, name in enumerate(content.arrays):
            np.testing.assert_array_equal(images(content, name), stack[:, :, channel].reshape(-1, 6, 9))


@settings(max_examples=40, deadline=None)
@given(
    length=st.sampled_from(sorted(LENGTHS_PER_UM)),
    time=st.sampled_from(sorted(TIMES_PER_S)),
    exposure=st.sampled_from(sorted(TIMES_PER_S)),
    pixel_um=st.sampled_from([0.65, 3.45, 0.01]),
    step_s=st.sampled_from([0.001, 0.04, 90.0, 7200.0]),
)
def test_every_unit_gives_the_same_times_and_pixel_size(
    length: str, time: str, exposure: str, pixel_um: float, step_s: float
) -> None:
    plane = {
        "DeltaT": [k * step_s * TIMES_PER_S[time] for k in range(3)],
        "DeltaTUnit": [time] * 3,
        "ExposureTime": [0.01 * TIMES_PER_S[exposure]] * 3,
        "ExposureTimeUnit": [exposure] * 3,
    }
    size: dict[str, Any] = {"PhysicalSizeX": pixel_um * LENGTHS_PER_UM[length], "PhysicalSizeXUnit": length}
    with tempfile.TemporaryDirectory() as folder:
        content = read_array_file(ome(Path(folder) / "x_speckle.ome.tif", filled((3, 6, 9)), Plane=plane, **size))
    np.testing.assert_allclose(content.columns["t_ns"], [k * step_s * 1e9 for k in range(3)], rtol=1e-12, atol=1)
    np.testing.assert_allclose(content.columns["exposure_s"], 0.01, rtol=1e-12)
    assert content.metadata["pixel_um"] == pytest.approx(pixel_um, rel=1e-12)
    assert any(time in note for note in content.notes) or time == "s"


def test_a_pixel_size_that_is_no_length_is_told_and_not_used(tmp_path: Path) -> None:
    content = read_array_file(ome(tmp_path / "x.ome.tif", filled((3, 6, 9)), PhysicalSizeX=2.0, PhysicalSizeXUnit="pixel"))
    assert "pixel_um" not in content.metadata
    assert "'x': its pixel size 2.0 pixel is not used: it is no length" in content.notes


def test_times_follow_from_the_increment_where_no_plane_has_one(tmp_path: Path) -> None:
    content = read_array_file(ome(tmp_path / "x.ome.tif", filled((3, 6, 9)), TimeIncrement=40.0, TimeIncrementUnit="ms"))
    assert content.columns["t_ns"].tolist() == [0, 40_000_000, 80_000_000]


def test_significant_bits_are_the_bit_depth(tmp_path: Path) -> None:
    content = read_array_file(ome(tmp_path / "x.ome.tif", filled((3, 6, 9), "u2"), SignificantBits=12))
    assert content.metadata["bit_depth"] == 12
    assert "bit_depth" not in read_array_file(ome(tmp_path / "y.ome.tif", filled((3, 6, 9), "u2"))).metadata


def test_images_of_one_file_have_their_own_names_and_types(tmp_path: Path) -> None:
    speckle, phase = filled((3, 6, 9), "u2"), filled((3, 5, 5), "f4")
    with tifffile.TiffWriter(tmp_path / "both.ome.tif", ome=True) as tiff:
        for name, stack in (("phase", phase), ("speckle", speckle)):
            tiff.write(stack, photometric="minisblack", metadata={"axes": "TYX", "Name": name, "SignificantBits": 12})
    content = read_array_file(tmp_path / "both.ome.tif")
    np.testing.assert_array_equal(images(content, "speckle"), speckle)
    np.testing.assert_array_equal(images(content, "phase"), phase)
    assert content.metadata["bit_depth"] == 12


def test_channels_without_names_are_numbered(tmp_path: Path) -> None:
    stack = filled((3, 2, 6, 9))
    content = read_array_file(ome(tmp_path / "both.ome.tif", stack, "TCYX"))
    assert list(content.arrays) == ["both/0", "both/1"]
    np.testing.assert_array_equal(images(content, "both/1"), stack[:, 1])


@pytest.mark.parametrize("endings", [(".tif", ".tif"), (".ome.tif", ".ome.tiff"), (".TIF", ".tiff"), (".tiff", ".ome.tif")])
def test_pairs_of_files_belong_together_whatever_their_endings(endings: tuple[str, str], tmp_path: Path) -> None:
    stacks = {"speckle": filled((5, 6, 9), "u2"), "phase": filled((5, 4, 4), "f4")}
    for (name, stack), ending in zip(stacks.items(), endings, strict=True):
        path = tmp_path / f"a_{name}{ending}"
        if ".ome" in ending:
            ome(path, stack)
        else:
            tifffile.imwrite(path, stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b_phase.tif", stacks["phase"], photometric="minisblack")
    content = read_array_file(tmp_path / f"a_speckle{endings[0]}")
    assert list(content.arrays) == ["speckle", "phase"]
    for name, stack in stacks.items():
        np.testing.assert_array_equal(images(content, name), stack)


@pytest.mark.parametrize(
    ("unit", "per_unit", "interval", "time_unit"),
    [
        ("um", 1 / 0.65, 0.04, "sec"),
        ("micron", 1 / 0.65, 40, "ms"),
        ("\\u00B5m", 1 / 0.65, 0.04, "s"),
        ("nm", 1 / 650, 0.04, "s"),
    ],
)
def test_hyperstacks_of_imagej_come_in_with_their_calibration(
    unit: str, per_unit: float, interval: float, time_unit: str, tmp_path: Path
) -> None:
    stack = filled((4, 2, 6, 9), "u2")
    facts = {"axes": "TCYX", "unit": unit, "finterval": interval, "tunit": time_unit, "min": 0.0, "max": 99.0}
    tifffile.imwrite(tmp_path / "x.tif", stack, imagej=True, metadata=facts, resolution=(per_unit, per_unit))
    content = read_array_file(tmp_path / "x.tif")
    for channel in range(2):
        np.testing.assert_array_equal(images(content, f"x/{channel}"), stack[:, channel])
    assert content.columns["t_ns"].tolist() == [0, 40_000_000, 80_000_000, 120_000_000]
    assert content.metadata["pixel_um"] == pytest.approx(0.65, rel=1e-6)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_frames_that_a_program_called_channels_are_frames(kind: str, tmp_path: Path) -> None:
    stack = filled((6, 6, 9), "u2")
    path = tmp_path / ("x.tif" if kind == "imagej" else "x.ome.tif")
    tifffile.imwrite(
        path, stack, imagej=kind == "imagej", ome=kind == "ome", photometric="minisblack", metadata={"axes": "CYX"}
    )
    content = read_array_file(path)
    np.testing.assert_array_equal(images(content, "x"), stack)
    assert any("6 channels" in note for note in content.notes)


def test_slices_of_imagej_are_frames_without_times(tmp_path: Path) -> None:
    stack = filled((4, 6, 9), "f4")
    tifffile.imwrite(tmp_path / "x.tif", stack, imagej=True, metadata={"axes": "ZYX", "finterval": 0.1})
    content = read_array_file(tmp_path / "x.tif")
    np.testing.assert_array_equal(images(content, "x"), stack)
    assert "t_ns" not in content.columns
    assert "'x': its 4 slices are frames" in content.notes


@pytest.mark.parametrize("kind", ["imagej", "plain"])
def test_images_without_pages_of_their_own_are_found_behind_the_first(kind: str, tmp_path: Path) -> None:
    """So ImageJ stores stacks above 4 GB, and tifffile those that it is told to truncate."""
    stack = filled((6, 6, 9), "u2")
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, stack, imagej=kind == "imagej", photometric="minisblack", byteorder=">", truncate=kind == "plain")
    if kind == "imagej":
        with tifffile.TiffFile(path) as tiff:
            first: Any = tiff.pages.first
            place = tiff.filehandle.read_array(">u2", 1, first.offset) if first.offset else [0]
        with path.open("r+b") as file:  # the first directory is the last one
            file.seek(first.offset + 2 + 12 * int(place[0]))
            file.write(bytes(4))
    np.testing.assert_array_equal(images(read_array_file(path), "x"), stack)
    path.write_bytes(path.read_bytes()[:-50] if kind == "plain" else path.read_bytes()[:300])
    with pytest.raises(ArrayFileError):
        read_array_file(path)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_short_stacks_are_no_colours(count: int, tmp_path: Path) -> None:
    """tifffile writes 3 or 4 images as the colour planes of one page."""
    stack = filled((count, 6, 9), "u2")
    tifffile.imwrite(tmp_path / "x.tif", stack)
    np.testing.assert_array_equal(images(read_array_file(tmp_path / "x.tif"), "x"), stack)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_compressed_stacks_of_other_programs_come_in(dtype: str, compression: str, tmp_path: Path) -> None:
    stack = filled((3, 6, 9), dtype)
    pages = [Pillow.fromarray(image) for image in stack]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:], compression=compression)
    np.testing.assert_array_equal(images(read_array_file(tmp_path / "x.tif"), "x"), stack)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_where_zero_is_white_the_values_are_turned_round(dtype: str, tmp_path: Path) -> None:
    stack = filled((3, 6, 9), dtype)
    tifffile.imwrite(tmp_path / "x.tif", stack, photometric="miniswhite")
    content = read_array_file(tmp_path / "x.tif")
    np.testing.assert_array_equal(images(content, "x"), np.iinfo(dtype).max - stack)
    assert any("0 is white" in note for note in content.notes)


def test_colours_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", filled((3, 6, 9, 3)), photometric="rgb")
    with pytest.raises(ArrayFileError, match="in colour"):
        read_array_file(tmp_path / "x.tif")


@pytest.mark.parametrize("damage", ["cut", "other sizes"])
def test_damaged_stacks_are_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ome.tif"
    if damage == "cut":
        ome(path, filled((3, 60, 90)))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        xml = '<OME><Image><Pixels DimensionOrder="XYZCT" SizeT="9" SizeC="1" SizeZ="1" Type="uint8"/></Image></OME>'
        tifffile.imwrite(path, filled((5, 6, 9)), description=xml, metadata=None)
    with pytest.raises(ArrayFileError):
        list(read_array_file(path).read("x"))


def test_images_in_other_files_are_refused(tmp_path: Path) -> None:
    block = '<TiffData IFD="0"><UUID FileName="../secret.tif">urn:uuid:2</UUID></TiffData>'
    pixels = f'<Pixels DimensionOrder="XYZCT" SizeT="1" SizeC="1" SizeZ="1" Type="uint8">{block}</Pixels>'
    xml = f'<OME UUID="urn:uuid:1"><Image>{pixels}</Image></OME>'
    tifffile.imwrite(tmp_path / "x.ome.tif", filled((6, 9)), description=xml, metadata=None)
    with pytest.raises(ArrayFileError, match="lie in other files"):
        read_array_file(tmp_path / "x.ome.tif")


@pytest.mark.parametrize("value", ["1e999999999", "nan", "-inf", "9e300", "1e-999999999"])
def test_numbers_of_any_size_cost_no_time(value: str, tmp_path: Path) -> None:
    plane = f'<Plane TheT="0" TheC="0" TheZ="0" DeltaT="{value}"/>'
    pixels = f'<Pixels DimensionOrder="XYZCT" SizeT="1" SizeC="1" SizeZ="1" PhysicalSizeX="{value}">{plane}</Pixels>'
    tifffile.imwrite(tmp_path / "x.tif", filled((6, 9)), description=f"<OME><Image>{pixels}</Image></OME>", metadata=None)
    content = read_array_file(tmp_path / "x.tif")
    assert "pixel_um" not in content.metadata
    assert list(content.columns.get("t_ns", [0])) == [0]
