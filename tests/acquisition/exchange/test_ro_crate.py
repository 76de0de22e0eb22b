"""The description of an export for repositories names every file, its check sum, who measured, and under which licence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.formats.ro_crate import CRATE, ro_crate


def archive(folder: Path, **facts: object) -> Archive:
    arrays = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (4, 4), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="a", arrays=arrays, metadata={"pixel_um": 0.68, **facts})
    with ArchiveWriter.create(folder, spec, 1) as writer:
        images = {"speckle": np.ones((8, 8), np.uint8), "phase": np.zeros((4, 4), np.float32)}
        writer.append(images, PairRow(frame_index=0, t_ns=1, exposure_s=0.01))
    return Archive.open(writer.path)


def test_every_file_is_described_with_its_check_sum(tmp_path: Path) -> None:
    source = archive(tmp_path / "archive", operator="A. Nowak", licence="CC-BY-4.0", sample="mouse 7")
    exported = export(source, tmp_path / "out", [ExportFormat.NPZ, ExportFormat.OME_ZARR])
    graph = {entity["@id"]: entity for entity in json.loads(ro_crate(source, tmp_path / "out", exported))["@graph"]}
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 3
    for file in files:
        described = graph[file.relative_to(tmp_path / "out").as_posix()]
        assert described["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert described["contentSize"] == str(file.stat().st_size)
    root = graph["./"]
    assert {part["@id"] for part in root["hasPart"]} <= graph.keys()
    assert (root["license"], graph[root["creator"]["@id"]]["name"]) == ("CC-BY-4.0", "A. Nowak")
    assert (graph["#pixel_um"]["value"], graph["#pixel_um"]["unitText"]) == (0.68, "um")
    assert graph["#sample"]["value"] == "mouse 7"
    assert graph[CRATE]["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"


def test_what_is_not_stated_is_left_out(tmp_path: Path) -> None:
    source = archive(tmp_path / "archive")
    exported = export(source, tmp_path / "out", [ExportFormat.NPZ])
    graph = {entity["@id"]: entity for entity in json.loads(ro_crate(source, tmp_path / "out", exported))["@graph"]}
    assert "license" not in graph["./"]
    assert graph[graph["./"]["creator"]["@id"]]["name"] == "SpeckleScope"
    assert "#operator" not in graph
