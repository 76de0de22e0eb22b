"""A real session records, and everything of the recording comes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.benchmarks.live.reconstruct_again import measure_reconstruct_again
from tests.helpers.small_instrument import small_instrument


@pytest.mark.parametrize("engine", ["torch", pytest.param("openvino fp32", marks=pytest.mark.slow)])
def test_what_was_recorded_live_comes_again_bit_by_bit(tmp_path: Path, engine: str) -> None:
    numbers = measure_reconstruct_again(
        lambda stage, done, total, note="": None, small_instrument(tmp_path, engine), quick=True
    )
    assert (numbers["reconstruct_again_equal"], numbers["segment_again_equal"]) == (1, 1)
    assert numbers["reconstruct_again_max_diff_rad"] == 0.0
    assert str(numbers["reconstruct_again_engine"]).startswith(engine)
    assert isinstance(numbers["reconstruct_again_frames"], int)
    assert numbers["reconstruct_again_frames"] >= 8
