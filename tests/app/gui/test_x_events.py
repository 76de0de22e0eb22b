"""The window under real mouse and keyboard events, on a small screen and on a 4K screen with scale 2.

Each screen has an X server and a window manager of its own, in which a pytest of its own runs ``x_events/x_*.py``. The fast
suite runs the main path of every page, and whether everything is on the screen; the slow one runs all, on both screens.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.benchmarks.live.x_desktop import XDesktop
from tests.app.gui.conftest import DISPLAY_VARIABLE
from tests.conftest import ROOT

SCREENS = {"1366 x 768": (1366, 768, 1), "4K, scale 2": (3840, 2160, 2)}
FOLDER = Path(__file__).with_name("x_events")


@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed; apt-get install xdotool")
@pytest.mark.parametrize(
    ("screen", "files", "chosen"),
    [
        ("1366 x 768", "x_*.py", "not slow"),
        ("4K, scale 2", "x_live_page.py", "not slow"),
        pytest.param("1366 x 768", "x_*.py", "", marks=pytest.mark.slow),
        pytest.param("4K, scale 2", "x_*.py", "", marks=pytest.mark.slow),
    ],
)
def test_the_window_works_with_the_mouse_and_the_keyboard(screen: str, files: str, chosen: str) -> None:
    width, height, scale = SCREENS[screen]
    tests = sorted(map(str, FOLDER.glob(files)))
    assert tests
    with XDesktop(width, height) as desktop:
        settings = {"QT_SCALE_FACTOR": str(scale), "PYTEST_ADDOPTS": "", DISPLAY_VARIABLE: desktop.display}
        plugins = ["-n0", "-p", "no:cacheprovider", "-p", "no:randomly"]
        command = [sys.executable, "-m", "pytest", "-q", *plugins, "-m", chosen, *tests]
        ended = subprocess.run(
            command, cwd=ROOT, env={**desktop.environment, **settings}, capture_output=True, text=True, timeout=280, check=False
        )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
