"""Stored check frames that do not fit the model are removed, even if their check sum is right."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from reconstruction.engines.check_frames import CheckFrames, recall, remember
from reconstruction.models.model import Model
from tests.helpers.small_instrument import FRAME_PX, GRID_PX, small_model

FRAMES = np.ones((2, FRAME_PX, FRAME_PX), np.float32)
GOOD = {"frames": FRAMES, "reference": FRAMES[0], "truth_rad": np.zeros((2, GRID_PX, GRID_PX), np.float32)}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("SPECKLESCOPE_CACHE", str(tmp_path / "cache"))
    return small_model(tmp_path / "model", "fold")


def store(model: Model, cache: Path, content: bytes) -> Path:
    """Store check frames, and then put other content with a right check sum in their place."""
    remember(model, CheckFrames(list(FRAMES), FRAMES[0], GOOD["truth_rad"]))
    [file] = cache.glob("*.npz")
    file.write_bytes(content)
    sidecar = file.with_name(file.name + ".json")
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**facts, "sha256": hashlib.sha256(content).hexdigest()}))
    return file


def npz(**changes: object) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **{name: array for name, array in {**GOOD, **changes}.items() if array is not None})  # type: ignore[arg-type]
    return content.getvalue()


def test_what_fits_is_read(model: Model, tmp_path: Path) -> None:
    store(model, tmp_path / "cache", npz())
    frames = recall(model)
    assert frames is not None
    assert len(frames.frames) == 2


@pytest.mark.parametrize(
    "content",
    [
        npz(reference=None),
        npz(frames=FRAMES[:0]),
        npz(frames=FRAMES[:, :5]),
        npz(reference=FRAMES),
        npz(truth_rad=np.zeros((3, GRID_PX, GRID_PX), np.float32)),
        npz(reference=FRAMES[0] * np.nan),
        npz(reference=FRAMES[0].astype(str)),
        npz()[:-30],
        b"no zip file",
        b"",
    ],
    ids=["incomplete", "empty", "small", "many", "other", "nan", "text", "cut", "foreign", "nothing"],
)
def test_what_does_not_fit_is_removed(content: bytes, model: Model, tmp_path: Path) -> None:
    file = store(model, tmp_path / "cache", content)
    assert recall(model) is None
    assert not file.exists()
