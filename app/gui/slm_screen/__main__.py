"""Run the screen SLM's process by the name of its folder."""

from __future__ import annotations

import sys

from app.gui.slm_screen.main import main

raise SystemExit(main(sys.argv[1:]))
