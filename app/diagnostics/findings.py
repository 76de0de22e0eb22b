"""One thing that the doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``remedy`` is empty when nothing has to be done."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""
