"""The part ``truth`` of the reliability benchmark: deletions are noticed, and it notices a program that does not look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from acquisition.archive import writer as archive_writer
from app.benchmarks.reliability import truth
from app.benchmarks.reliability.budget import Budget, Numbers
from app.datasets import quality_report

KEYS = {"truth_cases", "truth_violations", "truth_findings"}


def measured() -> Numbers:
    return truth.measure(Budget(quick=True, quick_s=0.0), lambda stage, done, total, note="": None)


@pytest.mark.slow
def test_every_deletion_is_noticed() -> None:
    numbers = measured()
    assert numbers.keys() == KEYS
    assert (numbers["truth_cases"], numbers["truth_violations"], numbers["truth_findings"]) == (4, 0, [])


@pytest.mark.slow
def test_a_program_that_does_not_look_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_writer, "check_on_disk", lambda path, rows, sizes: None)
    monkeypatch.setattr(quality_report, "_check_written", lambda path, files: None)
    numbers = measured()
    findings = numbers["truth_findings"]
    assert isinstance(findings, list)
    assert numbers["truth_violations"] == len(findings) > 0
    assert any(text.startswith("report, seed 0") for text in findings)
    assert any(text.startswith("shard, seed 0") for text in findings)


def test_a_report_that_says_verified_is_a_claim(tmp_path: Path) -> None:
    content: Mapping[str, str] = {"report.html": "6 of 6 pairs, NOT verified", "certificate.yaml": "verified: false"}
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    assert truth.claims(tmp_path) == []
    (tmp_path / "certificate.yaml").write_text("complete: true\nverified: true\n")
    assert truth.claims(tmp_path) == ["certificate.yaml says 'verified: true'"]
