"""Simulated pairs in the layout of published data sets, to compare the twin's statistics with those of a real fibre."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from acquisition.archive.atomic_files import image_bytes, moved_when_complete, write_inside
from acquisition.archive.folder import sole_writer
from acquisition.patterns.sources import open_source
from app.instrument.config import InstrumentConfig
from drivers.base import SpeckleScopeError
from drivers.twin.optics import FibreOptics
from reconstruction.data.pairs import TwinExposure

#: Folders of the published layout.
_SPECKLE, _PATTERN = "input", "label"


def write_twin_pairs(
    config: InstrumentConfig, out_dir: Path, images: str, count: int, on_progress: Callable[[int], None]
) -> list[Path]:
    """Show images on the configured twin; write ``input/`` (speckle) and ``label/`` (pattern as grey levels), 8-bit PNG.

    Parameters
    ----------
    config : InstrumentConfig
        Twin, camera and phase range.
    out_dir : Path
        New or empty folder.
    images : str
        Folder of images, or the name of a pattern source.
    count : int
        Number of images; 0 uses every image of the folder once.
    on_progress : callable
        Called with the number of pairs written.

    Returns
    -------
    list of Path
        The speckle images.

    Raises
    ------
    SpeckleScopeError
        ``out_dir`` is not empty, cannot be written, or is being written by another process.
    """
    with sole_writer(out_dir):
        return _written(config, out_dir, images, count, on_progress)


def _written(
    config: InstrumentConfig, out_dir: Path, images: str, count: int, on_progress: Callable[[int], None]
) -> list[Path]:
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise SpeckleScopeError(f"{out_dir} is not empty; choose a new folder")
    n = config.twin.optics.image_px
    if count == 0:
        count = len([file for file in Path(images).iterdir() if file.is_file()]) if Path(images).is_dir() else 12
    source = open_source(images, (n, n), count=max(1, count), phase_range_rad=config.phase_range_rad)
    camera = config.twin.camera
    exposure = TwinExposure(FibreOptics(config.twin.optics), camera.sensor, camera.exposure_s, seed=1)
    try:
        with moved_when_complete(out_dir) as part:
            for folder in (_SPECKLE, _PATTERN):
                (part / folder).mkdir(parents=True)
            for index in range(len(source)):
                phase_rad = source[index].phase_rad
                grey = np.round(phase_rad * (255 / config.phase_range_rad)).astype(np.uint8)
                write_inside(part / _SPECKLE / _name(index), image_bytes(exposure(phase_rad[None])[0]))
                write_inside(part / _PATTERN / _name(index), image_bytes(grey))
                on_progress(index + 1)
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {out_dir}: {error.strerror or error}; choose another folder") from error
    return [out_dir / _SPECKLE / _name(index) for index in range(len(source))]


def _name(index: int) -> str:
    return f"{index:05d}.png"
