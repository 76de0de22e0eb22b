"""GNU Octave opens HDF5 and MATLAB exports: sizes, classes, values, 64-bit times and texts are right."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from acquisition.exchange.formats import matlab5
from tests.helpers.archives.exported_recording import Exported, exported, exported_dataset

OCTAVE = shutil.which("octave-cli")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(OCTAVE is None, reason="no GNU Octave: run `apt-get install --no-install-recommends octave` as root"),
]
#: Every variable as JSON. Octave's numbers in JSON are doubles, so 64-bit integers are texts.
SCRIPT = """
args = argv (); x = load (args{1}); shown = struct ();
for [value, name] = x
  entry = struct ("class", class (value), "size", size (value));
  if (isnumeric (value) && isinteger (value))
    entry.values = sprintf ("%d ", value);
  elseif (isnumeric (value))
    entry.values = sprintf ("%.9g ", value);
  elseif (ischar (value))
    entry.texts = cellstr (value);
  else
    entry.texts = value;
  endif
  shown.(name) = entry;
endfor
printf ("%s\\n", jsonencode (shown));
"""


@dataclass(frozen=True)
class Shown:
    """A variable as Octave has it."""

    kind: str
    size: tuple[int, ...]
    values: str
    texts: tuple[str, ...]

    def images(self) -> np.ndarray:
        """Return all values in Octave's own shape; Octave keeps the first axis together."""
        return np.array([float(text) for text in self.values.split()]).reshape(self.size, order="F")


def opened(path: Path) -> dict[str, Shown]:
    """Return what Octave's ``load`` says about a file."""
    (path.parent / "show.m").write_text(SCRIPT, encoding="utf-8")
    command = [str(OCTAVE), "--norc", "--quiet", "--no-history", "show.m", path.name]
    output = subprocess.run(command, cwd=path.parent, check=True, capture_output=True, text=True, timeout=60).stdout
    return {
        name: Shown(entry["class"], tuple(entry["size"]), entry.get("values", ""), tuple(entry.get("texts", ())))
        for name, entry in json.loads(output).items()
    }


def check_columns(variables: dict[str, Shown], example: Exported) -> None:
    rows = example.archive.rows()
    assert variables["t_ns"].kind == "int64"
    assert [int(text) for text in variables["t_ns"].values.split()] == [row.t_ns for row in rows]
    assert [int(text) for text in variables["crc32_phase"].values.split()] == [row.crc32["phase"] for row in rows]
    assert [float(text) for text in variables["exposure_s"].values.split()] == [row.exposure_s for row in rows]
    latencies_s = [float(text) for text in variables["latency_s"].values.split()]
    np.testing.assert_array_equal(latencies_s, [np.nan if row.latency_s is None else row.latency_s for row in rows])


def check_texts(variables: dict[str, Shown], example: Exported) -> None:
    for name in ("pattern_id", "pattern_name", "host_utc", "model_id", "engine"):
        assert variables[name].texts == tuple(getattr(row, name) for row in example.archive.rows())


def check_images(variables: dict[str, Shown], example: Exported, axes: tuple[int, int, int]) -> None:
    """Compare every image; ``axes`` says where Octave's axes are in (N, H, W)."""
    for name in example.archive.arrays:
        stack = example.stack(name).transpose(axes)
        # Octave drops a last axis of one value.
        expected = stack[..., 0] if stack.shape[-1] == 1 else stack
        np.testing.assert_allclose(variables[name].images(), expected, rtol=1e-8, err_msg=name)
    assert variables["speckle"].kind == "uint16"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_octave_opens_matlab_exports(tmp_path: Path, count: int) -> None:
    example = exported(tmp_path, "matlab", count)
    [path] = example.paths
    variables = opened(path)
    check_images(variables, example, (1, 2, 0))
    check_columns(variables, example)
    check_texts(variables, example)
    assert variables["phase"].kind == "single"
    [metadata_json] = variables["metadata_json"].texts
    assert json.loads(metadata_json)["phase_range_rad"] == 2.85


@pytest.mark.parametrize("count", [1, 2, 5])
def test_octave_opens_hdf5_exports_with_reversed_axes(tmp_path: Path, count: int) -> None:
    example = exported(tmp_path, "hdf5", count)
    [path] = example.paths
    variables = opened(path)
    check_images(variables, example, (2, 1, 0))
    check_columns(variables, example)
    check_texts(variables, example)


def test_octave_opens_a_dataset_of_an_earlier_version(tmp_path: Path) -> None:
    example = exported_dataset(tmp_path, "matlab")
    [path] = example.paths
    variables = opened(path)
    for name in example.archive.arrays:
        np.testing.assert_allclose(variables[name].images(), example.stack(name).transpose(1, 2, 0), rtol=1e-8)
    check_texts(variables, example)


def test_octave_opens_numbers_of_a_matlab_export_of_2_gib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab5, "MOST_BYTES", 100)  # so that it is of version 7.3
    example = exported(tmp_path, "matlab")
    [path] = example.paths
    variables = opened(path)
    check_images(variables, example, (1, 2, 0))
    check_columns(variables, example)
    codes = np.array([int(text) for text in variables["pattern_name"].values.split()])
    rows = codes.reshape(variables["pattern_name"].size, order="F")
    texts = ["".join(map(chr, row)).rstrip() for row in rows]  # char(x.pattern_name) in Octave
    assert texts == [row.pattern_name for row in example.archive.rows()]
