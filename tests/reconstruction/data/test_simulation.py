"""Simulated pools, and the parts that patterns are divided into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.instrument.config import InstrumentConfig, TwinConfig
from app.training.train import twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import part_of
from reconstruction.data.simulation import TwinData, simulated_pool
from tests.helpers.small_instrument import GRID_PX, OPTICS


def data(pairs: int = 6) -> TwinData:
    return twin_data(InstrumentConfig(twin=TwinConfig(optics=OPTICS)), "mixed", pairs, 3, GRID_PX)


def test_simulated_pairs_do_not_depend_on_the_number_of_processes() -> None:
    sixty = data(60)  # more than one chunk
    with simulated_pool(sixty, 0) as here, simulated_pool(sixty, 2) as there:
        assert here.ready == there.ready == 60
        assert np.array_equal(here.speckle, there.speckle)
        assert np.array_equal(here.phase_rad, there.phase_rad)
        assert np.array_equal(here.reference, there.reference)


def test_a_pool_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with simulated_pool(data(), 0):
        assert any(tmp_path.iterdir())
    assert not any(tmp_path.iterdir())


def test_a_pool_too_large_for_the_disk_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ReconstructionError, match="no space for 1000000000 simulated pairs"), simulated_pool(data(10**9), 0):
        pass


def test_patterns_are_divided_whole_and_in_proportion() -> None:
    parts = [part_of(f"{number:x}") for number in range(3000)]
    assert part_of("abc") == part_of("abc")
    shares = {part: parts.count(part) / len(parts) for part in ("training", "validation", "test")}
    assert shares["training"] == pytest.approx(0.8, abs=0.03)
    assert shares["test"] == pytest.approx(0.1, abs=0.03)
