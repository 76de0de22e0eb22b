"""A process that reads inputs; its argument is the folder of the samples."""

from __future__ import annotations

import sys
from pathlib import Path

from app.benchmarks.reliability.fuzz.worker import serve

if __name__ == "__main__":
    serve(Path(sys.argv[1]))
