"""What the capture thread tells of the SLM: which pattern it was commanded to show, and when."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Pattern


@dataclass(frozen=True, eq=False)
class ShownPattern:
    """A pattern that was handed to the SLM's driver.

    Parameters
    ----------
    pattern : Pattern
        The pattern.
    commanded_ns : int
        When it was handed over, on the monotonic clock in ns.
    """

    pattern: Pattern
    commanded_ns: int
