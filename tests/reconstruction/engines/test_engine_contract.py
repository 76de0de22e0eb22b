"""Every engine on this machine passes the contract of engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reconstruction.engines.base import Engine, Precision
from reconstruction.engines.check_frames import CheckFrames
from reconstruction.engines.engine_check import EngineCheck
from reconstruction.engines.engine_kinds import ENGINES
from reconstruction.engines.testing.engine_contract import EngineContract, Subject
from reconstruction.models.model import Model

HERE = [
    (name, precision)
    for name, engine_kind in ENGINES.items()
    for precision in engine_kind.precisions
    if precision is not Precision.INT8 and not engine_kind.missing(precision)
]


def test_the_engines_that_need_no_gpu_are_here() -> None:
    assert {"torch", "openvino", "onnxruntime"} <= {name for name, _ in HERE}


@pytest.fixture(scope="module", params=HERE, ids=" ".join)
def subject(request: pytest.FixtureRequest, model: Model, check_frames: CheckFrames, shared_cache: Path) -> Subject:
    """Return one engine. Its file in the cache is already there when a test opens a second one."""
    name, precision = request.param
    engine_check = EngineCheck(model, check_frames)

    def open_engine() -> Engine:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPECKLESCOPE_CACHE", str(shared_cache))
            return ENGINES[name].open(model, precision, engine_check)

    return Subject(
        open=open_engine,
        engine=open_engine(),
        model=model,
        precision=precision,
        frames=[np.asarray(frame, np.float32) for frame in check_frames.frames],
        reference=check_frames.reference,
    )


class TestEveryEngine(EngineContract):
    """The contract, once for each engine and precision of this machine."""
