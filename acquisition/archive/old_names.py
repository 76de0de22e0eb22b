"""Names in files of version 0.1.0, and their present names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acquisition.archive.kinds import COMPLETE_VERDICT, ArchiveKind, EventKind, FinishReason

#: Keys that have the same meaning in every file.
_KEYS: Mapping[str, str] = {
    "depth_rad": "phase_range_rad",
    "min_sentinel_correlation": "min_reference_correlation",
    "exchange": "coupling",
    "probes": "probe_patterns",
}
#: Kinds of archives, as the journal names them.
_KINDS: Mapping[str, ArchiveKind] = {"take": ArchiveKind.RECORDING}
#: Kinds of faults in a journal: the names that the exceptions had.
_FAULTS = ("DeviceTimeout", "DeviceLost", "FrameFailed", "TriggerIgnored", "WrongPattern", "BadPair")
METADATA, OLD_METADATA = "metadata.yaml", "card.yaml"
#: How the verdict of a run begins that the operator stopped.
_STOPPED = "stopped by the operator"


def with_present_names(content: Any, **more: str) -> Any:
    """Return plain values in which every old key, at any depth, has its present name.

    Parameters
    ----------
    content
        Mappings, lists and plain values, as YAML or JSON gives them.
    **more
        Further keys that have this meaning only in this kind of file: old name = present name.
    """
    if isinstance(content, Mapping):
        names = {**_KEYS, **more}
        return {names.get(key, key): with_present_names(value, **more) for key, value in content.items()}
    if isinstance(content, list):
        return [with_present_names(item, **more) for item in content]
    return content


def present_kind(kind: str) -> str:
    """Return the present name of an archive's kind."""
    return _KINDS.get(kind, kind)


def present_event(text: str) -> EventKind | str:
    """Return the kind of an event that a journal stores as ``text``; unknown text comes back as it is."""
    present = f"{text}Error" if text in _FAULTS else text
    try:
        return EventKind(present)
    except ValueError:
        return present


def finish_reason_of(verdict: str) -> FinishReason:
    """Return why an archive of version 0.1.0 finished, by its verdict: that version stored no reason beside it."""
    if verdict == COMPLETE_VERDICT:
        return FinishReason.COMPLETED
    return FinishReason.STOPPED if verdict.startswith(_STOPPED) else FinishReason.FAILED


def metadata_file(folder: Path) -> Path:
    """Return the metadata file in ``folder``: ``metadata.yaml``, or ``card.yaml`` where only that one exists."""
    old = folder / OLD_METADATA
    return old if old.is_file() and not (folder / METADATA).is_file() else folder / METADATA
