"""What the faults of an acquisition mean, and what to do when there are many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from acquisition.archive.kinds import EventKind
from app.gui.widgets.formatting import count
from app.status import FAULT_TEXTS

_MEANINGS: Final[Mapping[EventKind, str]] = {
    EventKind.DEVICE_TIMEOUT: "No frame came in time. Many of them: check the camera's cable and the trigger.",
    EventKind.DEVICE_LOST: "The camera or the SLM was gone for a moment, and came back. Check its plug and its power.",
    EventKind.FRAME_FAILED: "The camera sent an incomplete frame. Many of them: use another port or a shorter cable.",
    EventKind.TRIGGER_IGNORED: "The camera was not ready for its trigger. Many of them: allow a longer time between pairs.",
    EventKind.WRONG_PATTERN: "The frame was not that of its pattern. Many of them: check the SLM's latency with a calibration.",
    EventKind.BAD_PAIR: "The frame was useless: too dark, saturated, or of a fibre that has moved. The journal says which.",
}


def faults_text(faults: Mapping[str, int]) -> str:
    """Return the faults and how many of each there were, in one line; empty when there were none."""
    return ", ".join(f"{_name(kind)}: {count(number)}" for kind, number in sorted(faults.items()))


def faults_meaning(faults: Mapping[str, int]) -> str:
    """Return what each fault means, a line for each; every such pair was captured again."""
    if not faults:
        return ""
    kinds = {kind: _kind(kind) for kind in sorted(faults)}
    lines = [f"{_name(kind)}: {_MEANINGS[known]}" for kind, known in kinds.items() if known is not None and known in _MEANINGS]
    return "\n".join(["Every pair with a fault was captured again.", *lines])


def _name(kind: str) -> str:
    known_kind = _kind(kind)
    return FAULT_TEXTS.get(known_kind, kind) if known_kind is not None else kind


def _kind(kind: str) -> EventKind | None:
    return next((known for known in EventKind if known.value == kind), None)
