"""A session on the small instrument."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.instrument.config import InstrumentConfig
from app.live.session import Session
from tests.helpers.small_instrument import small_instrument


@pytest.fixture
def config(tmp_path: Path) -> InstrumentConfig:
    return small_instrument(tmp_path)


@pytest.fixture
def session(config: InstrumentConfig) -> Iterator[Session]:
    with Session.open(config) as session:
        yield session
