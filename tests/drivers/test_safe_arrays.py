"""``.npy`` files whose header lies are refused before memory is used, by each reader of such files."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from calibration.stored import CalibrationError, Stored, load, save
from drivers.base import DeviceError
from drivers.displays.panel import Panel, PanelConfig
from drivers.safe_arrays import load_npy


def lie(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """A ``.npy`` file of 100 bytes of content whose header states another shape."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue() + b"\0" * 100


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20, 2**20), (2**62, 2**62), (-1, 5), (14,)])
def test_a_header_that_lies_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(lie(shape) if shape != (14,) else lie((300,)))
    with pytest.raises(ValueError, match="its header promises"):
        load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,",
        "{'descr': '<f8'}",
        "[[[[",
        "{'descr': 1, 'shape': {}}",
        "\xff" * 9,
    ],
)
def test_a_header_that_describes_no_array_is_refused(header: str, tmp_path: Path) -> None:
    raw = header.encode("latin1")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + bytes(24))
    with pytest.raises(ValueError, match=r"\w"):
        load_npy(tmp_path / "a.npy")
    with pytest.raises(DeviceError, match=r"a\.npy"):
        Panel(PanelConfig(lut_file=str(tmp_path / "a.npy")))


def test_python_objects_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(lie((1,), "|O") + pickle.dumps([1]))
    with pytest.raises(ValueError, match="could run code"):
        load_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.array(3, np.uint8), np.zeros((0, 4)), np.array(["a", "bc"])]
)
def test_honest_arrays_come_back(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(load_npy(tmp_path / "a.npy"), array)


def test_a_panel_refuses_a_lookup_table_that_lies(tmp_path: Path) -> None:
    (tmp_path / "lut.npy").write_bytes(lie((2**40,)))
    with pytest.raises(DeviceError, match=r"lut\.npy: .*promises"):
        Panel(PanelConfig(lut_file=str(tmp_path / "lut.npy")))


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """A calibration without check sums, as a hostile one would be."""
    folder = save(Stored("camera", {}, {}, {"gain": np.ones(4)}), tmp_path / "cal")
    text = (folder / "calibration.yaml").read_text()
    (folder / "calibration.yaml").write_text(text.partition("arrays_sha256:")[0])
    return folder


def test_a_calibration_with_an_array_that_lies_is_refused(calibration: Path) -> None:
    (calibration / "gain.npy").write_bytes(lie((2**40,)))
    with pytest.raises(CalibrationError, match="promises"):
        load(calibration, "camera")


@pytest.mark.parametrize("name", ["gain.npy", "calibration.yaml"])
def test_a_calibration_with_a_link_out_of_its_folder_is_refused(name: str, calibration: Path, tmp_path: Path) -> None:
    (calibration / name).rename(tmp_path / "outside")
    (calibration / name).symlink_to(tmp_path / "outside")
    with pytest.raises(CalibrationError, match=f"{name} is a link to {tmp_path / 'outside'}"):
        load(calibration, "camera")


def test_a_calibration_whose_array_is_a_path_is_refused(calibration: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "secret.npy", np.ones(3))
    text = (calibration / "calibration.yaml").read_text()
    (calibration / "calibration.yaml").write_text(text.replace("- gain", "- ../secret"))
    with pytest.raises(CalibrationError, match=r"'\.\./secret' is no plain name"):
        load(calibration, "camera")
