"""Archives for other programs: image files, array files, video, and the published SpecDiffusion layout.

Every file (or folder) is written under a hidden temporary name beside its place and moved there when it is whole.
"""

from __future__ import annotations

import enum
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av.codec
import av.error

from acquisition.archive.folder import check_space
from acquisition.archive.reader import Archive
from acquisition.exchange.export_arrays import write_hdf5, write_matlab, write_npz, write_ome_zarr
from acquisition.exchange.export_base import ExportError, median_interval_s
from acquisition.exchange.export_images import write_ome_tiff, write_specdiffusion
from acquisition.exchange.export_video import write_ffv1, write_viewing_mp4

__all__ = ["ExportError", "ExportFormat", "export", "median_interval_s"]


class ExportFormat(enum.StrEnum):
    """What an archive can be turned into."""

    OME_TIFF = "ome-tiff"
    FFV1 = "ffv1"
    VIEWING_MP4 = "viewing-mp4"
    SPECDIFFUSION = "specdiffusion"
    NPZ = "npz"
    HDF5 = "hdf5"
    MATLAB = "matlab"
    OME_ZARR = "ome-zarr"


#: One file that holds the whole archive: how it ends, and who writes it.
_WHOLE = {
    ExportFormat.NPZ: (".npz", write_npz),
    ExportFormat.HDF5: (".h5", write_hdf5),
    ExportFormat.MATLAB: (".mat", write_matlab),
}
_RAW_SIZED = {*_WHOLE, ExportFormat.OME_TIFF, ExportFormat.OME_ZARR}


def export(
    archive: Archive,
    out_dir: Path,
    formats: Collection[ExportFormat | str],
    *,
    overwrite: bool = False,
    phase_range_rad: float | None = None,
    split: str = "test",
) -> list[Path]:
    """Export an archive and return the files and folders made, in the order of ``formats``.

    Parameters
    ----------
    archive : Archive
        A dataset or a recording.
    out_dir : Path
        Made if absent. Names start with the archive's own.
    formats : collection of ExportFormat or str
        ``ome-tiff``: one TYX file an array, with pixel size (the metadata's ``pixel_um``) and frame times.
        ``ffv1``: the array ``speckle`` as bit-exact grey video at the recorded rate.
        ``viewing-mp4``: the phase in colours, H.264, lossy.
        ``specdiffusion``: ``input/NNNNN.png``, ``label/NNNNN.png``, lists and ``metadata.yaml``.
        ``npz``, ``hdf5``, ``matlab`` (7.3): one file with every array, the journal's columns and the metadata.
        ``ome-zarr``: one OME-Zarr 0.5 folder an array.
    overwrite : bool
        Replace what exists; otherwise existing names are refused before anything is written.
    phase_range_rad : float, optional
        The phase in radians of grey level 255 in ``label/``; by default the metadata's ``phase_range_rad``.
    split : str
        First part of the lists' names: ``test_data.flist``, ``test_label.flist``.

    Raises
    ------
    ExportError
        Unknown format, a name that exists, an array that is missing or unfit, an empty archive, or a failing disk.
    StorageError
        An image of the archive is damaged, or the disk has too little space.
    """
    try:
        wanted = [ExportFormat(name) for name in formats]
    except ValueError as error:
        raise ExportError(f"{error}; choose from {', '.join(ExportFormat)}") from error
    if not len(archive):
        raise ExportError(f"{archive.path.name} holds no images; there is nothing to export")
    out_dir = Path(out_dir)
    jobs = [job for name in wanted for job in _jobs(archive, name, phase_range_rad, split)]
    taken = [name for name, _ in jobs if (out_dir / name).exists()]
    if taken and not overwrite:
        raise ExportError(f"{out_dir / taken[0]} exists; choose another folder or allow overwriting")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        # Beforehand: HDF5 does not survive a disk that fills up under it. Video and PNG stay below the raw size.
        raw_bytes = len(archive) * sum(archive.spec(name).nbytes for name in archive.arrays)
        check_space(out_dir, raw_bytes * len(set(wanted) & _RAW_SIZED))
        for name, write in jobs:
            with _moved_when_whole(out_dir / name) as part:
                write(part)
    except (OSError, av.error.FFmpegError) as error:
        raise ExportError(f"cannot export {archive.path.name} to {out_dir}: {error}") from error
    return [out_dir / name for name, _ in jobs]


def _jobs(
    archive: Archive, kind: ExportFormat, phase_range_rad: float | None, split: str
) -> list[tuple[str, Callable[[Path], None]]]:
    stem = archive.path.name
    if kind is ExportFormat.OME_TIFF:
        return [(f"{stem}_{name}.ome.tif", partial(write_ome_tiff, archive, name)) for name in archive.arrays]
    if kind is ExportFormat.OME_ZARR:
        return [(f"{stem}_{name}.ome.zarr", partial(write_ome_zarr, archive, name)) for name in archive.arrays]
    if kind in _WHOLE:
        ending, write = _WHOLE[kind]
        return [(stem + ending, partial(write, archive))]
    if kind is ExportFormat.FFV1:
        dtype = archive.spec("speckle").dtype
        if dtype not in ("uint8", "uint16"):
            raise ExportError(f"{stem}: FFV1 takes uint8 or uint16 speckle, not {dtype}; export OME-TIFF")
        return [(f"{stem}_speckle.mkv", partial(write_ffv1, archive))]
    phase = next((name for name in ("phase", "pattern") if name in archive.arrays), None)
    if phase is None:
        raise ExportError(f"{stem} has no array 'phase' or 'pattern'; export OME-TIFF or FFV1")
    if kind is ExportFormat.VIEWING_MP4:
        if "libx264" not in av.codec.codecs_available:
            raise ExportError("this PyAV has no libx264 encoder; export FFV1 and convert it elsewhere")
        return [(f"{stem}_{phase}_viewing.mp4", partial(write_viewing_mp4, archive, phase))]
    depth = archive.metadata.get("phase_range_rad") if phase_range_rad is None else phase_range_rad
    if not isinstance(depth, int | float) or not depth > 0:
        raise ExportError(f"{stem}: give phase_range_rad, the phase of grey level 255 in radians; the metadata says {depth!r}")
    name = f"{stem}_specdiffusion"
    return [(name, partial(write_specdiffusion, archive, phase, float(depth), split, name))]


@contextmanager
def _moved_when_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling that takes the place of ``path`` if the block succeeds and vanishes if not."""
    mark = uuid.uuid4().hex[:8]
    part, old = path.with_name(f".{path.name}.{mark}.part"), path.with_name(f".{path.name}.{mark}.old")
    try:
        yield part
        if path.is_dir():  # a folder cannot be replaced in one step
            path.replace(old)
        part.replace(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.replace(path)
        raise
    finally:
        for leftover in (part, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
