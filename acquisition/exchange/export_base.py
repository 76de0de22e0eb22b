"""What every export format reads from an archive: images in order, rows as columns, frame rate and pixel size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recording_faults import NOT_RECONSTRUCTED, NOT_SEGMENTED, marked_frames, recording_facts
from acquisition.archive.results.disc import DISCS, Disc, parsed_disc
from acquisition.archive.rows import PairRow
from acquisition.exchange.check_sums import CRC, FACTS, crc32_columns, facts_sha256
from acquisition.exchange.containers.facts import CHANNELS, channel_names
from drivers.base import SpeckleScopeError, named_or_numbered

#: How far a frame may lie from an evenly spaced one, in intervals.
_MOST_UNEVEN = 0.1
#: Key of the metadata that tell how a recording went; also of a dataset that was imported from an exported recording.
RECORDING = "recording"
#: Axes of an image with channels: C, H and W.
_WITH_CHANNELS = 3
#: Names of channels that a message shows.
_SHOWN_NAMES = 8
#: Images from which a range of values is computed.
_RANGE_SAMPLES = 32


class ExportError(SpeckleScopeError):
    """An archive could not be exported; no incomplete file is left behind."""


def images(archive: Archive, name: str) -> Iterator[NDArray[Any]]:
    """Yield the images of one array in the order of the rows, each checked against its CRC-32."""
    return (archive.read(name, index) for index in range(len(archive)))


def columns(archive: Archive) -> dict[str, NDArray[Any]]:
    """Return the rows of the journal as columns: one array (N,) for each field, with ``extra`` as JSON, and every CRC-32.

    Raises
    ------
    ExportError
        An image array has the name of a field.
    """
    rows = archive.rows()
    table: dict[str, NDArray[Any]] = {
        "frame_index": np.array([row.frame_index for row in rows], np.int64),
        "t_ns": np.array([row.t_ns for row in rows], np.int64),
        "exposure_s": np.array([row.exposure_s for row in rows], np.float64),
        "latency_s": np.array([np.nan if row.latency_s is None else row.latency_s for row in rows], np.float64),
        "extra_json": np.array([json.dumps(dict(row.extra)) for row in rows]),
    }
    for name in ("pattern_id", "pattern_name", "host_utc", "model_id", "engine"):
        table[name] = np.array([getattr(row, name) for row in rows], np.str_)
    table |= crc32_columns(archive)
    clashes = [name for name in archive.arrays if name in (*table, "metadata_json", FACTS)]
    if clashes:
        raise ExportError(f"{archive.path.name}: array {clashes[0]!r} has the name of a column; export OME-TIFF")
    return table


def facts_digest(archive: Archive, table: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 over everything in an export that is no image: its columns, its metadata, its arrays' layouts."""
    specs = {name: archive.spec(name) for name in archive.arrays}
    layouts = {name: ((len(archive), *spec.shape), np.dtype(spec.dtype)) for name, spec in specs.items()}
    return facts_sha256(layouts, table, metadata_json(archive))


def metadata_json(archive: Archive) -> str:
    """Return the archive's metadata as JSON, with the names of the channels and how a recording went; dates become text."""
    named = {CHANNELS: list(names)} if (names := known_channels(archive)) else {}
    return json.dumps(_with_text_keys({**archive.metadata, **named, **how_it_went(archive)}), default=str)


def known_channels(archive: Archive) -> tuple[str, ...]:
    """Return the names of the channels of a frame: those in the metadata, or numbers; () where frames are grey or absent."""
    shape = archive.spec("speckle").shape if "speckle" in archive.arrays else ()
    if len(shape) < _WITH_CHANNELS:
        return ()
    return named_or_numbered(channel_names(archive.metadata), shape[0])


def channels_of(archive: Archive, name: str) -> tuple[str, ...]:
    """Return the names of the channels of an array's images; () where they are grey."""
    return known_channels(archive) if len(archive.spec(name).shape) == _WITH_CHANNELS else ()


def described_channels(names: Sequence[str]) -> str:
    """Return channels as a message names them, such as ``3 channels (red, green, blue)``."""
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{len(names)} {'channel' if len(names) == 1 else 'channels'} ({shown}{', ...' if names[_SHOWN_NAMES:] else ''})"


def _with_text_keys(value: object) -> object:
    """Return plain values in which every key is text: YAML has keys of any kind, such as dates."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list | tuple) else value


def how_it_went(archive: Archive) -> dict[str, object]:
    """Return the verdict, the faults and the incomplete frames of a recording, and how many references, as ``recording``."""
    if archive.kind is not ArchiveKind.RECORDING:
        return {}
    return {RECORDING: {**recording_facts(archive), "references": len(archive.references())}}


def known_discs(archive: Archive) -> dict[str, Disc]:
    """Return the discs of the methods of a recording, also of one that was exported and imported again.

    Raises
    ------
    StorageError
        The journal's facts or the metadata are damaged.
    """
    exported = archive.metadata.get(RECORDING)
    described = exported.get(DISCS) if isinstance(exported, Mapping) else None
    imported = described if isinstance(described, Mapping) else {}
    return {**{str(method): parsed_disc(disc) for method, disc in imported.items()}, **archive.discs()}


def recording_summary(archive: Archive) -> str:
    """Return in one line how a recording went, and which frames are bad or incomplete; empty for a dataset."""
    if archive.kind is not ArchiveKind.RECORDING:
        return ""
    facts = recording_facts(archive)
    parts = [f"recording {facts['verdict'] or 'not finished'}"]
    for key, what in ((NOT_RECONSTRUCTED, "not reconstructed"), (NOT_SEGMENTED, "not segmented")):
        if facts[key]:
            parts.append(f"{facts[key]} of {len(archive)} frames {what}")
    parts += [f"{mark}: frames {numbers}" for mark, numbers in marked_frames(archive).items()]
    return "; ".join(parts)


def even_interval_s(rows: Sequence[PairRow]) -> float | None:
    """Return the time between successive frames in seconds, or None where they are not evenly spaced.

    A single interval is what formats with one rate can say. It may be used only where it puts every frame within a tenth of an
    interval of its own time.
    """
    t_s = np.array([row.t_ns - rows[0].t_ns for row in rows]) * 1e-9
    if len(t_s) < 2 or t_s[-1] <= 0:
        return None
    interval_s = float(t_s[-1]) / (len(t_s) - 1)
    errors_s = abs(t_s - interval_s * np.arange(len(t_s)))
    return interval_s if errors_s.max() <= _MOST_UNEVEN * interval_s else None


def display_range(archive: Archive, name: str) -> tuple[float, float]:
    """Return the values that a program should show as black and as white."""
    if name == "speckle" and np.issubdtype(archive.spec(name).dtype, np.unsignedinteger):
        return 0.0, float(2 ** significant_bits(archive) - 1)
    sampled = np.linspace(0, len(archive) - 1, min(len(archive), _RANGE_SAMPLES)).astype(int)
    values = np.concatenate([image[np.isfinite(image)] for image in (archive.read(name, int(i)) for i in sampled)])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def significant_bits(archive: Archive) -> int:
    """Return how many bits the counts of the speckle have, as the metadata state; where they do not, the bits of its type."""
    most = 8 * np.dtype(archive.spec("speckle").dtype).itemsize
    stated = archive.metadata.get("bit_depth")
    return stated if isinstance(stated, int) and 1 <= stated <= most else most


def json_columns(archive: Archive) -> dict[str, list[Any]]:
    """Return the rows of the journal as columns of plain values for JSON, without check sums; a missing number is None."""
    table = {name: column.tolist() for name, column in columns(archive).items() if not name.startswith(CRC)}
    return {name: [None if value != value else value for value in values] for name, values in table.items()}


def pixel_um(archive: Archive, name: str) -> float | None:
    """Return the side of one pixel of an array in micrometres at the fibre's facet, or None when it is not known."""
    size_um = archive.metadata.get("pixel_um")
    if not isinstance(size_um, int | float) or not size_um > 0:
        return None
    if name == "speckle":
        return float(size_um)
    if archive.kind is ArchiveKind.RECORDING:  # a reconstruction covers the whole camera frame, on a grid of its own
        return float(size_um) * archive.spec("speckle").shape[-1] / archive.spec(name).shape[-1]
    return None  # a pattern is on the SLM's grid, which only a registration relates to the camera's
