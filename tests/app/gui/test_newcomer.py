"""A newcomer's first hour, from the start to the exported film, with the mouse of an X server alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.benchmarks.live.x_desktop import XDesktop
from tests.app.gui.conftest import DISPLAY_VARIABLE
from tests.conftest import ROOT

PATH = Path(__file__).with_name("newcomer") / "first_hour.py"
LIMIT_S = 900


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed; apt-get install xdotool")
def test_the_newcomers_path_with_the_mouse_alone() -> None:
    with XDesktop() as desktop:
        settings = {"QT_SCALE_FACTOR": "1", "PYTEST_ADDOPTS": "", DISPLAY_VARIABLE: desktop.display}
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-p", "no:randomly"]
        ended = subprocess.run(
            [*command, "-o", f"timeout={LIMIT_S}", str(PATH)],
            cwd=ROOT,
            env={**os.environ, **desktop.environment, **settings},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-1000:]
