"""What every test starts from: no screen, few threads, fixed seeds, warnings as errors (setup.cfg)."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports Qt or torch. A test that needs a real display starts a process with its own setting.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

import numpy as np
import pytest
from hypothesis import settings

# Contract classes are tests in modules of another name: pytest explains their failures too. Before any test imports them.
pytest.register_assert_rewrite("drivers.testing", "reconstruction.engines.testing")

ROOT = Path(__file__).resolve().parents[1]
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 4 * 2**30

settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", type=Path, help="instrument file of the devices that tests/drivers/hardware shall try")


def pytest_configure() -> None:
    """Let the folders of the tests lie in memory where there is room.

    Archives are synced file by file, which takes longer than everything else that most tests do.
    """
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Same random numbers in every run and in any order of tests."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def signal_handlers_restored() -> Iterator[None]:
    """A command that runs in this process ignores signals in the end, because its process would end then."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def exported_once() -> Iterator[None]:
    """Export a network's graph once in the whole run: it takes seconds, and the same weights give the same graph."""
    import onnx

    from reconstruction.engines.onnx import export as onnx_export

    export, graphs = onnx_export.export_module, dict[str, bytes]()

    def remembered(module: Any, example: Any, inputs: Any, output: Any) -> onnx.ModelProto:
        steps = getattr(getattr(module, "network", module), "step_count", 0)  # a graph is for one number of steps
        digest = hashlib.sha256(repr(([part.shape for part in example], inputs, module, steps)).encode())
        for name, values in module.state_dict().items():
            digest.update(name.encode() + values.detach().numpy().tobytes())
        key = digest.hexdigest()
        if key not in graphs:
            graphs[key] = export(module, example, inputs, output).SerializeToString()
        return onnx.load_from_string(graphs[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "export_module", remembered)
        yield


@pytest.fixture
def real_mcf() -> Path:
    """Folder of real captured pairs; it lies beside the repository and is not part of it."""
    folder = ROOT.parent / "shared" / "real-mcf"
    if not (folder / "imagenet").is_dir():
        pytest.skip(f"no real captures at {folder}: put the real-mcf folder there to run this test")
    return folder


@pytest.fixture
def archive_root(tmp_path: Path) -> Path:
    """An empty archive for recordings and datasets."""
    root = tmp_path / "archive"
    root.mkdir()
    return root
