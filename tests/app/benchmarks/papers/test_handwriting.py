"""Pictures of digits: enough of them, bright on black, and the held-out ones are real and in no training picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.benchmarks.papers.handwriting import write_digits

pytest.importorskip("sklearn", reason="the digits are those of scikit-learn")


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_digits_are_written_once(tmp_path: Path) -> None:
    counts: list[int] = []
    for _ in range(2):
        write_digits(tmp_path, 30, lambda stage, done, total, note="": counts.append(done))
    assert counts == list(range(1, 31))
    training, test = (sorted((tmp_path / name).glob("*.png")) for name in ("training", "test"))
    assert len(training) == 30
    assert len(test) == 359
    for path in training + test[:20]:
        picture = read(path)
        assert picture.shape == (64, 64)
        assert picture.max() > 150
        assert (picture[:3] == 0).mean() > 0.9
    assert len({read(path).tobytes() for path in training}) == 30
