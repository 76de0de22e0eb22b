"""Simulated pairs in the layout of published data sets, to compare the twin's statistics with those of a real fibre."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
        ``out_dir`` is not empty, or cannot be written.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise SpeckleScopeError(f"{out_dir} is not empty; choose a new folder")
    n = config.twin.optics.image_px
    if count == 0:
        count = len([file for file in Path(images).iterdir() if file.is_file()]) if Path(images).is_dir() else 12
    source = open_source(images, (n, n), count=max(1, count), phase_range_rad=config.phase_range_rad)
    camera = config.twin.camera
    exposure = TwinExposure(FibreOptics(config.twin.optics), camera.sensor, camera.exposure_s, seed=1)
    part = out_dir.with_name(out_dir.name + ".part")
    try:
        for folder in (_SPECKLE, _PATTERN):
            (part / folder).mkdir(parents=True)
        for index in range(len(source)):
            phase_rad = source[index].phase_rad
            grey = np.round(phase_rad * (255 / config.phase_range_rad)).astype(np.uint8)
            _write_image(part / _SPECKLE / _name(index), exposure(phase_rad[None])[0])
            _write_image(part / _PATTERN / _name(index), grey)
            on_progress(index + 1)
        if out_dir.exists():
            out_dir.rmdir()
        part.rename(out_dir)
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {out_dir}: {error.strerror or error}; choose another folder") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [out_dir / _SPECKLE / _name(index) for index in range(len(source))]


def _name(index: int) -> str:
    return f"{index:05d}.png"


def _write_image(path: Path, image: NDArray[Any]) -> None:
    if not cv2.imwrite(str(path), image):
        raise SpeckleScopeError(f"cannot write {path}; check the disk")
