"""The benchmark of formats notices whatever does not come back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StoredRow
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks import formats
from app.benchmarks.formats import Pace, RoundTrip, changed, round_trips

TRIP = RoundTrip(fmt=ExportFormat.NPZ, bits=12, labels=True, uncertainty=True, pace=Pace.FAST)


def test_every_combination_is_tried_once() -> None:
    trips = list(round_trips())
    assert len(set(trips)) == len(trips) == 6 * 3 * 2 * 2 * 2 + 5 * 2 * 2
    assert {trip.channels for trip in trips} == {1, 3, 5}
    assert all(trip.fmt is not ExportFormat.FFV1 for trip in trips if trip.channels > 1)


def test_an_archive_comes_back(tmp_path: Path) -> None:
    assert changed(TRIP, tmp_path) == []


def test_lost_names_of_channels_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trip = replace(TRIP, channels=3)
    assert changed(trip, tmp_path / "whole") == []
    metadata = Archive.metadata

    def spoilt(archive: Archive) -> dict[str, object]:
        facts = dict(metadata.__get__(archive))
        return {**facts, "channels": ["blue", "green", "red"]} if "again" in str(archive.path) else facts

    monkeypatch.setattr(Archive, "metadata", property(spoilt))
    assert changed(trip, tmp_path / "spoilt") == ["channels"]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda row: replace(row, t_ns=row.t_ns + 1), "t_ns"),
        (lambda row: replace(row, pattern_name=""), "pattern_name"),
        (lambda row: replace(row, extra={}), "extra"),
        (lambda row: replace(row, latency_s=None), "latency_s"),
    ],
)
def test_a_lost_fact_is_named(
    spoil: Callable[[StoredRow], StoredRow], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reopened = []
    rows = Archive.rows

    def spoilt(archive: Archive) -> tuple[StoredRow, ...]:
        reopened.append(archive.path)
        is_read_back = "again" in str(archive.path) and ".import-" not in str(archive.path)
        return tuple(map(spoil, rows(archive))) if is_read_back else rows(archive)

    monkeypatch.setattr(Archive, "rows", spoilt)
    assert changed(TRIP, tmp_path) == [named]
    assert reopened


def test_lost_references_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_references(archive: Archive, folder: Path, targets: list[ExportFormat]) -> None:
        [references] = (path for path in export(archive, folder, targets) if path.name.endswith("_references"))
        shutil.rmtree(references)

    monkeypatch.setattr(formats, "export", without_references)
    assert changed(TRIP, tmp_path) == ["references"]


def test_a_changed_pixel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Archive.read

    def spoilt(archive: Archive, name: str, index: int, **options: Any) -> Any:
        image = read(archive, name, index, **options)
        return image + np.uint16(1) if "again" in str(archive.path) and name == "labels" else image

    monkeypatch.setattr(Archive, "read", spoilt)
    assert changed(TRIP, tmp_path) == ["labels"]


def test_the_numbers_count_what_is_identical(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "round_trips", lambda: iter([TRIP, replace(TRIP, bits=8)]))
    numbers = formats.bench_formats(lambda *_: None)
    assert {key: numbers[key] for key in ("round_trips", "identical", "failed")} == {
        "round_trips": 2,
        "identical": 2,
        "failed": 0,
    }
