"""``specklescope export``: the description for repositories, and the lists of the published layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.rows import PairRow
from acquisition.archive.shards import ArraySpec
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter
from tests.helpers.command import refused, run_here

CRATE = "ro-crate-metadata.json"
#: Terms of the context of RO-Crate 1.1; a reader of linked data drops all others that the file does not define itself.
TERMS_OF_1_1 = {
    "about", "conformsTo", "contentSize", "creator", "datePublished", "description", "encodingFormat", "hasPart", "license",
    "name", "unitText", "value", "variableMeasured", "version", "CreativeWork", "Dataset", "File", "Person", "PropertyValue",
    "SoftwareApplication",
}  # fmt: skip


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    arrays = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (4, 4), "float32")]
    facts = {"pixel_um": 0.68, "operator": "A. Nowak", "sample": "mouse 7", "licence": "CC-BY-4.0"}
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="50 % glycerol", arrays=arrays, metadata=facts)
    with ArchiveWriter.create(tmp_path / "archive", spec, 2) as writer:
        for index in range(2):
            images = {"speckle": np.full((8, 8), index, np.uint8), "phase": np.full((4, 4), index, np.float32)}
            writer.append(images, PairRow(frame_index=index, t_ns=index * 10**7, exposure_s=0.01))
        writer.complete()
    return writer.path.rename(tmp_path / "archive" / "50 % glycerol")


def read_crate(folder: Path) -> dict[str, dict[str, Any]]:
    """The entities of a description by their ids, checked as a reader of RO-Crate 1.1 does."""
    content = json.loads((folder / CRATE).read_text("utf-8"))
    context, own_terms = content["@context"]
    assert context == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(entities) == len(content["@graph"]), "two entities have the same id"
    descriptor, root = entities[CRATE], entities["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["@type"] == "Dataset"
    assert root["name"]
    assert root["description"]
    date.fromisoformat(root["datePublished"])
    used = {key for entity in entities.values() for key in entity if not key.startswith("@")}
    used |= {entity["@type"] for entity in entities.values()}
    assert used <= TERMS_OF_1_1 | own_terms.keys()
    assert set(linked(content["@graph"])) - {"https://w3id.org/ro/crate/1.1"} <= entities.keys()
    files = {name for name, entity in entities.items() if entity["@type"] == "File"}
    assert files == {part["@id"] for part in root["hasPart"]}
    for name in files:
        assert " " not in name
        assert entities[name]["sha256"] == hashlib.sha256((folder / unquote(name)).read_bytes()).hexdigest()
    return entities


def linked(value: object) -> Iterator[str]:
    """The ids to which values lead."""
    if isinstance(value, dict):
        if value.keys() == {"@id"}:
            yield value["@id"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from linked(item)


def described(entities: dict[str, dict[str, Any]]) -> set[str]:
    return {unquote(name) for name, entity in entities.items() if entity["@type"] == "File"}


def test_several_formats_in_one_command_have_one_description(recording: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"
    formats = ("npz", "ffv1", "ome-zarr")
    run_here("export", recording, "--out", "out", "--ro-crate", "--json", numbers, "--format", *formats, cwd=tmp_path)
    written = json.loads(numbers.read_text("utf-8"))["files"]
    assert [Path(file).name for file in written].count(CRATE) == 1
    entities = read_crate(tmp_path / "out")
    on_disk = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert described(entities) == on_disk - {CRATE}
    assert {"50 % glycerol.npz", "50 % glycerol_speckle.mkv", "50 % glycerol_speckle.mkv.sha256"} <= on_disk
    assert entities["./"]["license"] == "CC-BY-4.0"
    assert entities[entities["./"]["creator"]["@id"]]["name"] == "A. Nowak"
    assert entities["#sample"]["value"] == "mouse 7"


def test_without_the_option_nothing_is_described(recording: Path, tmp_path: Path) -> None:
    run_here("export", recording, "--out", "out", "--format", "npz", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["50 % glycerol.npz"]


def test_an_older_description_is_replaced_only_on_request(recording: Path, tmp_path: Path) -> None:
    run_here("export", recording, "--out", "out", "--format", "npz", "--ro-crate", cwd=tmp_path)
    older = (tmp_path / "out" / CRATE).read_bytes()
    refusal = refused("export", recording, "--out", "out", "--format", "hdf5", "--ro-crate", cwd=tmp_path)
    assert f"{CRATE} exists" in refusal
    assert "--overwrite" in refusal
    assert (tmp_path / "out" / CRATE).read_bytes() == older
    assert not list((tmp_path / "out").glob("*.h5")), "a refusal comes before anything is written"
    run_here("export", recording, "--out", "out", "--format", "hdf5", "--ro-crate", "--overwrite", cwd=tmp_path)
    assert described(read_crate(tmp_path / "out")) == {"50 % glycerol.h5"}


def test_a_format_that_fails_is_not_described(recording: Path, tmp_path: Path) -> None:
    error = refused("export", recording, "--out", "out", "--format", "specdiffusion", "npz", "--ro-crate", cwd=tmp_path)
    assert "phase_range_rad" in error
    assert described(read_crate(tmp_path / "out")) == {"50 % glycerol.npz"}
    refused("export", recording, "--out", "none", "--format", "specdiffusion", "--ro-crate", cwd=tmp_path)
    assert not (tmp_path / "none" / CRATE).exists()


def test_a_description_that_cannot_be_written_is_told_and_leaves_no_part(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / CRATE).mkdir(parents=True)  # a folder of this name cannot be replaced by a file
    error = refused("export", recording, "--out", "out", "--format", "npz", "--ro-crate", "--overwrite", cwd=tmp_path)
    assert f"cannot write out/{CRATE}" in error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["50 % glycerol.npz", CRATE]


def listed(folder: Path) -> dict[str, set[str]]:
    """Return the pictures that each list of an export in the published layout names."""
    lists = folder.glob("*/*_data.flist")
    return {
        path.name.removesuffix("_data.flist"): {Path(line).stem for line in path.read_text().splitlines()} for path in lists
    }


def test_the_published_layout_is_divided_as_parts_csv_or_into_the_lists_that_are_asked_for(tmp_path: Path) -> None:
    dataset = Path(__file__).parents[3] / "fixtures" / "version-0.1.0" / "dataset"
    own: dict[str, set[str]] = {}
    for line in (dataset / "parts.csv").read_text().splitlines()[1:]:
        pair, _, part = line.split(",")
        own.setdefault({"training": "train", "validation": "val"}.get(part, part), set()).add(f"{int(pair):05d}")
    assert {"reference", "train"} <= own.keys()
    run_here("export", dataset, "--out", "parts", "--format", "specdiffusion", cwd=tmp_path)
    assert listed(tmp_path / "parts") == own
    run_here("export", dataset, "--out", "whole", "--format", "specdiffusion", "--split", "all", cwd=tmp_path)
    pairs = set().union(*(names for part, names in own.items() if part != "reference"))
    assert listed(tmp_path / "whole") == {"reference": own["reference"], "all": pairs}


def test_a_part_is_exported_by_its_frames_or_seconds_and_layers(recording: Path, tmp_path: Path) -> None:
    run_here("export", recording, "--out", "out", "--format", "npz", "--start-s", "0.01", "--layers", "phase", cwd=tmp_path)
    with np.load(tmp_path / "out" / "50 % glycerol.npz") as content:
        assert content["phase"].shape == (1, 4, 4)
        assert content["frame_index"].tolist() == [1]
        assert "speckle" not in content.files
    both = refused("export", recording, "--first", "0", "--end-s", "1", cwd=tmp_path)
    assert "give frames or seconds" in both
    assert "choose from grey" in refused("export", recording, "--film-colours", "pink", cwd=tmp_path)
