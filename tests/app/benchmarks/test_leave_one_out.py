"""Captured pairs of a real fibre: each left out and reconstructed from the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.benchmarks.calibration import CAPTURED_PAIRS, captured_numbers
from app.benchmarks.leave_one_out import leave_one_out


@pytest.mark.skipif(not CAPTURED_PAIRS.is_dir(), reason="the captured pairs are not beside the checkout (shared/real-mcf)")
@pytest.mark.parametrize(
    ("session", "references", "least"),
    [pytest.param("imagenet", 3, 0.82, marks=pytest.mark.slow), pytest.param("cell", 2, 0.65, marks=pytest.mark.slow)],
)
@pytest.mark.slow
def test_left_out_pairs_come_back(session: str, references: int, least: float) -> None:
    results = leave_one_out(CAPTURED_PAIRS / session)
    assert {result.references for result in results} == {references}
    assert np.mean([result.correlation for result in results]) >= least
    assert np.mean([result.fast_correlation for result in results]) >= least - 0.05


def test_sessions_that_are_missing_are_skipped_with_a_reason(tmp_path: Path) -> None:
    numbers = captured_numbers(tmp_path, tmp_path / "sheet.png")
    assert numbers.keys() == {"skipped"}
    reasons = numbers["skipped"]
    assert isinstance(reasons, list)
    for session, reason in zip(("imagenet", "cell"), reasons, strict=True):
        assert f"there is no folder {tmp_path / session}; name its parent with --captured-pairs" in reason
    assert not (tmp_path / "sheet.png").exists()
