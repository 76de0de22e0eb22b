"""``specklescope export``: write an archive in formats of other programs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.cli.options import Json, Positive
from app.cli.output import publish
from app.signals import kept_on_interruption


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
    from acquisition.exchange.export import LabelOptions, exported_files
    from acquisition.exchange.export_base import how_it_went

    archive = Archive.open(path)
    out = options.out or path / "export"
    files: list[str] = []
    exported = exported_files(
        archive,
        out,
        options.format or ["ome-tiff", "ffv1"],
        LabelOptions(phase_range_rad=options.phase_range_rad),
        overwrite=options.overwrite,
    )
    kept = kept_on_interruption(lambda: f"{len(files)} complete files are in {out}; export again for the others")
    with kept, closing(exported):
        for file in exported:
            files.append(str(file))
    publish("exported", {"files": files, **how_it_went(archive)}, json)
