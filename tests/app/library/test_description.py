"""Everything that is known of an entry is said in words; what is damaged is said, and hides nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.recording_faults import marker
from app.library.description import describe, size_text
from app.library.folder_reader import read_entry
from app.status import FAULT_TEXTS
from tests.helpers.archives.library_archive import METADATA, append, dataset, open_writer, recording, snapshot

FACTS = {
    **METADATA,
    "operator": "Ada",
    "sample": "liver 3",
    "pixel_um": 0.65,
    "camera_settings": {"exposure_s": 0.01, "gain": 6.0, "gain_unit": "dB", "binning": 2},
    "calibrations": {"timing": {"folder": "x", "measured_utc": "2026-05-01T10:00:00"}},
}


def facts_of(path: Path) -> dict[str, str]:
    return {fact.caption: fact.text for fact in describe(read_entry(path), FAULT_TEXTS)}


def test_a_recording_is_described(tmp_path: Path) -> None:
    facts = facts_of(recording(tmp_path, metadata=FACTS))
    assert facts["Kind"] == "recording"
    assert facts["Length"] == "2.0 s, 3 frames"
    assert facts["Without phase"] == "1 of 3 frames"
    assert facts["Pictures"] == "speckle 16 x 16, phase 16 x 16"
    assert facts["Exposure"] == "2 ms"
    assert facts["Rate"] == "1 frames/s on average"
    assert facts["Model"] == "bench-july (0123456789ab)"
    assert facts["Camera"] == "gain 6 dB, binning 2"
    assert facts["Calibrations"] == "timing of 2026-05-01"
    assert facts["Operator"] == "Ada"
    assert facts["Pixel"] == "0.65 um at the fibre"
    assert str(tmp_path) in facts["Folder"]
    assert all(facts.values())


def test_markers_are_told_with_their_times(tmp_path: Path) -> None:
    with open_writer(tmp_path, "marked", ArchiveKind.RECORDING) as writer:
        for number in range(3):
            append(writer, number)
        fault = marker("clamped", 11)
        writer.event(EventKind.MARKER, fault.event_text())
        writer.event(EventKind.FRAME_DARK, "3 times: dark (2026-01-01T00:00:00, frames 10-12)")
        writer.complete()
    facts = facts_of(writer.path)
    assert facts["Markers"] == "clamped (1.0 s)"
    assert facts["Faults"] == "3 dark frames"


def test_datasets_and_snapshots_are_described(tmp_path: Path) -> None:
    assert facts_of(dataset(tmp_path))["Pairs"] == "2"
    facts = facts_of(snapshot(tmp_path))
    assert facts["Kind"] == "snapshot"
    assert "Pairs" not in facts


def test_what_is_damaged_is_said_and_hides_nothing_else(tmp_path: Path) -> None:
    path = recording(tmp_path)
    entry = read_entry(path)
    (path / "metadata.yaml").write_text("instrument: another\n", encoding="utf-8")
    facts = {fact.caption: fact.text for fact in describe(entry, FAULT_TEXTS)}
    assert "metadata.yaml" in facts["Damage"]
    assert facts["Instrument"] == "bench 2"


def test_an_entry_that_is_gone_is_described_as_far_as_it_is_known(tmp_path: Path) -> None:
    path = recording(tmp_path / "a")
    entry = read_entry(path)
    path.rename(tmp_path / "away")
    facts = {fact.caption: fact.text for fact in describe(entry, FAULT_TEXTS)}
    assert "no such folder" in facts["Damage"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (1_200_000, "1.2 MB"), (345_678_901, "346 MB"), (1_234_000_000, "1.2 GB")],
)
def test_sizes_are_told_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
