"""The desktop of the live benchmark and of the tests of the window."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from app.benchmarks.live.x_desktop import XDesktop

_WINDOW = """
from PyQt6.QtWidgets import QApplication, QWidget
application = QApplication([])
window = QWidget()
window.show()
while not (window.windowHandle().isExposed() and window.isActiveWindow()):
    application.processEvents()
"""


@pytest.mark.skipif(shutil.which("openbox") is None, reason="openbox is not installed; apt-get install openbox")
def test_a_window_that_opens_at_once_is_shown_and_gets_the_keys() -> None:
    with XDesktop() as desktop:
        subprocess.run([sys.executable, "-c", _WINDOW], env=desktop.environment, check=True, timeout=30)
