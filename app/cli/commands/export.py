"""``specklescope export``: write an archive in formats of other programs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from app.cli.options import Flag, Json, Positive
from app.cli.output import publish
from app.signals import kept_on_interruption
from drivers.base import SpeckleScopeError

if TYPE_CHECKING:
    from acquisition.exchange.formats.excerpt import FrameRange
    from acquisition.exchange.formats.film_picture import FilmLook
    from app.exporting.order import Seconds


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
    first
        Number of the first frame, from 0. [default: the first of all]
    last
        Number of the last frame. [default: the last of all]
    start_s
        Instead of numbers: the time of the first frame, in seconds after the first of all.
    end_s
        The time of the last frame, in seconds after the first of all; a frame at this time counts.
    every_nth
        Only every so many frames.
    layers
        Only these arrays, such as speckle, phase, labels or uncertainty. [default: all]
    result
        Take phase, labels and uncertainty from a result that was computed later: its folder or its name. [default: as recorded]
    film_layer
        For viewing-mp4: the array that it shows. [default: the phase]
    film_colours
        For viewing-mp4: grey, viridis, magma, cividis, turbo or cyclic. [default: viridis]
    film_low
        For viewing-mp4: the value of the first colour, in radians or counts. [default: chosen for the whole film]
    film_high
        For viewing-mp4: the value of the last colour, in radians or counts. [default: chosen for the whole film]
    scale_bar
        For viewing-mp4: draw a scale bar.
    time_stamp
        For viewing-mp4: write the time since the first frame on each frame.
    ro_crate
        Also write ro-crate-metadata.json, which describes the files for repositories (RO-Crate 1.1): sizes, check sums, and the
        operator, sample and licence where the archive states them.
    """

    out: Path | None = None
    format: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None
    overwrite: bool = False
    phase_range_rad: Positive | None = None
    split: str | None = None
    first: int | None = None
    last: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    every_nth: int = 1
    layers: Annotated[list[str] | None, Parameter(negative=(), consume_multiple=True)] = None
    result: str = ""
    film_layer: str = ""
    film_colours: str = "viridis"
    film_low: float | None = None
    film_high: float | None = None
    scale_bar: Flag = False
    time_stamp: Flag = False
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
    from acquisition.exchange.export import ExportError, FormatOptions, chosen_formats, exported_files
    from acquisition.exchange.export_base import how_it_went
    from acquisition.exchange.formats.ro_crate import refuse_existing_crate, write_ro_crate
    from app.exporting.order import ExportOrder, OrderedArchive
    from app.library.in_use import kept_in_place

    out = options.out or path / "export"
    chosen = FormatOptions(phase_range_rad=options.phase_range_rad, split=options.split, part_of=_list_of, film=_film(options))
    files: list[Path] = []
    failed: dict[str, str] = {}
    formats = chosen_formats(options.format or ["ome-tiff", "ffv1"])
    layers = None if options.layers is None else tuple(options.layers)
    order = ExportOrder(paths=(path,), formats=tuple(formats), frames=_frames(options), layers=layers, result=options.result)
    archive = OrderedArchive(path).excerpt(order)
    if options.ro_crate and not options.overwrite:
        refuse_existing_crate(out)
    with (
        kept_in_place(path),
        kept_on_interruption(lambda: f"{len(files)} complete files are in {out}; export again for the others"),
    ):
        for target in formats:
            exported = exported_files(archive, out, [target], chosen, overwrite=options.overwrite)
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


def _frames(options: ExportOptions) -> FrameRange | Seconds:
    from acquisition.exchange.export_base import ExportError
    from acquisition.exchange.formats.excerpt import FrameRange
    from app.exporting.order import Seconds

    by_number, by_time = (options.first, options.last), (options.start_s, options.end_s)
    if by_time == (None, None):
        return FrameRange(first=options.first or 0, last=options.last, every_nth=options.every_nth)
    if by_number != (None, None):
        raise ExportError("--first and --last cannot go with --start-s and --end-s; give frames or seconds")
    return Seconds(start_s=options.start_s or 0.0, end_s=options.end_s, every_nth=options.every_nth)


def _film(options: ExportOptions) -> FilmLook:
    from acquisition.exchange.export_base import ExportError
    from acquisition.exchange.formats.film_picture import FilmColours, FilmLook

    low, high = options.film_low, options.film_high
    if (low is None) is not (high is None) or (low is not None and high is not None and not low < high):
        raise ExportError(f"the colours of a film go from {low} to {high}; give --film-low and a larger --film-high")
    try:
        colours = FilmColours(options.film_colours)
    except ValueError as error:
        raise ExportError(f"there are no colours {options.film_colours!r}; choose from {', '.join(FilmColours)}") from error
    return FilmLook(
        layer=options.film_layer,
        colours=colours,
        levels=None if low is None or high is None else (low, high),
        scale_bar=options.scale_bar,
        time_stamp=options.time_stamp,
    )


def _list_of(pattern_id: str) -> str:
    from reconstruction.data.pairs import part_of  # it loads torch, which other formats do not need

    return _LISTS[part_of(pattern_id)]
