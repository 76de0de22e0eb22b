"""``specklescope export``: write an archive in formats of other programs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from app.cli.options import Flag, Json, Positive
from app.cli.output import publish
from app.signals import kept_on_interruption
from drivers.base import SpeckleScopeError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is written.

    Parameters
    ----------
    out
        Folder for the files. [default: 'export' inside the archive]
    format
        ome-tiff, ffv1 (bit-exact video), viewing-mp4 (lossy), specdiffusion (PNG pairs), npz, hdf5, matlab or ome-zarr;
        several may be given. [default: ome-tiff and ffv1]
    overwrite
        Replace files that exist.
    phase_range_rad
        For specdiffusion: the phase of white in radians. [default: that of the archive]
    split
        For specdiffusion: the name of the lists of all pairs, such as test. [default: train, val and test, divided by pattern
        as in parts.csv; imported pairs stay in their lists]
    ro_crate
        Also write ro-crate-metadata.json, which describes the files for repositories (RO-Crate 1.1): sizes, check sums, and the
        operator, sample and licence where the archive states them.
    """

    out: Path | None = None
    format: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None
    overwrite: bool = False
    phase_range_rad: Positive | None = None
    split: str | None = None
    ro_crate: Flag = False


_OPTIONS = ExportOptions()
#: The published lists of each part of a dataset.
_LISTS = {"training": "train", "validation": "val", "test": "test"}


def export(path: Path, *, options: ExportOptions = _OPTIONS, json: Json = None) -> None:
    """Export a dataset or a recording for other programs. A format that fails does not stop the others.

    Parameters
    ----------
    path
        Folder of the dataset or recording.
    """
    from acquisition.archive.reader import Archive
    from acquisition.exchange.export import ExportError, LabelOptions, chosen_formats, exported_files
    from acquisition.exchange.export_base import how_it_went
    from acquisition.exchange.formats.ro_crate import refuse_existing_crate, write_ro_crate
    from app.library.in_use import kept_in_place

    archive = Archive.open(path)
    out = options.out or path / "export"
    labels = LabelOptions(phase_range_rad=options.phase_range_rad, split=options.split, part_of=_list_of)
    files: list[Path] = []
    failed: dict[str, str] = {}
    formats = chosen_formats(options.format or ["ome-tiff", "ffv1"])
    if options.ro_crate and not options.overwrite:
        refuse_existing_crate(out)
    with (
        kept_in_place(path),
        kept_on_interruption(lambda: f"{len(files)} complete files are in {out}; export again for the others"),
    ):
        for target in formats:
            exported = exported_files(archive, out, [target], labels, overwrite=options.overwrite)
            try:
                with closing(exported):
                    for file in exported:
                        files += [file] if file not in files else []
            except SpeckleScopeError as error:
                failed[target] = str(error)
        if failed and len(formats) == 1:
            raise ExportError(failed[formats[0]])
        if options.ro_crate and files:
            files.append(write_ro_crate(archive, out, files, overwrite=options.overwrite))
    numbers = {"files": list(map(str, files)), **({"failed": failed} if failed else {}), **how_it_went(archive)}
    publish("exported", numbers, json)
    if failed:
        reasons = "; ".join(f"{target}: {reason}" for target, reason in failed.items())
        raise ExportError(f"not exported, while the other formats are complete: {reasons}")


def _list_of(pattern_id: str) -> str:
    from reconstruction.data.pairs import part_of  # it loads torch, which other formats do not need

    return _LISTS[part_of(pattern_id)]
