"""What identifies an exported file: its content, and nothing that differs from one export to the next."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from acquisition.archive.writer import Archive
from acquisition.exchange.export import ExportFormat, export
from app.benchmarks.reliability.samples import SampleKind, write_samples
from app.benchmarks.reliability.signals import unreadable
from app.benchmarks.reliability.tasks import content_of
from drivers.base import SpeckleScopeError

#: Formats without random identifiers and times among their images.
_REPEATABLE = [ExportFormat.NPZ, ExportFormat.HDF5, ExportFormat.MATLAB, ExportFormat.OME_TIFF, ExportFormat.FFV1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = write_samples(tmp_path_factory.mktemp("samples"))
    return next(sample.path for sample in samples if sample.kind is SampleKind.DATASET)


def test_two_exports_of_a_dataset_have_the_same_content_in_every_format(dataset: Path, tmp_path: Path) -> None:
    first, second = (export(Archive.open(dataset), tmp_path / name, list(ExportFormat)) for name in "ab")
    assert [content_of(path) for path in first] == [content_of(path) for path in second]


@pytest.mark.parametrize("target", _REPEATABLE)
def test_an_export_that_was_cut_has_another_content_or_none(dataset: Path, tmp_path: Path, target: ExportFormat) -> None:
    path, *_ = export(Archive.open(dataset), tmp_path, [target])
    whole = content_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with contextlib.suppress(SpeckleScopeError):
        assert content_of(path) != whole


def test_every_export_can_be_read_after_a_signal_and_half_of_one_cannot(dataset: Path, tmp_path: Path) -> None:
    files = [
        file
        for path in export(Archive.open(dataset), tmp_path, list(ExportFormat))
        for file in ([path] if path.is_file() else [])
        if file.suffix in (".mat", ".h5", ".npz", ".mkv", ".mp4")
    ]
    assert {file.suffix for file in files} >= {".mat", ".h5", ".npz", ".mkv"}
    for file in files:
        assert unreadable(file) == "", file.name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        assert unreadable(file), file.name
