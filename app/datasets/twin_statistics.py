"""Simulated pairs in the published layout, to hold the twin's statistics beside those of a real fibre."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from acquisition.patterns.sources import open_source
from app.instrument.config import InstrumentConfig
from drivers.base import SpeckleScopeError
from drivers.twin.optics import FibreOptics
from reconstruction.data.pairs import TwinExposure


def write_twin_pairs(
    config: InstrumentConfig, out_dir: Path, images: str, count: int, on_progress: Callable[[int], None]
) -> list[Path]:
    """Show images to the configured twin and write ``input/`` (speckle) and ``label/`` (grey pattern), 8-bit PNG.

    Parameters
    ----------
    config : InstrumentConfig
        Whose twin, camera and phase depth.
    out_dir : Path
        New or empty folder.
    images : str
        Folder of images, or the name of a pattern source.
    count : int
        How many; 0 takes every image of the folder once.

    Returns
    -------
    list of Path
        The speckle images written.

    Raises
    ------
    SpeckleScopeError
        ``out_dir`` holds something, or cannot be written.
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
    written = []
    try:
        for folder in ("input", "label"):
            (part / folder).mkdir(parents=True)
        for index in range(len(source)):
            pattern = source[index]
            name = f"{index:05d}.png"
            grey = np.round(pattern.phase_rad * (255 / config.phase_range_rad)).astype(np.uint8)
            for folder, image in (("input", exposure(pattern.phase_rad[None])[0]), ("label", grey)):
                if not cv2.imwrite(str(part / folder / name), image):
                    raise SpeckleScopeError(f"cannot write {out_dir / folder / name}; check the disk")
            written.append(out_dir / "input" / name)
            on_progress(index + 1)
        if out_dir.exists():
            out_dir.rmdir()
        part.rename(out_dir)
    except OSError as error:
        raise SpeckleScopeError(f"cannot write {out_dir}: {error.strerror or error}; choose another folder") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return written
