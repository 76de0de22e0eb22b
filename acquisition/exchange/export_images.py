"""Archives as image files: OME-TIFF, and the published SpecDiffusion layout of PNG pairs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from acquisition.archive.reader import Archive
from acquisition.archive.rows import StoredRow
from acquisition.exchange.export_base import ExportError, images, median_interval_s, pixel_um


def write_ome_tiff(archive: Archive, name: str, path: Path) -> None:
    """Write one array as OME-TIFF (TYX) with pixel size, frame times and exposures."""
    rows, spec = archive.rows(), archive.spec(name)
    metadata: dict[str, Any] = {
        "axes": "TYX",
        "Name": f"{archive.path.name} {name}",
        "Plane": {
            "DeltaT": [(row.t_ns - rows[0].t_ns) * 1e-9 for row in rows],
            "DeltaTUnit": ["s"] * len(rows),
            "ExposureTime": [row.exposure_s for row in rows],
            "ExposureTimeUnit": ["s"] * len(rows),
        },
    }
    interval_s = median_interval_s(rows)
    if interval_s is not None:
        metadata |= {"TimeIncrement": interval_s, "TimeIncrementUnit": "s"}
    side_um = pixel_um(archive, name)
    if side_um is not None:
        metadata |= {"PhysicalSizeX": side_um, "PhysicalSizeXUnit": "µm"}
        metadata |= {"PhysicalSizeY": side_um, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
        shape = (len(rows), *spec.shape)
        tiff.write(images(archive, name), shape=shape, dtype=spec.dtype, photometric="minisblack", metadata=metadata)


def write_specdiffusion(archive: Archive, phase: str, phase_range_rad: float, split: str, name: str, path: Path) -> None:
    """Write ``input/*.png``, ``label/*.png``, their lists and ``metadata.yaml``.

    An imported dataset's own ``label`` is written as it came, and its files keep their names.

    Raises
    ------
    ExportError
        Speckle that is not 8 to 16-bit counts, or phase outside 0 to ``phase_range_rad``.
    """
    dtype = archive.spec("speckle").dtype
    bit_depth = 8 if dtype == "uint8" else archive.metadata.get("bit_depth", 16)
    if dtype not in ("uint8", "uint16") or not isinstance(bit_depth, int) or not 8 <= bit_depth <= 16:
        raise ExportError(f"{name}: this layout takes 8 to 16-bit speckle, not {dtype} of {bit_depth!r} bits")
    labelled = archive.metadata.get("phase_range_rad") == phase_range_rad and "label" in archive.arrays
    labelled = labelled and archive.spec("label").dtype == "uint8"
    stems = _stems(archive.rows())
    for folder in ("input", "label"):
        (path / folder).mkdir(parents=True)
    for index, stem in enumerate(stems):
        speckle = archive.read("speckle", index)
        grey = archive.read("label", index) if labelled else _grey(archive.read(phase, index), index, phase, phase_range_rad)
        _write_png(path / "input" / f"{stem}.png", speckle >> (bit_depth - 8))
        _write_png(path / "label" / f"{stem}.png", grey)
    for folder, listed in (("input", "data"), ("label", "label")):
        lines = [f"./datasets/{name}/{folder}/{stem}.png\n" for stem in stems]
        (path / f"{split}_{listed}.flist").write_text("".join(lines), encoding="utf-8")
    facts = {
        "archive": archive.path.name,
        "count": len(archive),
        "phase_range_rad": phase_range_rad,
        "label": "as imported" if labelled else "round(phase_rad / phase_range_rad * 255)",
        "input": f"speckle counts of {bit_depth} bits, divided by {2 ** (bit_depth - 8)}",
    }
    (path / "metadata.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")


def _stems(rows: Sequence[StoredRow]) -> list[str]:
    names = [str(row.extra.get("file_stem", "")) for row in rows]
    # Names from a journal that somebody else wrote must not lead out of the folder.
    if len(set(names)) == len(names) and all(re.fullmatch(r"\w[\w. -]*", name) for name in names):
        return names
    return [f"{index:05d}" for index in range(len(rows))]


def _grey(phase_rad: NDArray[Any], index: int, phase: str, phase_range_rad: float) -> NDArray[Any]:
    grey = np.round(phase_rad * (255.0 / phase_range_rad))
    if not (grey.min() >= 0 and grey.max() <= 255):  # also catches NaN
        found = f"{phase_rad.min():.3f} to {phase_rad.max():.3f}"
        raise ExportError(f"row {index} of {phase!r} spans {found} rad, not 0 to {phase_range_rad:.3f}; set phase_range_rad")
    return grey


def _write_png(path: Path, image: NDArray[Any]) -> None:
    if image.max() > 255:
        raise ExportError(f"{path.name} would hold {image.max():g}, above 255; check bit_depth in the metadata")
    done, png = cv2.imencode(".png", image.astype(np.uint8))  # imwrite reports a full disk by returning False only
    if not done:
        raise ExportError(f"cannot encode {path.name}, {image.shape} {image.dtype}, as PNG")
    path.write_bytes(png.tobytes())
