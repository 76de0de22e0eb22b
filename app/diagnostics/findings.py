"""The result of one check of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad the result of a check is."""

    OK = "ok"
    #: Not needed by every instrument; nothing is wrong.
    NOTE = "note"
    #: The instrument cannot be used like this.
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    subject : str
        What was checked.
    verdict : Verdict
        How bad it is.
    text : str
        The details, for display.
    remedy : str
        What to do; empty when nothing has to be done.
    """

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The finding in one line, for a report."""
        remedy = f" [{self.remedy}]" if self.remedy else ""
        return f"{self.verdict:4} {self.subject}: {self.text}{remedy}"
