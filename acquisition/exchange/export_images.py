"""Archives as image files: OME-TIFF, and the published SpecDiffusion layout of PNG pairs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray

from acquisition.archive.atomic_files import image_bytes, write_inside
from acquisition.archive.reader import Archive
from acquisition.archive.rows import StoredRow
from acquisition.exchange.check_sums import ome_digits_at, ome_sha256
from acquisition.exchange.export_base import ExportError, how_it_went, images, metadata_json, pixel_um
from acquisition.exchange.formats.ome_metadata import imagej_description, ome_xml
from acquisition.patterns.sources import BLANK
from drivers.manifest import MANIFEST, manifest_text, sha256_of

#: A classic TIFF has less than 4 GiB; a page needs so many bytes beside its pixels.
_MOST_CLASSIC_BYTES, _PAGE_BYTES = 2**32 - 2**26, 512
_DESCRIPTION = 270
#: Name of the lists of the flat references.
REFERENCE_LIST = "reference"
_DEFAULT_LIST = "test"
#: Names of files that cannot lead out of a folder.
_PLAIN = re.compile(r"\w[\w. -]*")


def write_ome_tiff(archive: Archive, name: str, path: Path) -> None:
    """Write one array as OME-TIFF (TYX or TCYX) with all its facts and check sums; ImageJ opens it as frames in time.

    Some programs cannot open BigTIFF, so it is used only for files that need it.
    """
    spec = archive.spec(name)
    pages = len(archive) * math.prod(spec.shape[:-2])
    xml = ome_xml(archive, name)
    big = len(archive) * spec.nbytes + pages * _PAGE_BYTES + len(xml) > _MOST_CLASSIC_BYTES
    # Programs that read OME take the first description, and ImageJ takes the last.
    descriptions = [xml] if big else [xml, imagej_description(archive, name)]
    encoded = [text.encode("utf-8") + b"\0" for text in descriptions]
    tags = [(_DESCRIPTION, tifffile.DATATYPE.ASCII, len(text), text, True) for text in encoded]
    side_um = pixel_um(archive, name)
    options: dict[str, Any] = {"metadata": None, "photometric": "minisblack", "extratags": tags}
    if side_um is not None:
        options |= {"resolution": (1e4 / side_um, 1e4 / side_um), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=big) as tiff:
        tiff.write(_pages(archive, name), shape=(pages, *spec.shape[-2:]), dtype=spec.dtype, **options)
    _write_ome_sha256(path)


def _pages(archive: Archive, name: str) -> Iterator[NDArray[Any]]:
    """Yield images (H, W): every image, or every channel of every image."""
    for image in images(archive, name):
        yield from image.reshape(-1, *image.shape[-2:])


def _write_ome_sha256(path: Path) -> None:
    """Write the SHA-256 of the OME-XML into its place, which is known only when the file is complete."""
    with tifffile.TiffFile(path) as tiff:
        description, xml = tiff.pages.first.tags["ImageDescription"], tiff.ome_metadata or ""
    place = ome_digits_at(xml)
    if place is None:
        raise ExportError(f"this tifffile writes no annotations into {path.name}; install the version that setup.cfg names")
    with path.open("r+b") as file:
        file.seek(description.valueoffset + place)
        file.write(ome_sha256(xml).encode("ascii"))


@dataclass(frozen=True, kw_only=True)
class SpecDiffusionLayout:
    """What the published layout needs to know.

    Parameters
    ----------
    name : str
        Name of the folder; the lists contain it.
    phase : str
        Name of the phase array.
    phase_range_rad : float
        Phase of label grey 255 in radians.
    split : str, optional
        First part of the names of the lists of all pairs. By default an imported pair stays in its list.
    part_of : callable, optional
        Returns the first part of the lists' names for the id of a pattern; without it that is ``test``.
    """

    name: str
    phase: str
    phase_range_rad: float
    split: str | None = None
    part_of: Callable[[str], str] | None = None

    def list_of(self, row: StoredRow) -> str:
        """Return the list of a pair. The flat references have one of their own, because the published loader reads lists."""
        stored = row.extra.get("list")
        if row.pattern_name == BLANK:
            return REFERENCE_LIST
        if self.split is not None:
            return self.split
        if isinstance(stored, str) and _PLAIN.fullmatch(stored):
            return stored
        return self.part_of(row.pattern_id) if self.part_of and row.pattern_id else _DEFAULT_LIST


def write_specdiffusion(archive: Archive, layout: SpecDiffusionLayout, path: Path) -> None:
    """Write ``input/*.png``, ``label/*.png``, their lists, ``metadata.yaml``, and a manifest of all these files.

    The ``label`` of an imported dataset is written unchanged, and its files keep their names.

    Raises
    ------
    ExportError
        The speckle is not 8 to 16-bit counts, or the phase is outside 0 to ``phase_range_rad``.
    """
    if layout.split is not None and not _PLAIN.fullmatch(layout.split):
        raise ExportError(f"the lists cannot be called {layout.split!r}; give a name of letters and digits, such as test")
    dtype = archive.spec("speckle").dtype
    bit_depth = 8 if dtype == "uint8" else archive.metadata.get("bit_depth", 16)
    if dtype not in ("uint8", "uint16") or not isinstance(bit_depth, int) or not 8 <= bit_depth <= 16:
        raise ExportError(
            f"{layout.name}: this layout takes 8 to 16-bit speckle, not {dtype} of {bit_depth!r} bits; export OME-TIFF"
        )
    labelled = archive.metadata.get("phase_range_rad") == layout.phase_range_rad and "label" in archive.arrays
    labelled = labelled and archive.spec("label").dtype == "uint8"
    stems = _stems(archive.rows())
    for folder in ("input", "label"):
        (path / folder).mkdir(parents=True)
    for index, stem in enumerate(stems):
        speckle = archive.read("speckle", index)
        grey = archive.read("label", index) if labelled else _grey(archive, index, layout)
        _write_png(path / "input" / f"{stem}.png", speckle >> (bit_depth - 8))
        _write_png(path / "label" / f"{stem}.png", grey)
    members: dict[str, list[str]] = {}
    for row, stem in zip(archive.rows(), stems, strict=True):
        members.setdefault(layout.list_of(row), []).append(stem)
    for name, listed in members.items():
        for folder, list_name in (("input", "data"), ("label", "label")):
            lines = [f"./datasets/{layout.name}/{folder}/{stem}.png\n" for stem in listed]
            write_inside(path / f"{name}_{list_name}.flist", "".join(lines).encode("utf-8"))
    facts = {
        "archive": archive.path.name,
        "count": len(archive),
        "lists": {name: len(listed) for name, listed in members.items()},
        "phase_range_rad": layout.phase_range_rad,
        "label": "as imported" if labelled else "round(phase_rad / phase_range_rad * 255)",
        "input": f"speckle counts of {bit_depth} bits, divided by {2 ** (bit_depth - 8)}",
        **how_it_went(archive),
        "archive_metadata": json.loads(metadata_json(archive)),
    }
    write_inside(path / "metadata.yaml", yaml.safe_dump(facts, sort_keys=False).encode("utf-8"))
    files = sorted(file for file in path.rglob("*") if file.is_file())
    digests = {file.relative_to(path).as_posix(): sha256_of(file) for file in files}
    write_inside(path / MANIFEST, manifest_text(digests).encode("utf-8"))


def _stems(rows: Sequence[StoredRow]) -> list[str]:
    names = [str(row.extra.get("file_stem", "")) for row in rows]
    # Names from a foreign journal must not lead out of the folder.
    if len(set(names)) == len(names) and all(_PLAIN.fullmatch(name) for name in names):
        return names
    return [f"{index:05d}" for index in range(len(rows))]


def _grey(archive: Archive, index: int, layout: SpecDiffusionLayout) -> NDArray[Any]:
    phase_rad = archive.read(layout.phase, index)
    if not np.isfinite(phase_rad).all():
        raise ExportError(
            f"row {index} of {layout.phase!r} has no phase, because the frame was not reconstructed: there is no label for it; "
            "this layout takes datasets: export a recording as OME-TIFF, HDF5 or NPZ"
        )
    grey = np.round(phase_rad * (255.0 / layout.phase_range_rad))
    if not (grey.min() >= 0 and grey.max() <= 255):
        raise ExportError(
            f"row {index} of {layout.phase!r} spans {phase_rad.min():.3f} to {phase_rad.max():.3f} rad, "
            f"not 0 to {layout.phase_range_rad:.3f}; set phase_range_rad"
        )
    return grey


def _write_png(path: Path, image: NDArray[Any]) -> None:
    if image.max() > 255:
        raise ExportError(f"{path.name} would hold {image.max():g}, above 255; check bit_depth in the metadata")
    write_inside(path, image_bytes(image.astype(np.uint8)))
