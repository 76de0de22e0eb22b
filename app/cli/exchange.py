"""Commands between this program and others: export archives, import pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from app.cli.options import Archives, Config, Json, settings_of
from app.cli.output import progress_bars, publish
from drivers.base import SpeckleScopeError


def export(
    path: Path,
    *,
    out: Path | None = None,
    format: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None,
    overwrite: bool = False,
    phase_range_rad: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    json: Json = None,
) -> None:
    """Export a dataset or a recording for other programs.

    Parameters
    ----------
    path
        Folder of the dataset or recording.
    out
        Folder for the files; without it, 'export' inside the archive.
    format
        ome-tiff, ffv1 (bit-exact video), viewing-mp4 (lossy), specdiffusion (PNG pairs), npz, hdf5, matlab (7.3), ome-zarr.
        Without it: ome-tiff and ffv1.
    overwrite
        Replace files that exist.
    phase_range_rad
        For specdiffusion: phase of white in radians, instead of the archive's own.
    """
    from acquisition.archive.writer import Archive
    from acquisition.exchange.export import export as export_archive

    formats = format or ["ome-tiff", "ffv1"]
    written = export_archive(
        Archive.open(path), out or path / "export", formats, overwrite=overwrite, phase_range_rad=phase_range_rad
    )
    publish("exported", {"files": [str(file) for file in written]}, json)


def import_pairs(
    source: Path,
    *,
    name: str = "",
    phase_range_rad: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    check: bool = False,
    allow_duplicates: bool = False,
    config: Config = None,
    archive: Archives = None,
    json: Json = None,
) -> None:
    """Import pairs from elsewhere into a dataset. Everything is checked before the first byte is written.

    Parameters
    ----------
    source
        A folder in the published layout (input/ and label/ of PNG), or an .npz, .h5 or OME-TIFF that was exported here.
    name
        Name of the dataset; without it, the source's.
    phase_range_rad
        Phase of label grey 255 in radians; needed where the source does not say.
    check
        Only check.
    allow_duplicates
        Take frames that occur twice.
    """
    from acquisition.exchange import import_pairs

    settings = settings_of(config, archive=archive)
    with progress_bars() as report:

        def show(step: str, done: int, total: int) -> None:
            report({"check": "checking pairs", "write": "writing pairs"}[step], done, total)

        found = import_pairs.check_pairs(
            source, phase_range_rad=phase_range_rad, allow_duplicates=allow_duplicates, on_progress=show
        )
        numbers: dict[str, object] = {
            "pairs": found.count,
            "arrays": [spec.name for spec in found.arrays],
            "notes": [*found.notes],
        }
        if not check:
            title = name or source.absolute().stem
            if not title:
                raise SpeckleScopeError(f"{source} gives no name for the dataset; state one with --name")
            root, again = settings.archive, allow_duplicates
            path = import_pairs.import_pairs(
                source, root, title, phase_range_rad=phase_range_rad, allow_duplicates=again, on_progress=show
            )
            numbers["path"] = str(path)
    publish("checked" if check else "imported", numbers, json)
