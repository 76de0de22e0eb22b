"""The environment of a run: versions, processor or GPU, and commit."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import numpy as np
import torch


def environment(device: torch.device) -> dict[str, str]:
    """Return versions and machine; ``commit`` only if the program runs from a git checkout."""
    facts = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "system": platform.platform(),
        "device": device_name(device),
    }
    commit = _commit(Path(__file__).parents[2])
    return {**facts, "commit": commit} if commit else facts


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit(root: Path) -> str:
    """Return the hash of the git checkout, with a plus if files were changed since; empty without a checkout."""
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
