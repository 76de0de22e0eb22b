"""The window opens without the libraries that only reports and training need."""

from __future__ import annotations

import os
import subprocess
import sys

LATER = ("matplotlib", "jinja2", "torchmetrics", "onnx", "transformers")


def test_the_window_loads_no_library_that_it_needs_later() -> None:
    shown = f"print([name for name in {LATER!r} if name in sys.modules])"
    program = f"import sys, app.gui.main; {shown}; import reconstruction.torchmetrics_functions; {shown}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    at_first, with_scores = done.stdout.splitlines()
    assert at_first == "[]"
    assert "torchmetrics" in with_scores
    assert "transformers" not in with_scores, "torchmetrics imports it, where it is installed, for scores of text"


def test_what_qt_has_to_say_to_programmers_is_not_on_the_terminal() -> None:
    program = (
        "from PyQt6.QtCore import qWarning; from app.gui import main; main._application(['x']); qWarning('for programmers')"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    assert done.stderr == ""
