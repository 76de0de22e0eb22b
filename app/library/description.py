"""Everything that is known of an entry, in words: as captions with texts, in the order in which an operator asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import FRAMES_MISSING, NOT_SEGMENTED, markers, recorded_faults
from acquisition.archive.rows import StoredRow
from app.library.entry import Entry, EntryKind
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

#: Markers that are listed; the player shows all of them.
_MOST_MARKERS = 12
_KINDS: Mapping[EntryKind, str] = {
    EntryKind.RECORDING: "recording",
    EntryKind.DATASET: "dataset of pairs",
    EntryKind.SNAPSHOT: "snapshot",
    EntryKind.UNREADABLE: "folder that cannot be read",
}


@dataclass(frozen=True)
class Fact:
    """One thing that is known of an entry: a caption, and what it says there."""

    caption: str
    text: str


def describe(entry: Entry, fault_texts: Mapping[EventKind, str]) -> tuple[Fact, ...]:
    """Return what is known of an entry; what cannot be read of it is left out, and said in words.

    It reads the folder of the entry, which may take long on a slow disk.

    Parameters
    ----------
    entry : Entry
        The entry.
    fault_texts : mapping of EventKind to str
        What each kind of fault is called, in the plural.
    """
    facts = [*_own(entry)]
    if entry.kind in (EntryKind.RECORDING, EntryKind.DATASET):
        try:
            archive = Archive.open(entry.path)
            facts += _of_archive(entry, archive)
            if entry.kind is EntryKind.RECORDING:
                facts += _of_recording(archive, fault_texts)
            facts.append(Fact("Results", _results(archive)))
        except SpeckleScopeError as error:
            facts.append(Fact("Damage", str(error)))
    facts.append(Fact("Folder", visible(str(entry.path))))
    return tuple(fact for fact in facts if fact.text)


def size_text(size_bytes: int) -> str:
    """Return a size for people: ``1.2 GB``."""
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 100 else f"{size:.1f} {unit}"


def _own(entry: Entry) -> Iterator[Fact]:
    yield Fact("Problem", entry.problem)
    yield Fact("Kind", _KINDS[entry.kind] + (", simulated" if entry.simulated else ""))
    if entry.date is not None:
        yield Fact("Began", f"{entry.date:%d %B %Y, %H:%M:%S}")
    yield Fact("Ended", entry.ended)
    if entry.kind is EntryKind.RECORDING:
        yield Fact("Length", f"{entry.seconds or 0.0:.1f} s, {_counted(entry.frames, 'frame')}")
    elif entry.kind is EntryKind.DATASET:
        yield Fact("Pairs", f"{entry.pairs}")
    yield Fact("Without phase", _without_phase(entry))
    yield Fact("Size", size_text(entry.size_bytes))
    yield Fact("Instrument", visible(entry.instrument))
    yield Fact("Fibre", visible(entry.fibre))
    yield Fact("Model", visible(" ".join((entry.model, f"({entry.model_id})" if entry.model_id else "")).strip()))


def _without_phase(entry: Entry) -> str:
    missing = entry.frames_without_phase
    if not missing or not entry.frames:
        return ""
    if missing == entry.frames:
        return "no frame has a phase"
    return f"{missing} of {_counted(entry.frames, 'frame')}"


def _of_archive(entry: Entry, archive: Archive) -> Iterator[Fact]:
    metadata, rows = archive.metadata, archive.intact_rows()
    yield Fact("Pictures", ", ".join(_array_text(archive, name) for name in archive.arrays))
    yield Fact("Exposure", _exposure(rows))
    yield Fact("Rate", _rate(entry))
    yield Fact("Bit depth", _known(metadata, "bit_depth", "bits"))
    yield Fact("Pixel", _known(metadata, "pixel_um", "um at the fibre"))
    yield Fact("Phase range", _known(metadata, "phase_range_rad", "rad for white"))
    yield Fact("Camera", _settings(metadata.get("camera_settings")))
    yield Fact("Calibrations", _calibrations(metadata.get("calibrations")))
    for key in ("operator", "sample", "licence"):
        yield Fact(key.capitalize(), visible(str(metadata.get(key) or "")))


def _array_text(archive: Archive, name: str) -> str:
    *channels, rows, columns = archive.spec(name).shape
    return f"{name} {columns} x {rows}" + "".join(f" x {count} channels" for count in channels)


def _exposure(rows: tuple[StoredRow, ...]) -> str:
    times_ms = sorted({round(row.exposure_s * 1e3, 4) for row in rows if row.exposure_s > 0})
    if not times_ms:
        return ""
    return f"{times_ms[0]:g} ms" if len(times_ms) == 1 else f"{times_ms[0]:g} to {times_ms[-1]:g} ms"


def _rate(entry: Entry) -> str:
    if entry.kind is not EntryKind.RECORDING or not entry.seconds or entry.frames < 2:
        return ""
    return f"{(entry.frames - 1) / entry.seconds:.3g} frames/s on average"


def _known(metadata: Mapping[str, object], key: str, unit: str) -> str:
    value = metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"{value:.4g} {unit}"


def _settings(settings: object) -> str:
    """Return the camera's settings: ``exposure 10 ms, gain 6 dB, binning 2``."""
    if not isinstance(settings, Mapping):
        return ""
    known = {str(name): value for name, value in settings.items()}
    unit = known.pop("gain_unit", "")
    known.pop("exposure_s", None)  # each frame has its own
    texts = []
    for name, value in known.items():
        if isinstance(value, Mapping):
            value = " ".join(f"{part} {amount}" for part, amount in value.items())
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        texts.append(f"{name.replace('_', ' ')} {shown}{f' {unit}' if name.startswith('gain') and unit else ''}")
    return visible(", ".join(texts))


def _calibrations(applied: object) -> str:
    known = applied.items() if isinstance(applied, Mapping) else ()
    days = {str(name): str(facts.get("measured_utc", ""))[:10] for name, facts in known if isinstance(facts, Mapping)}
    return visible(", ".join(f"{name} of {day or 'an unknown day'}" for name, day in days.items()))


def _of_recording(archive: Archive, fault_texts: Mapping[EventKind, str]) -> Iterator[Fact]:
    for caption, key in (("Missing", FRAMES_MISSING), ("Not segmented", NOT_SEGMENTED)):
        if archive.status.get(key, "0") not in ("", "0"):
            yield Fact(caption, f"{archive.status[key]} frames")
    faults = {EventKind(name): count for name, count in recorded_faults(archive).items()}
    yield Fact("Faults", ", ".join(f"{count} {fault_texts.get(kind, kind)}" for kind, count in faults.items()))
    yield Fact("Markers", _markers(archive))


def _markers(archive: Archive) -> str:
    marked, rows = markers(archive), archive.intact_rows()
    times_s = {row.frame_index: (row.t_ns - rows[0].t_ns) * 1e-9 for row in rows} if marked else {}
    texts = []
    for one in marked[:_MOST_MARKERS]:
        at = f" ({times_s[one.frame_index]:.1f} s)" if one.frame_index in times_s else ""
        texts.append(f"{visible(one.text)}{at}")
    more = len(marked) - _MOST_MARKERS
    return "; ".join([*texts, *([f"and {more} more"] if more > 0 else [])])


def _results(archive: Archive) -> str:
    results, damaged = archive.results()
    return "; ".join([*(visible(result.card.name) for result in results), *damaged])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
