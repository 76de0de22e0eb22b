"""A pattern lies in its place on the panel, pixel for pixel, and calibration files are read or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.base import DeviceError, Pattern, WrongPatternError
from drivers.displays.panel import Panel, PanelConfig
from drivers.displays.phase_lut import GreyEncoder, GreyLut


def test_a_pattern_of_the_panels_size_is_encoded_as_a_whole(rng: np.random.Generator) -> None:
    phase = rng.uniform(-9, 9, (6, 8)).astype(np.float32)
    panel = Panel(PanelConfig((6, 8), gamma=1.3, slm_range_rad=5.0))
    assert panel.pattern_shape == (6, 8)
    assert np.array_equal(panel.grey(Pattern(phase)), GreyEncoder(GreyLut.gamma(1.3, 5.0))(phase))


@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    zoom=st.integers(1, 4),
    margins=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    where=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_every_pattern_pixel_becomes_a_square_in_its_place(
    size: tuple[int, int], zoom: int, margins: tuple[int, int], where: tuple[float, float]
) -> None:
    shape = (size[0] * zoom + 2 * margins[0], size[1] * zoom + 2 * margins[1])
    offset = (round(where[0] * margins[0]), round(where[1] * margins[1]))
    correction = np.linspace(0, 3, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    panel = Panel(PanelConfig(shape, size, zoom, offset), GreyEncoder(GreyLut.linear(), correction))
    phase = np.linspace(0.5, 6, size[0] * size[1], dtype=np.float32).reshape(size)
    whole = np.zeros(shape, np.float32)
    for row in range(size[0] * zoom):
        for column in range(size[1] * zoom):
            place = (margins[0] + offset[0] + row, margins[1] + offset[1] + column)
            whole[place] = phase[row // zoom, column // zoom]
    assert np.array_equal(panel.grey(Pattern(phase)), panel.encoder(whole))


@pytest.mark.parametrize(
    "settings",
    [
        {"shape": (0, 8)},
        {"zoom": 0},
        {"pattern_shape": (7, 8)},
        {"pattern_shape": (4, 4), "zoom": 2},
        {"pattern_shape": (4, 8), "offset_px": (2, 0)},
        {"pattern_shape": (4, 8), "offset_px": (0, 1)},
    ],
    ids=str,
)
def test_a_pattern_that_leaves_the_panel_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        PanelConfig(**({"shape": (6, 8)} | settings))  # type: ignore[arg-type]


def test_a_pattern_or_grey_image_of_another_shape_is_refused() -> None:
    panel = Panel(PanelConfig((6, 8), (3, 4), 2))
    with pytest.raises(WrongPatternError, match="resize"):
        panel.grey(Pattern(np.zeros((6, 8), np.float32)))
    for wrong in (np.zeros((3, 4), np.uint8), np.zeros((6, 8), np.float32)):
        with pytest.raises(WrongPatternError, match="resize"):
            panel.check(wrong)  # type: ignore[arg-type]


def test_calibration_files_are_used(tmp_path: Path, rng: np.random.Generator) -> None:
    phases = np.linspace(0.0, 2.6, 256)
    np.savetxt(tmp_path / "lut.txt", phases)
    correction = rng.uniform(-3, 3, (6, 8)).astype(np.float32)
    np.save(tmp_path / "flat.npy", correction)
    config = PanelConfig((6, 8), lut_file=str(tmp_path / "lut.txt"), correction_file=str(tmp_path / "flat.npy"))
    phase = rng.uniform(0, 2.6, (6, 8)).astype(np.float32)
    expected = GreyEncoder(GreyLut(phases), correction)(phase)
    assert np.array_equal(Panel(config).grey(Pattern(phase)), expected)


@pytest.mark.parametrize("content", [None, b"abc\n", b"1 2\n", b"\x93NUMPY"], ids=repr)
@pytest.mark.parametrize("name", ["lut.txt", "lut.npy"])
def test_a_calibration_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DeviceError, match=name):
        Panel(PanelConfig((6, 8), lut_file=str(tmp_path / name)))


def test_a_pickle_is_not_a_calibration(tmp_path: Path) -> None:
    np.save(tmp_path / "lut.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(DeviceError, match=r"lut\.npy"):
        Panel(PanelConfig((6, 8), lut_file=str(tmp_path / "lut.npy")))


def test_a_correction_of_another_size_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((3, 3), np.float32))
    with pytest.raises(DeviceError, match="as large as the panel"):
        Panel(PanelConfig((6, 8), correction_file=str(tmp_path / "flat.npy")))
