"""kill -9 of the real command at random moments, then ``acquire --resume``: no acknowledged pair lost or doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from acquisition.archive.writer import Archive, StorageError
from app.datasets.audit import audit_pairs
from app.instrument.config import to_yaml
from drivers.twin.optics import FibreOptics
from tests.conftest import ROOT
from tests.helpers.command import run_here
from tests.helpers.small_instrument import OPTICS, small_instrument

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")


def acknowledged(path: Path) -> dict[int, tuple[str, tuple[tuple[str, int], ...]]]:
    try:
        rows = Archive.open(path).rows()
    except StorageError:  # killed before the archive existed
        return {}
    return {row.index: (row.pattern_id, tuple(row.crc32.items())) for row in rows}


def kill_and_resume(root: Path, kills: int, pairs: int, seed: int) -> None:
    config = root / "small.yaml"
    config.write_text(to_yaml(small_instrument(root)), "utf-8")
    command = [sys.executable, "-m", "specklescope", "acquire", "cells", "--pairs", str(pairs), "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    moments = random.Random(seed)
    never = threading.Event()
    path: Path | None = None
    known: dict[int, tuple[str, tuple[tuple[str, int], ...]]] = {}
    done = 0
    while done < kills:
        resume = ["--resume", str(path)] if path else []
        with subprocess.Popen([*command, *resume], cwd=root, env=environment, stderr=subprocess.DEVNULL) as child:
            try:
                # A moment counts from the first pair that this process acknowledges.
                while child.poll() is None:
                    path = path or next(iter((root / "archive").glob("[!.]*_dataset_*")), None)
                    if path and len(acknowledged(path)) > len(known):
                        break
                    never.wait(0.02)
                assert child.poll() is None, "it finished before it could be killed; ask for more pairs"
                never.wait(moments.uniform(0, 1.0))
                assert path is not None
                before = acknowledged(path)
            finally:
                child.kill()
        done += 1
        after = acknowledged(path)
        assert known.items() <= before.items() <= after.items(), f"kill {done} lost or changed an acknowledged pair"
        known = after
    assert path is not None
    run_here("acquire", "--resume", path, "--config", config, cwd=root)
    archive = Archive.open(path)
    rows = archive.rows()
    assert known.items() <= acknowledged(path).items()
    assert [row.extra["shot"] for row in rows] == [row.index for row in rows] == list(range(pairs + 1 + -(-pairs // 25)))
    assert archive.verify().ok
    assert audit_pairs(archive, FibreOptics(OPTICS)).wrong == 0


def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, 1, 100, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(500)  # the instrument takes 12 pairs a second, as a real one would
def test_ten_kills_lose_nothing(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, 10, 1000, seed=2)
