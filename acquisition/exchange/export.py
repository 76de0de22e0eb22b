"""Archives for other programs: image files, array files, video, and the published SpecDiffusion layout.

Every file or folder is written under a hidden temporary name and gets its own name when it is complete.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import av.codec
import av.error

from acquisition.archive.atomic_files import make_folder, moved_together, moved_when_complete, write_inside
from acquisition.archive.folder import check_space, one_line, sole_writer
from acquisition.archive.reader import Archive
from acquisition.exchange.export_arrays import ome_zarr_images, write_hdf5, write_matlab, write_npz, write_ome_zarr
from acquisition.exchange.export_base import (
    ExportError,
    channels_of,
    described_channels,
    json_columns,
    known_channels,
    metadata_json,
)
from acquisition.exchange.export_images import SpecDiffusionLayout, write_ome_tiff, write_specdiffusion
from acquisition.exchange.export_video import write_ffv1, write_viewing_mp4
from acquisition.exchange.formats.film_picture import FilmLook
from acquisition.exchange.formats.references import holds_references, references_folder, write_references
from drivers.manifest import manifest_of, manifest_text, replacing_text, sha256_of

__all__ = ["ExportError", "ExportFormat", "FormatOptions", "export"]

#: The name of a file or folder, and a function that writes it to a path.
_Job = tuple[str, Callable[[Path], None]]


class ExportFormat(enum.StrEnum):
    """Formats of an export."""

    OME_TIFF = "ome-tiff"
    FFV1 = "ffv1"
    VIEWING_MP4 = "viewing-mp4"
    SPECDIFFUSION = "specdiffusion"
    NPZ = "npz"
    HDF5 = "hdf5"
    MATLAB = "matlab"
    OME_ZARR = "ome-zarr"


#: Formats that put the whole archive into one file: its suffix, and the function that writes it.
_SINGLE_FILE = {
    ExportFormat.NPZ: (".npz", write_npz),
    ExportFormat.HDF5: (".h5", write_hdf5),
    ExportFormat.MATLAB: (".mat", write_matlab),
}
#: Formats whose files are about as large as the uncompressed images.
_RAW_SIZED = {*_SINGLE_FILE, ExportFormat.OME_TIFF, ExportFormat.OME_ZARR}
#: Formats that hold all arrays: the references of a recording lie beside them.
_WITH_REFERENCES = _RAW_SIZED
#: Formats that are nothing without the speckle.
_OF_SPECKLE = {ExportFormat.FFV1, ExportFormat.SPECDIFFUSION}
#: Formats that hold no channels, and how a refusal begins.
_GREY_ONLY = {ExportFormat.FFV1: "a video holds", ExportFormat.SPECDIFFUSION: "the published layout holds"}
#: Suffixes of video files, which hold no check sums: each has a manifest beside itself.
_WITHOUT_CHECK_SUMS = {".mkv", ".mp4"}


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """Options of single formats: the first three are for the SpecDiffusion layout.

    Parameters
    ----------
    phase_range_rad : float, optional
        The phase in radians of grey 255 in ``label/``; by default ``phase_range_rad`` of the metadata.
    split : str, optional
        First part of the names of the lists of all pairs, as in ``test_data.flist`` and ``test_label.flist``. By default an
        imported pair stays in its list. The flat references are always in the lists ``reference``.
    part_of : callable, optional
        Returns the first part of the lists' names for the id of a pattern: ``train``, ``val`` or ``test``.
    film : FilmLook
        How a film for viewing looks.
    """

    phase_range_rad: float | None = None
    split: str | None = None
    part_of: Callable[[str], str] | None = None
    film: FilmLook = field(default_factory=FilmLook)


def chosen_formats(names: Collection[str]) -> list[ExportFormat]:
    """Return the formats of these names; raises ExportError if there is no such format."""
    try:
        return [ExportFormat(name) for name in names]
    except ValueError as error:
        raise ExportError(f"{error}; choose from {', '.join(ExportFormat)}") from error


def export(
    archive: Archive,
    out_dir: Path,
    formats: Collection[ExportFormat | str],
    options: FormatOptions | None = None,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Export an archive and return the new files and folders; arguments and errors as for :func:`exported_files`."""
    return list(exported_files(archive, out_dir, formats, options, overwrite=overwrite))


def exported_names(archive: Archive, target: ExportFormat, options: FormatOptions | None = None) -> list[str]:
    """Return the names of the files and folders of a format; raises ExportError where it does not fit the archive."""
    return [name for name, _ in _jobs(archive, target, options or FormatOptions())]


def exported_files(
    archive: Archive,
    out_dir: Path,
    formats: Collection[ExportFormat | str],
    options: FormatOptions | None = None,
    *,
    overwrite: bool = False,
) -> Generator[Path, None, None]:
    """Export an archive and yield the new files and folders, in the order of ``formats``, each when it is complete.

    Parameters
    ----------
    archive : Archive
        A dataset or a recording.
    out_dir : Path
        Folder of the export; made if absent. The names of its files start with the archive's own. Beside each video lie its
        facts, ``NAME.json``, and a manifest, ``NAME.sha256``, which are not yielded.
    formats : collection of ExportFormat or str
        ``ome-tiff``: one TYX file per array, with pixel size, frame times and all facts; ImageJ opens it too.
        ``ffv1``: the array ``speckle`` as lossless grey video, with the time of every frame.
        ``viewing-mp4``: the phase in colours, H.264, lossy.
        ``specdiffusion``: ``input/NNNNN.png``, ``label/NNNNN.png``, lists and ``metadata.yaml``.
        ``npz``, ``hdf5``, ``matlab`` (version 5; from 2 GiB on 7.3): one file with every array, the journal's columns and the
        metadata.
        ``ome-zarr``: one OME-Zarr 0.5 folder per array; the segmentation lies in that of the phase, as its labels.
        Beside these five lies the folder ``NAME_references`` of a recording: what it was reconstructed against. One that holds
        just this already is kept.
    options : FormatOptions, optional
        Options of ``specdiffusion`` and ``viewing-mp4``.
    overwrite : bool
        Replace existing files; by default an existing name is refused before anything is written.

    Raises
    ------
    ExportError
        A format is unknown, a file exists, an array is missing or does not fit the format, the archive is empty, or the disk
        failed.
    StorageError
        An image of the archive is damaged, the disk has too little space, or another process exports the same archive there.
    """
    chosen = chosen_formats(formats)
    if not len(archive):
        raise ExportError(f"{archive.path.name} holds no images; there is nothing to export")
    out_dir = Path(out_dir)
    jobs = [job for name in chosen for job in _jobs(archive, name, options or FormatOptions())]
    if set(chosen) & _WITH_REFERENCES and (references := references_folder(archive)):
        jobs.append((references, partial(write_references, archive)))
    try:
        make_folder(out_dir)
        with sole_writer(out_dir / archive.path.name):
            yield from _written(archive, out_dir, jobs, len(set(chosen) & _RAW_SIZED), overwrite=overwrite)
    except (OSError, av.error.FFmpegError) as error:
        raise ExportError(
            f"cannot export {archive.path.name} to {out_dir}: {one_line(error)}; free space, or choose another folder"
        ) from error


def export_film(archive: Archive, path: Path, write: Callable[[Path], None], *, overwrite: bool = False) -> None:
    """Export a film whose pictures are painted elsewhere, with its facts and its manifest, completely or not at all.

    Parameters
    ----------
    archive : Archive
        What it shows.
    path : Path
        The video.
    write : callable
        Writes the video to the path that it gets.
    overwrite : bool
        Replace an existing film.

    Raises
    ------
    ExportError
        The film exists, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise ExportError(f"{path} exists; choose another folder or allow overwriting")
    try:
        make_folder(path.parent)
        with sole_writer(path.parent / archive.path.name):
            _write_with_manifest(archive, path, write)
    except (OSError, av.error.FFmpegError) as error:
        raise ExportError(f"cannot write {path}: {one_line(error)}; free space, or choose another folder") from error


def _written(archive: Archive, out_dir: Path, jobs: Sequence[_Job], raw_copies: int, *, overwrite: bool) -> Iterator[Path]:
    # The references are the same beside every format: an earlier export may have written them.
    kept = {name for name, _ in jobs if name == references_folder(archive) and holds_references(archive, out_dir / name)}
    existing = [name for name, _ in jobs if name not in kept and (out_dir / name).exists()]
    if existing and not overwrite:
        raise ExportError(f"{out_dir / existing[0]} exists; choose another folder or allow overwriting")
    # Before writing, because HDF5 crashes when the disk is full. Video and PNG need less than the raw size.
    check_space(out_dir, raw_copies * len(archive) * sum(archive.spec(name).nbytes for name in archive.arrays))
    for name, write in jobs:
        if Path(name).suffix in _WITHOUT_CHECK_SUMS:
            _write_with_manifest(archive, out_dir / name, write)
        elif name not in kept:
            with moved_when_complete(out_dir / name) as part:
                write(part)
        yield out_dir / name


def _write_with_manifest(archive: Archive, path: Path, write: Callable[[Path], None]) -> None:
    """Write a video, its facts and a manifest. A power cut leaves the older video or the new one, and each has its SHA-256.

    The first manifest has those of both files until the new one is there. An older file without a manifest gets none before
    it is replaced, because nobody knows whether it is whole.
    """
    manifest, facts = manifest_of(path), path.with_name(film_facts_name(path.name))
    is_unknown = path.exists() and not manifest.exists()
    with moved_together(facts, *(() if is_unknown else (manifest,)), path, manifest) as (described, *first, part, last):
        write(part)
        write_inside(described, _film_facts(archive))
        sha256 = sha256_of(part)
        for each in first:
            write_inside(each, replacing_text(path, sha256).encode("utf-8"))
        write_inside(last, manifest_text({path.name: sha256, facts.name: sha256_of(described)}).encode("utf-8"))


def film_facts_name(video: str) -> str:
    """Return the name of the file beside a video with what the video cannot hold."""
    return f"{video}.json"


def _film_facts(archive: Archive) -> bytes:
    facts = {"archive": archive.path.name, "metadata": json.loads(metadata_json(archive)), "frames": json_columns(archive)}
    return json.dumps(facts, indent=1, ensure_ascii=False).encode("utf-8")


def _jobs(archive: Archive, target: ExportFormat, options: FormatOptions) -> list[_Job]:
    """Return the files of a format: the name of each, and a function that writes it."""
    stem = archive.path.name
    if target is ExportFormat.OME_TIFF:
        return [(f"{stem}_{name}.ome.tif", partial(write_ome_tiff, archive, name)) for name in archive.arrays]
    if target is ExportFormat.OME_ZARR:
        return [(f"{stem}_{name}.ome.zarr", partial(write_ome_zarr, archive, name)) for name in ome_zarr_images(archive)]
    if target in _SINGLE_FILE:
        suffix, write = _SINGLE_FILE[target]
        return [(stem + suffix, partial(write, archive))]
    if target in _OF_SPECKLE and "speckle" not in archive.arrays:
        raise ExportError(f"{stem}: {target} needs the layer 'speckle'; choose it, or another format")
    if target in _GREY_ONLY and (names := known_channels(archive)):
        raise ExportError(
            f"{stem}: {_GREY_ONLY[target]} grey frames, this archive has {described_channels(names)}; "
            "export OME-TIFF, OME-Zarr, HDF5, MATLAB or NPZ"
        )
    if target is ExportFormat.FFV1:
        dtype = archive.spec("speckle").dtype
        if dtype not in ("uint8", "uint16"):
            raise ExportError(f"{stem}: FFV1 takes uint8 or uint16 speckle, not {dtype}; export OME-TIFF")
        return [(f"{stem}_speckle.mkv", partial(write_ffv1, archive))]
    if target is ExportFormat.VIEWING_MP4:
        return _viewing_jobs(archive, options.film)
    phase = _phase_of(archive)
    phase_range_rad = archive.metadata.get("phase_range_rad") if options.phase_range_rad is None else options.phase_range_rad
    if not isinstance(phase_range_rad, int | float) or not phase_range_rad > 0:
        raise ExportError(
            f"{stem}: give phase_range_rad, the phase of grey 255 in radians; the metadata states {phase_range_rad!r}"
        )
    layout = SpecDiffusionLayout(
        name=f"{stem}_specdiffusion",
        phase=phase,
        phase_range_rad=float(phase_range_rad),
        split=options.split,
        part_of=options.part_of,
    )
    return [(layout.name, partial(write_specdiffusion, archive, layout))]


def _phase_of(archive: Archive) -> str:
    phase = next((name for name in ("phase", "pattern") if name in archive.arrays), None)
    if phase is None:
        raise ExportError(f"{archive.path.name} has no array 'phase' or 'pattern'; export OME-TIFF or FFV1")
    return phase


def _viewing_jobs(archive: Archive, film: FilmLook) -> list[_Job]:
    layer = film.layer or _phase_of(archive)
    if layer not in archive.arrays:
        known = ", ".join(archive.arrays)
        raise ExportError(f"{archive.path.name}: there is no layer {layer!r} for a film; choose from {known}")
    if names := channels_of(archive, layer):
        raise ExportError(
            f"{archive.path.name}: a film shows grey images, the layer {layer!r} has {described_channels(names)}; "
            "choose the layer 'phase', or export OME-TIFF"
        )
    if "libx264" not in av.codec.codecs_available:
        raise ExportError("this PyAV has no libx264 encoder; export FFV1 and convert it elsewhere")
    return [(f"{archive.path.name}_{layer}_viewing.mp4", partial(write_viewing_mp4, archive, layer, film))]
