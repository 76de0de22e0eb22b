"""OME-TIFF and OME-Zarr: every fact is in them, other programs open them, and they come back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorstore as ts
import tifffile

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.exchange.array_files import read_ome_zarr, read_tiff
from acquisition.exchange.export import ExportFormat, export
from acquisition.exchange.verify_export import verify_export
from drivers.manifest import values_sha256

SHAPE, GRID = (12, 16), (6, 8)
METADATA = {
    "pixel_um": 0.68,
    "phase_range_rad": 2.85,
    "bit_depth": 10,
    "instrument": 'Bench "2" <north>',
    "fibre": "MCF µ 3",
    "config": {"camera": "basler"},
}


@dataclass(frozen=True)
class Frames:
    """When the frames of a recording were taken, and whether they were segmented."""

    t_ms: tuple[int, ...] = (0, 40, 80, 120)
    labels: bool = True


def recording(root: Path, frames: Frames = Frames(), metadata: dict[str, object] = METADATA) -> Archive:
    arrays = [ArraySpec("speckle", SHAPE, "uint16"), ArraySpec("phase", GRID, "float32", compress=True)]
    arrays += [ArraySpec("labels", GRID, "uint16", compress=True)] if frames.labels else []
    rng = np.random.default_rng(4)
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(root, spec, len(frames.t_ms)) as writer:
        for k, t_ms in enumerate(frames.t_ms):
            images = {"speckle": rng.integers(0, 1024, SHAPE).astype(np.uint16), "phase": rng.normal(size=GRID).astype("f4")}
            images |= {"labels": rng.integers(0, 5, GRID).astype(np.uint16)} if frames.labels else {}
            row = PairRow(
                frame_index=3 * k,
                t_ns=2**60 + t_ms * 10**6 + k,
                exposure_s=0.004,
                pattern_id=f"id{k}",
                pattern_name=f"a & <b> µ {k}",
                host_utc=f"2026-11-29T12:00:0{k}.250000+00:00",
                latency_s=0.02 if k else None,
                extra={"temperature_c": 31.5},
            )
            writer.append(images, row)
        writer.complete()
    return Archive.open(writer.path)


def rows_of(archive: Archive) -> dict[str, list[object]]:
    rows = archive.rows()
    names = ("frame_index", "t_ns", "exposure_s", "pattern_id", "pattern_name", "host_utc", "model_id", "engine")
    return {name: [getattr(row, name) for row in rows] for name in names}


@pytest.mark.parametrize("array", ["speckle", "phase", "labels"])
def test_every_fact_of_ome_tiff_comes_back(tmp_path: Path, array: str) -> None:
    archive = recording(tmp_path)
    path = export(archive, tmp_path / "out", ["ome-tiff"])[list(archive.arrays).index(array)]
    content = read_tiff(path, array)
    assert content.check_sums is not None
    assert content.check_sums.problems == ()
    assert {name: content.columns[name].tolist() for name in rows_of(archive)} == rows_of(archive)
    assert np.isnan(content.columns["latency_s"]).tolist() == [True, False, False, False]
    assert [json.loads(text) for text in content.columns["extra_json"]] == [{"temperature_c": 31.5}] * 4
    assert {name: content.metadata[name] for name in METADATA} == METADATA


@pytest.mark.parametrize(
    ("old", "new"), [(b"a &amp;amp; &amp;lt;b", b"b &amp;amp; &amp;lt;b"), (b"MCF", b"NCF"), (b"31.5", b"31.6")]
)
def test_a_changed_annotation_of_ome_tiff_is_named(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = export(recording(tmp_path), tmp_path / "out", ["ome-tiff"])[0]
    content = path.read_bytes()
    escaped = old.replace(b"&amp;amp;", b"&amp;").replace(b"&amp;lt;", b"&lt;")
    assert escaped in content
    path.write_bytes(content.replace(escaped, new.replace(b"&amp;amp;", b"&amp;").replace(b"&amp;lt;", b"&lt;"), 1))
    assert "check sum (SHA-256)" in " ".join(verify_export(path).damaged)


def test_ome_tiff_states_date_instrument_channel_bits_and_program(tmp_path: Path) -> None:
    speckle, phase, _ = export(recording(tmp_path), tmp_path / "out", ["ome-tiff"])
    with tifffile.TiffFile(speckle) as tiff:
        root = ElementTree.fromstring(tiff.ome_metadata or "")
    assert str(root.get("Creator")).startswith("SpeckleScope ")
    instrument = root.find("{*}Instrument")
    image = root.find("{*}Image")
    assert instrument is not None
    assert image is not None
    # The schema prescribes the order of these elements.
    assert [element.tag.split("}")[1] for element in root] == ["Instrument", "Image", "StructuredAnnotations"]
    order = ["AcquisitionDate", "Description", "InstrumentRef", "Pixels", "AnnotationRef"]
    assert [element.tag.split("}")[1] for element in image] == order
    assert image.findtext("{*}AcquisitionDate") == "2026-11-29T12:00:00.250000+00:00"
    microscope, detector = instrument.find("{*}Microscope"), instrument.find("{*}Detector")
    assert microscope is not None
    assert detector is not None
    assert (microscope.get("Model"), detector.get("Model")) == ('Bench "2" <north>', "basler")
    pixels, channel = image.find("{*}Pixels"), image.find("{*}Pixels/{*}Channel")
    assert pixels is not None
    assert channel is not None
    assert (pixels.get("SignificantBits"), channel.get("Name")) == ("10", "speckle")
    assert float(pixels.get("TimeIncrement", 0)) == pytest.approx(0.04)
    stated = {item.get("K"): item.text for item in root.iterfind(".//{*}M")}
    assert (stated["Fibre"], stated["Phase range in rad"]) == ("MCF µ 3", "2.85")
    with tifffile.TiffFile(phase) as tiff:
        assert "SignificantBits" not in (tiff.ome_metadata or "")


@pytest.mark.parametrize(("t_ms", "interval"), [((0, 40, 80, 120), 0.04), ((0, 40, 80, 620), None)])
def test_imagej_gets_frames_in_time_and_a_unit(tmp_path: Path, t_ms: tuple[int, ...], interval: float | None) -> None:
    for path in export(recording(tmp_path, Frames(t_ms=t_ms)), tmp_path / "out", ["ome-tiff"]):
        with tifffile.TiffFile(path) as tiff:
            assert not tiff.is_bigtiff
            assert tiff.series[0].kind == "ome"
            facts, tags = tiff.imagej_metadata, tiff.pages.first.tags
            assert facts is not None
            assert (facts["frames"], facts["images"], facts["unit"]) == (4, 4, "um")
            assert facts.get("finterval") == (None if interval is None else pytest.approx(interval))
            across, unit_cm = tags["XResolution"].value, tags["ResolutionUnit"].value
            assert unit_cm == tifffile.RESUNIT.CENTIMETER
            assert 1e4 * across[1] / across[0] == pytest.approx(0.68 if "speckle" in path.name else 1.36)


def test_a_file_that_is_too_large_for_classic_tiff_is_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = recording(tmp_path)
    monkeypatch.setattr("acquisition.exchange.export_images._MOST_CLASSIC_BYTES", 2000)
    for path in export(archive, tmp_path / "out", ["ome-tiff"]):
        with tifffile.TiffFile(path) as tiff:
            assert tiff.is_bigtiff
        assert verify_export(path).ok


def test_facts_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    path = export(recording(tmp_path, metadata={}), tmp_path / "out", ["ome-tiff"])[0]
    with tifffile.TiffFile(path) as tiff:
        xml = tiff.ome_metadata or ""
        assert "unit" not in (tiff.imagej_metadata or {})
        assert "XResolution" not in tiff.pages.first.tags or tiff.pages.first.tags["ResolutionUnit"].value == 1
    assert "<Instrument" not in xml
    assert "PhysicalSizeX" not in xml


def test_ome_zarr_holds_the_segmentation_as_labels(tmp_path: Path) -> None:
    archive = recording(tmp_path)
    speckle, phase = export(archive, tmp_path / "out", ["ome-zarr"])
    assert not (speckle / "labels").exists()
    attributes = json.loads((phase / "labels" / "zarr.json").read_text())["attributes"]
    assert attributes["ome"] == {"version": "0.5", "labels": ["labels"]}
    group = json.loads((phase / "labels" / "labels" / "zarr.json").read_text())["attributes"]["ome"]
    assert group["image-label"] == {"source": {"image": "../../"}}
    own = json.loads((phase / "zarr.json").read_text())["attributes"]["ome"]
    assert group["multiscales"][0]["axes"] == own["multiscales"][0]["axes"]
    scale = own["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert group["multiscales"][0]["datasets"][0]["coordinateTransformations"] == scale
    kvstore = {"driver": "file", "path": f"{phase / 'labels' / 'labels' / '0'}/"}
    stored = ts.open({"driver": "zarr3", "kvstore": kvstore}).result().read().result()
    np.testing.assert_array_equal(stored, [archive.read("labels", k) for k in range(len(archive))])
    content = read_ome_zarr(phase, "phase")
    assert list(content.arrays) == ["phase", "labels"]
    assert {name: content.columns[name].tolist() for name in rows_of(archive)} == rows_of(archive)
    check = verify_export(phase)
    assert (check.ok, check.has_check_sums, check.images) == (True, True, 8)


def test_damaged_labels_of_ome_zarr_are_named(tmp_path: Path) -> None:
    _, phase = export(recording(tmp_path), tmp_path / "out", ["ome-zarr"])
    for chunk in (phase / "labels" / "labels" / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    assert "image 0 of 'labels' differs" in " ".join(verify_export(phase).damaged)


def test_ome_zarr_says_how_its_channel_is_shown(tmp_path: Path) -> None:
    speckle, phase = export(recording(tmp_path, Frames(labels=False)), tmp_path / "out", ["ome-zarr"])
    for path, name in ((speckle, "speckle"), (phase, "phase")):
        group = json.loads((path / "zarr.json").read_text())
        [channel] = group["attributes"]["ome"]["omero"]["channels"]
        window = channel["window"]
        assert channel["label"] == name
        assert window["min"] == window["start"] < window["end"] == window["max"]
        stated = group["attributes"].pop("facts_sha256")
        assert values_sha256(group) == stated
    assert json.loads((speckle / "zarr.json").read_text())["attributes"]["ome"]["omero"]["channels"][0]["window"]["max"] == 1023
    assert not (phase / "labels").exists()


def test_ome_zarr_states_no_interval_for_uneven_frames(tmp_path: Path) -> None:
    [path, _] = export(recording(tmp_path, Frames(t_ms=(0, 40, 80, 620))), tmp_path / "out", [ExportFormat.OME_ZARR])
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    [image] = attributes["ome"]["multiscales"]
    assert "unit" not in image["axes"][0]
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"][0] == 1.0
    assert attributes["specklescope"]["t_s"] == pytest.approx([0, 0.04, 0.08, 0.62])
