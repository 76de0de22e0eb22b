"""Runs the process of the screen SLM with ``python -m`` and the name of this folder."""

from __future__ import annotations

import sys

from app.gui.slm_screen.main import main

raise SystemExit(main(sys.argv[1:]))
