"""The program states one version everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

import specklescope
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.formats.ro_crate import ro_crate
from drivers import program_version
from tests.helpers.command import run_here


def test_the_command_python_and_every_export_state_the_same_version(tmp_path: Path) -> None:
    version = program_version.program_version()
    assert re.match(r"\d+\.\d+\.\d+", version)
    assert run_here("--version", cwd=tmp_path).strip() == version
    assert specklescope.__version__ == version
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="a", arrays=[ArraySpec("speckle", (8, 8), "uint8")], metadata={})
    with ArchiveWriter.create(tmp_path, spec, 1) as writer:
        writer.append({"speckle": np.ones((8, 8), np.uint8)}, PairRow(frame_index=0, t_ns=1, exposure_s=0.01))
    archive = Archive.open(writer.path)
    exported = export(archive, tmp_path / "out", [ExportFormat.OME_TIFF])
    with tifffile.TiffFile(exported[0]) as file:
        assert f'Creator="SpeckleScope {version}"' in (file.ome_metadata or "")
    entities = json.loads(ro_crate(archive, tmp_path / "out", exported))["@graph"]
    assert [entity["version"] for entity in entities if entity["@type"] == "SoftwareApplication"] == [version]


def test_a_source_tree_that_is_not_installed_says_so() -> None:
    path = program_version.__file__
    code = f"import runpy; print(runpy.run_path({path!r})['program_version']())"
    # Isolated, and without the folder of installed packages.
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert ran.stdout.strip() == "not installed"
