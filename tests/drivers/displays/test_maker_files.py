"""Look-up tables and wavefront corrections as the makers of SLMs hand them out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import DeviceError, Pattern
from drivers.displays.maker_files import read_correction, read_lut
from drivers.displays.panel import Panel, PanelConfig

PHASES = np.linspace(0, 6.9, 256)
COLUMN = [f"{phase:.5f}" for phase in PHASES]
PAIRS = list(enumerate(COLUMN))
TABLES = {
    "one column": "\n".join(COLUMN),
    "two columns": "\n".join(f"{level},{phase}" for level, phase in PAIRS),
    "spaces": "\n".join(f"  {level}   {phase}" for level, phase in PAIRS),
    "headings and comments": "# bench\nLevel;Phase (rad)\n" + "\n".join(f"{level};{phase};" for level, phase in PAIRS) + "\n\n",
    "decimal commas": "\n".join(f"{level};{phase.replace('.', ',')}" for level, phase in PAIRS),
    "tabs and decimal commas": "\n".join(f"{level}\t{phase.replace('.', ',')}" for level, phase in PAIRS),
    "any order of levels": "\n".join(f"{level}, {phase}" for level, phase in reversed(PAIRS)),
    "one column with decimal commas": "\n".join(phase.replace(".", ",") for phase in COLUMN),
    "in quotes": "\n".join(f'"{level}","{phase}"' for level, phase in PAIRS),
    "separator of Excel": "sep=;\n" + "\n".join(f"{level};{phase.replace('.', ',')}" for level, phase in PAIRS),
    "exponents": "\r\n".join(f"{level}.0,{phase}e+00" for level, phase in PAIRS),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
def test_a_table_is_read_however_it_is_written(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "lut.CSV").write_bytes(text.encode(encoding))
    np.testing.assert_allclose(read_lut(tmp_path / "lut.CSV").phases_rad, PHASES, atol=1e-5)


#: What separates columns, and the decimal point. A comma cannot be both.
STYLES = [(None, "."), (None, ","), (",", "."), (", ", "."), (";", "."), (";", ","), ("\t", ","), (" ", "."), ("  ", ",")]


@settings(max_examples=15, deadline=None)
@given(
    style=st.sampled_from(STYLES),
    scale=st.floats(0.5, 3.5),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    heading=st.sampled_from(["", "Level\n", "# 633 nm, 25 \N{DEGREE SIGN}C\r\n"]),
)
def test_any_table_comes_back(style: tuple[str | None, str], scale: float, encoding: str, heading: str) -> None:
    separator, point = style
    phases = [f"{phase * scale:.5f}".replace(".", point) for phase in PHASES]
    rows = phases if separator is None else [f"{level}{separator}{phase}" for level, phase in enumerate(phases)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lut.txt"
        path.write_bytes((heading + "\r\n".join(rows)).encode(encoding))
        np.testing.assert_allclose(read_lut(path).phases_rad, PHASES * scale, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    suffix=st.sampled_from([".bmp", ".png", ".tif", ".npy", ".pgm", ".BMP"]),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    levels_2pi=st.floats(50, 70_000),
    seed=st.integers(0, 99),
)
def test_any_correction_is_in_radians(suffix: str, dtype: str, levels_2pi: float, seed: int) -> None:
    """Integers are levels, of which the operator states how many make 2 pi; floats are radians."""
    is_float = dtype == "float32"
    dtype = "uint8" if dtype == "uint16" and suffix.lower() == ".bmp" else dtype
    suffix = ".tif" if is_float and suffix not in (".tif", ".npy") else suffix
    rng = np.random.default_rng(seed)
    values = rng.uniform(-9, 9, (8, 10)).astype(dtype) if is_float else rng.integers(0, np.iinfo(dtype).max, (8, 10), dtype)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"c{suffix}"
        if suffix == ".npy":
            np.save(path, values)
        else:
            path.write_bytes(cv2.imencode(suffix.lower(), values)[1].tobytes())
        expected = values if is_float else values * (2 * np.pi / levels_2pi)
        np.testing.assert_allclose(read_correction(path, 0.0 if is_float else levels_2pi), expected, rtol=1e-5)
        with pytest.raises(DeviceError, match="correction_levels_2pi"):
            read_correction(path, levels_2pi if is_float else 0.0)


def test_a_coloured_map_of_a_correction_is_refused(tmp_path: Path) -> None:
    levels = np.arange(80, dtype=np.uint8).reshape(8, 10)
    cv2.imwrite(str(tmp_path / "c.png"), cv2.applyColorMap(levels, cv2.COLORMAP_JET))
    with pytest.raises(DeviceError, match=r"coloured or transparent.*save them as a grey picture"):
        read_correction(tmp_path / "c.png", 256.0)
    cv2.imwrite(str(tmp_path / "c.png"), np.dstack([levels] * 3))
    np.testing.assert_allclose(read_correction(tmp_path / "c.png", 80.0), levels * (2 * np.pi / 80), rtol=1e-6)


@pytest.mark.parametrize(
    ("response", "reason"), [({"slm_range_rad": 0.0}, "more than 0"), ({"gamma": 0.0}, "must be positive")]
)
def test_a_panel_without_response_is_refused_where_it_is_described(response: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PanelConfig((8, 10), **response)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(COLUMN[:-1]), "255 lines with 1 numbers"),
        ("\n".join(f"{level},{phase},0" for level, phase in PAIRS), "256 lines with 3 numbers"),
        ("\n".join(f"{level % 255},{phase}" for level, phase in PAIRS), "each level from 0 to 255 once"),
        ("\n".join(f"{level},{100 * level}" for level, _ in PAIRS), "give radians, not degrees"),
        ("\n".join(f"{level},abc" for level, _ in PAIRS), "'abc' in the line '0,abc' is no number"),
        ("PK\x03\x04", "0 lines with no numbers"),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_wrong(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "lut.txt").write_text(text)
    with pytest.raises(DeviceError, match=reason):
        read_lut(tmp_path / "lut.txt")


@pytest.mark.parametrize("suffix", [".bmp", ".png", ".tif", ".npy"])
@pytest.mark.parametrize("levels_2pi", [217.0, 256.0])
def test_a_correction_of_grey_levels_needs_the_number_that_makes_two_pi(suffix: str, levels_2pi: float, tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (8, 10)).astype(np.uint8)
    path = tmp_path / f"correction{suffix}"
    if suffix == ".npy":
        np.save(path, levels)
    else:
        cv2.imwrite(str(path), levels)
    with pytest.raises(DeviceError, match="correction_levels_2pi: 256"):
        Panel(PanelConfig((8, 10), correction_file=str(path)))
    panel = Panel(PanelConfig((8, 10), correction_file=str(path), correction_levels_2pi=levels_2pi))
    np.testing.assert_allclose(panel.encoder.correction_rad, levels * (2 * np.pi / levels_2pi), rtol=1e-6)


def test_a_correction_in_radians_takes_no_levels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c.tif", np.full((8, 10), 0.5, np.float32))
    assert np.unique(read_correction(tmp_path / "c.tif", 0.0)).tolist() == [0.5]
    with pytest.raises(DeviceError, match="remove correction_levels_2pi"):
        read_correction(tmp_path / "c.tif", 256.0)


def test_a_cut_correction_is_refused(tmp_path: Path) -> None:
    content = cv2.imencode(".bmp", np.zeros((8, 10), np.uint8))[1].tobytes()
    (tmp_path / "c.bmp").write_bytes(content[:-30])
    with pytest.raises(DeviceError, match=r"c\.bmp as a picture"):
        read_correction(tmp_path / "c.bmp", 256.0)


@pytest.mark.parametrize("level_of_2pi", [*range(150, 256), 300, 510])
def test_a_multiple_of_two_pi_is_the_lowest_level(level_of_2pi: int) -> None:
    panel = Panel(PanelConfig((3, 7), slm_range_rad=2 * np.pi * 255 / level_of_2pi))
    turns = np.arange(-10, 11, dtype=np.float32).reshape(3, 7)
    exact = np.float32(2 * np.pi) * turns
    for phase in (exact, np.nextafter(exact, np.float32(1e9)), np.nextafter(exact, np.float32(-1e9))):
        assert not panel.grey(Pattern(phase)).any()
