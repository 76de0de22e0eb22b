"""The metadata of OME-TIFF, and those by which ImageJ sees the same pages as frames in time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import tifffile

from acquisition.archive.reader import Archive
from acquisition.exchange.check_sums import ome_annotation
from acquisition.exchange.export_base import (
    channels_of,
    display_range,
    even_interval_s,
    json_columns,
    metadata_json,
    pixel_um,
    recording_summary,
    significant_bits,
)
from drivers.program_version import program_version

#: ImageJ shows so many channels in colours on each other.
_MOST_COMPOSITE = 7


def ome_xml(archive: Archive, name: str) -> str:
    """Return the OME-XML of one array with axes TYX, or TCYX where its images have channels.

    OME has no place for some of our facts: the annotations hold all metadata and all columns as JSON, see
    :mod:`acquisition.exchange.check_sums`.
    """
    rows, spec = archive.rows(), archive.spec(name)
    channels = channels_of(archive, name) or (name,)
    planes = [row for row in rows for _ in channels]
    facts: dict[str, Any] = {
        "Name": f"{archive.path.name} {name}",
        "Channel": {"Name": list(channels)},
        "Plane": {
            "DeltaT": [(row.t_ns - rows[0].t_ns) * 1e-9 for row in planes],
            "DeltaTUnit": ["s"] * len(planes),
            "ExposureTime": [row.exposure_s for row in planes],
            "ExposureTimeUnit": ["s"] * len(planes),
        },
        "MapAnnotation": _stated(archive)
        | ome_annotation([row.crc32[name] for row in rows], metadata_json(archive), json.dumps(json_columns(archive))),
    }
    if date := _date(rows[0].host_utc):
        facts["AcquisitionDate"] = date
    if summary := recording_summary(archive):
        facts["Description"] = summary
    if name == "speckle":
        facts["SignificantBits"] = significant_bits(archive)
    if (interval_s := even_interval_s(rows)) is not None:
        facts |= {"TimeIncrement": interval_s, "TimeIncrementUnit": "s"}
    if (side_um := pixel_um(archive, name)) is not None:
        facts |= {"PhysicalSizeX": side_um, "PhysicalSizeXUnit": "µm"}
        facts |= {"PhysicalSizeY": side_um, "PhysicalSizeYUnit": "µm"}
    document = tifffile.OmeXml(Creator=f"SpeckleScope {program_version()}")
    height, width = spec.shape[-2:]
    stored = (len(planes), 1, 1, height, width, 1)
    axes = "TYX" if len(spec.shape) == len("YX") else "TCYX"
    document.addimage(spec.dtype, (len(rows), *spec.shape), stored, axes=axes, **facts)
    return _with_instrument(archive, document.tostring(declaration=True))


def _stated(archive: Archive) -> dict[str, str]:
    """Return for people what the metadata state about the sample: OME has no elements for it."""
    names = {"Fibre": "fibre", "Phase range in rad": "phase_range_rad", "Plan": "plan_hash"}
    return {title: str(archive.metadata[name]) for title, name in names.items() if archive.metadata.get(name)}


def _with_instrument(archive: Archive, xml: str) -> str:
    """Add the instrument and its camera, which tifffile cannot write."""
    config = archive.metadata.get("config")
    camera = config.get("camera") if isinstance(config, dict) else None
    name = str(archive.metadata.get("instrument") or "")
    if not name and not camera:
        return xml
    detector = f"<Detector ID={quoteattr('Detector:0')} Model={quoteattr(str(camera or name))}/>"
    microscope = f"<Microscope Model={quoteattr(name)}/>" if name else ""
    instrument = f'<Instrument ID="Instrument:0">{microscope}{detector}</Instrument>'
    reference = '<InstrumentRef ID="Instrument:0"/>'
    return xml.replace("<Image ", f"{instrument}<Image ", 1).replace("<Pixels ", f"{reference}<Pixels ", 1)


def _date(host_utc: str) -> str:
    """Return a wall-clock time as OME takes it, or an empty text where it is none."""
    try:
        return escape(datetime.fromisoformat(host_utc).isoformat())
    except ValueError:
        return ""


def imagej_description(archive: Archive, name: str) -> str:
    """Return what ImageJ reads in a TIFF file: without it, frames would be slices along Z, in no unit of length."""
    count, channels = len(archive), len(channels_of(archive, name)) or 1
    low, high = display_range(archive, name)
    lines = ["ImageJ=1.53t", f"images={count * channels}"]
    lines += [f"channels={channels}"] if channels > 1 else []
    lines += [f"frames={count}"] if count > 1 else []
    lines += ["hyperstack=true"] if count * channels > 1 else []
    lines += [f"mode={'composite' if 1 < channels <= _MOST_COMPOSITE else 'grayscale'}"] if count * channels > 1 else []
    lines += ["unit=um"] if pixel_um(archive, name) is not None else []
    interval_s = even_interval_s(archive.rows())
    lines += [f"finterval={interval_s!r}"] if interval_s is not None else []
    return "\n".join([*lines, "loop=false", f"min={low!r}", f"max={high!r}", ""])
