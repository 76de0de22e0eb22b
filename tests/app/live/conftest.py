"""A session on the small instrument."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from acquisition.archive.recorder import Recorder
from app.instrument.config import InstrumentConfig
from app.live import recording
from app.live.session import Session
from tests.helpers.small_instrument import small_instrument


@pytest.fixture(autouse=True)
def _frames_stored_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are on the disk, and counted, after a twentieth of a second in place of a second: many tests wait for them."""
    monkeypatch.setattr(recording, "Recorder", partial(Recorder, seal_after_s=0.05))


@pytest.fixture
def config(tmp_path: Path) -> InstrumentConfig:
    return small_instrument(tmp_path)


@pytest.fixture
def session(config: InstrumentConfig) -> Iterator[Session]:
    with Session.open(config) as session:
        yield session
