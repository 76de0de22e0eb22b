"""Captured pairs of a real fibre: each left out and reconstructed from the others."""

from __future__ import annotations

import numpy as np
import pytest

from app.benchmarks.calibration import REAL_PAIRS
from app.benchmarks.leave_one_out import leave_one_out


@pytest.mark.skipif(not REAL_PAIRS.is_dir(), reason="the captured pairs are not beside the checkout (shared/real-mcf)")
@pytest.mark.parametrize(
    ("session", "references", "least"), [pytest.param("imagenet", 3, 0.82, marks=pytest.mark.slow), ("cell", 2, 0.65)]
)
def test_left_out_pairs_come_back(session: str, references: int, least: float) -> None:
    results = leave_one_out(REAL_PAIRS / session)
    assert {result.references for result in results} == {references}
    assert np.mean([result.correlation for result in results]) >= least
    assert np.mean([result.fast_correlation for result in results]) >= least - 0.05
