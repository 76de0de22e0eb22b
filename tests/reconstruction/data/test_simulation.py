"""Simulated pools, and the parts that patterns are divided into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.instrument.config import InstrumentConfig, TwinConfig
from app.training.train import twin_data
from reconstruction.base import ReconstructionError
from reconstruction.data.pairs import part_of
from reconstruction.data.simulation import TwinData, simulated_pool, stored_pool
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


def test_stored_pairs_are_simulated_once_and_again_when_others_are_asked_for(tmp_path: Path) -> None:
    calls: list[int] = []
    first = stored_pool(data(), tmp_path / "pairs", 0, calls.append)
    again = stored_pool(data(), tmp_path / "pairs", 0, calls.append)
    assert calls == [6]
    assert first.ready == again.ready == 6
    assert np.array_equal(first.speckle, again.speckle)
    assert again.speckle.any()
    assert stored_pool(data(7), tmp_path / "pairs", 0, calls.append).ready == 7
    assert calls == [6, 7]


def test_a_simulation_that_was_cut_begins_again(tmp_path: Path) -> None:
    def cut(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_pool(data(), tmp_path, 0, cut)
    calls: list[int] = []
    stored_pool(data(), tmp_path, 0, calls.append)
    assert calls == [6]


def test_a_pool_on_a_coarser_grid_has_the_means_of_its_cells() -> None:
    with simulated_pool(data(), 0) as pool:
        coarse = pool.on_grid(GRID_PX // 2)
        means = pool.phase_rad.reshape(6, GRID_PX // 2, 2, GRID_PX // 2, 2).mean((2, 4))
        assert np.allclose(coarse.phase_rad, means, atol=1e-6)
        assert coarse.ready == pool.ready
        assert pool.on_grid(GRID_PX) is pool


def test_patterns_are_divided_whole_and_in_proportion() -> None:
    parts = [part_of(f"{number:x}") for number in range(3000)]
    assert part_of("abc") == part_of("abc")
    shares = {part: parts.count(part) / len(parts) for part in ("training", "validation", "test")}
    assert shares["training"] == pytest.approx(0.8, abs=0.03)
    assert shares["test"] == pytest.approx(0.1, abs=0.03)
