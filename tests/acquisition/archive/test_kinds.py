"""Kinds, events and finish reasons are enums after reading, also in archives of version 0.1.0."""

from __future__ import annotations

from pathlib import Path

import pytest

from acquisition.archive.journal.writer import Journal
from acquisition.archive.kinds import ArchiveKind, EventKind, FinishReason
from acquisition.archive.old_names import finish_reason_of
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, StorageError
from acquisition.capture.pair_capture import BadPairError
from drivers.base import DeviceLostError, DeviceTimeoutError, FrameFailedError, TriggerIgnoredError, WrongPatternError

VERSION_0_1_0 = Path(__file__).parents[2] / "fixtures" / "version-0.1.0"


@pytest.fixture
def writer(tmp_path: Path) -> ArchiveWriter:
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="x", arrays=[ArraySpec("a", (2, 2), "uint8")])
    return ArchiveWriter.create(tmp_path, spec, 1)


@pytest.mark.parametrize(("folder", "kind"), [("dataset", ArchiveKind.DATASET), ("take", ArchiveKind.RECORDING)])
def test_an_archive_of_version_0_1_0_is_read_as_enums(folder: str, kind: ArchiveKind) -> None:
    archive = Archive.open(VERSION_0_1_0 / folder)
    assert archive.kind is kind
    assert archive.finish_reason is FinishReason.COMPLETED
    assert archive.events()
    assert all(isinstance(event.kind, EventKind) for event in archive.events())


@pytest.mark.parametrize(
    ("verdict", "finish_reason"),
    [
        ("complete", FinishReason.COMPLETED),
        ("stopped by the operator at pair 7", FinishReason.STOPPED),
        ("stopped at frame 3: camera unplugged", FinishReason.FAILED),
    ],
)
def test_the_verdicts_of_version_0_1_0_give_the_finish_reason(verdict: str, finish_reason: FinishReason) -> None:
    assert finish_reason_of(verdict) is finish_reason


@pytest.mark.parametrize("finish_reason", FinishReason)
def test_a_finish_reason_is_stored_beside_the_verdict(writer: ArchiveWriter, finish_reason: FinishReason) -> None:
    assert Archive.open(writer.path).finish_reason is None
    writer.conclude(finish_reason, "for people")
    writer.close()
    archive = Archive.open(writer.path)
    assert archive.finish_reason is finish_reason
    assert archive.status["verdict"] == "for people"


@pytest.mark.parametrize("event_kind", EventKind)
def test_every_kind_of_event_is_read_as_it_was_stored(writer: ArchiveWriter, event_kind: EventKind) -> None:
    writer.event(event_kind, "text")
    writer.close()
    [event] = Archive.open(writer.path).events()
    assert event.kind is event_kind


def test_an_unknown_kind_of_event_stays_text(writer: ArchiveWriter) -> None:
    writer.event("FutureError", "text")
    writer.close()
    [event] = Archive.open(writer.path).events()
    assert event.kind == "FutureError"
    assert not isinstance(event.kind, EventKind)


@pytest.mark.parametrize("key", ["kind", "finish_reason"])
def test_an_unknown_name_of_a_newer_version_is_an_error_of_one_line(writer: ArchiveWriter, key: str) -> None:
    writer.close()
    with Journal.open(writer.path / "journal.sqlite") as journal:
        journal.set_status({key: "future"})
    archive = Archive.open(writer.path)
    with pytest.raises(StorageError, match=f"{key} is 'future', this version knows .*; use a matching release"):
        getattr(archive, key)


def test_faults_have_the_names_of_their_exceptions() -> None:
    errors = (DeviceTimeoutError, DeviceLostError, FrameFailedError, TriggerIgnoredError, WrongPatternError, BadPairError)
    of_pixels_and_numbers = {EventKind.FRAMES_SKIPPED} | {kind for kind in EventKind if kind.name.startswith("FRAME_")}
    of_pixels_and_numbers -= {EventKind.FRAME_FAILED}
    faults = {kind for kind in EventKind if kind.is_fault}
    assert {kind.value for kind in faults - of_pixels_and_numbers} == {error.__name__ for error in errors}
    assert of_pixels_and_numbers < faults
