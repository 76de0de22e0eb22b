"""The help appears at once: nothing heavy is imported before a command runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

#: They take seconds to import.
HEAVY = {"torch", "cv2", "scipy", "skimage", "av", "PyQt6"}
_CHILD = """
import contextlib, json, sys
from specklescope.__main__ import main
with contextlib.redirect_stdout(sys.stderr):
    try:
        main(json.loads(sys.argv[1]))
    except SystemExit as ended:
        status = ended.code
print(json.dumps({"status": status, "modules": [name.partition(".")[0] for name in sys.modules]}))
"""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["--help"], "twin-statistics"), (["--version"], "."), (["train", "--help"], "--early-stop"), (["dmo"], "demo")],
    ids=["help", "version", "help of a command", "mistake"],
)
def test_nothing_heavy_is_loaded(arguments: list[str], text: str) -> None:
    command = [sys.executable, "-c", _CHILD, json.dumps(arguments)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert text in child.stderr, "it has to print what was asked for"
    result = json.loads(child.stdout)
    assert "cyclopts" in result["modules"], "the list of modules has to be that of the command"
    assert not HEAVY & set(result["modules"])
    assert result["status"] in ((2,) if arguments == ["dmo"] else (0, None))
