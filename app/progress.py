"""How a long task reports its progress."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Says that ``done`` of ``total`` of a stage are done."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Draw it."""
