"""ImageJ opens OME-TIFF exports: frames in time, pixels in micrometres, and the values that were recorded."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.archives.exported_recording import (
    GRID,
    INTERVAL_S,
    PHASE_PIXEL_UM,
    PIXEL_UM,
    SHAPE,
    exported,
    exported_dataset,
)

#: Debian's package `imagej` puts it there.
JAR = Path("/usr/share/java/ij.jar")
PROGRAMS = [shutil.which(name) for name in ("java", "xvfb-run")]
MISSING = not JAR.is_file() or None in PROGRAMS
REMEDY = "no ImageJ: run `apt-get install --no-install-recommends imagej xvfb xauth` as root"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING, reason=REMEDY)]
#: ImageJ's commands need a screen, even in batch mode. It prints facts, and saves all values behind each other, big-endian.
MACRO = """
setBatchMode(true);
files = split(getArgument(), "\\n");
for (k = 0; k < files.length; k++) {
    open(files[k]);
    getDimensions(width, height, channels, slices, frames);
    getVoxelSize(across, down, deep, unit);
    lengths = "" + width + " " + height + " " + channels + " " + slices + " " + frames;
    scales = d2s(across, 6) + " " + d2s(down, 6) + " " + d2s(Stack.getFrameInterval(), 6);
    print(lengths + " " + scales + " " + bitDepth() + " " + unit);
    saveAs("Raw Data", files[k] + ".raw");
    close();
}
"""
DTYPES = {8: ">u1", 16: ">u2", 32: ">f4"}


@dataclass(frozen=True)
class Opened:
    """An image as ImageJ has it."""

    channels: int
    slices: int
    pixel_um: tuple[float, float]
    interval_s: float
    bits: int
    unit: str
    images: np.ndarray


def opened(folder: Path, paths: tuple[Path, ...]) -> list[Opened]:
    """Open files in ImageJ, in batch mode."""
    macro = folder / "show.ijm"
    macro.write_text(MACRO, encoding="utf-8")
    java = ["timeout", "80", "java", f"-Duser.home={folder}", "-cp", str(JAR), "ij.ImageJ"]
    command = ["xvfb-run", "-a", *java, "-batch", str(macro), "\n".join(map(str, paths))]
    output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=100).stdout
    lines = [line for line in output.splitlines() if line]
    return [parsed(line.split(), Path(f"{path}.raw")) for line, path in zip(lines, paths, strict=True)]


def parsed(fields: list[str], raw: Path) -> Opened:
    width, height, channels, slices, frames = map(int, fields[:5])
    across, down, interval_s = map(float, fields[5:8])
    bits = int(fields[8])
    images = np.fromfile(raw, DTYPES[bits]).reshape(frames, height, width)
    return Opened(channels, slices, (across, down), interval_s, bits, fields[9], images)


def test_imagej_opens_every_array_as_frames_in_time_with_its_pixel_size(tmp_path: Path) -> None:
    example = exported(tmp_path, "ome-tiff")
    shown = opened(tmp_path, example.paths)
    assert len(shown) == len(example.archive.arrays)
    for image, name in zip(shown, example.archive.arrays, strict=True):
        side_um, shape = (PIXEL_UM, SHAPE) if name == "speckle" else (PHASE_PIXEL_UM, GRID)
        assert (image.channels, image.slices, image.images.shape) == (1, 1, (5, *shape))
        assert image.pixel_um == pytest.approx((side_um, side_um))
        assert image.unit in ("µm", "\N{GREEK SMALL LETTER MU}m", "um", "micron")
        assert image.interval_s == pytest.approx(INTERVAL_S)
        assert image.bits == (16 if name in ("speckle", "labels") else 32)
        np.testing.assert_array_equal(image.images, example.stack(name), err_msg=name)


def test_imagej_opens_an_export_of_one_frame(tmp_path: Path) -> None:
    example = exported(tmp_path, "ome-tiff", count=1)
    [image] = opened(tmp_path, (example.path_of("speckle"),))
    assert image.pixel_um == pytest.approx((PIXEL_UM, PIXEL_UM))
    np.testing.assert_array_equal(image.images, example.stack("speckle"))


def test_imagej_opens_a_dataset_whose_patterns_have_no_pixel_size(tmp_path: Path) -> None:
    example = exported_dataset(tmp_path, "ome-tiff")
    for image, name in zip(opened(tmp_path, example.paths), example.archive.arrays, strict=True):
        assert (image.channels, image.slices) == (1, 1)
        np.testing.assert_array_equal(image.images, example.stack(name), err_msg=name)
        if name == "phase":
            assert (image.unit, image.pixel_um) == ("pixels", (1, 1))
