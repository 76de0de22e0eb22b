"""``specklescope export``: write an archive in formats of other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.cli.options import Json, Positive
from app.cli.output import publish


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is written.

    Parameters
    ----------
    out
        Folder for the files. [default: 'export' inside the archive]
    format
        ome-tiff, ffv1 (bit-exact video), viewing-mp4 (lossy), specdiffusion (PNG pairs), npz, hdf5, matlab (7.3) or ome-zarr;
        several may be given. [default: ome-tiff and ffv1]
    overwrite
        Replace files that exist.
    phase_range_rad
        For specdiffusion: the phase of white in radians. [default: that of the archive]
    """

    out: Path | None = None
    format: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None
    overwrite: bool = False
    phase_range_rad: Positive | None = None


_OPTIONS = ExportOptions()


def export(path: Path, *, options: ExportOptions = _OPTIONS, json: Json = None) -> None:
    """Export a dataset or a recording for other programs.

    Parameters
    ----------
    path
        Folder of the dataset or recording.
    """
    from acquisition.archive.reader import Archive
    from acquisition.exchange.export import LabelOptions
    from acquisition.exchange.export import export as export_archive

    written = export_archive(
        Archive.open(path),
        options.out or path / "export",
        options.format or ["ome-tiff", "ffv1"],
        LabelOptions(phase_range_rad=options.phase_range_rad),
        overwrite=options.overwrite,
    )
    publish("exported", {"files": [str(file) for file in written]}, json)
