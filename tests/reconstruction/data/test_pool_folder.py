"""Folders of simulated pairs are removed with their process, however it ends, and never before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from reconstruction.data.pool_folder import pool_folder, remove_orphans
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and file locks are POSIX")

HOLD = "from reconstruction.data.pool_folder import pool_folder\nwith pool_folder() as f:\n print(f, flush=True)\n input()"


def aged(folder: Path) -> Path:
    os.utime(folder, (0, 0))
    return folder


def test_it_is_removed_at_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pool_folder() as folder:
        assert folder.parent == tmp_path
        (folder / "speckle.bin").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_one_of_a_killed_process_is_removed_and_one_in_use_is_not(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        folder = aged(Path(process.stdout.readline().strip()))
        (folder / "speckle.bin").write_bytes(b"x")
        aged(folder)
        remove_orphans(tmp_path)
        assert folder.exists()
        process.send_signal(signal.SIGKILL)
    assert folder.exists()
    remove_orphans(tmp_path)
    assert not folder.exists()


def test_a_young_folder_and_other_folders_stay(tmp_path: Path) -> None:
    young, other = tmp_path / "specklescope-pool-young", tmp_path / "thesis"
    young.mkdir()
    other.mkdir()
    aged(other)
    remove_orphans(tmp_path)
    assert young.exists()
    assert other.exists()
