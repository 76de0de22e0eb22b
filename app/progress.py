"""How a long task reports its progress."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Called whenever ``done`` of ``total`` steps of a stage are done."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Show the progress; ``note`` is a short text beside it."""
