"""A snapshot: the view on screen, saved as files that any program opens."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from acquisition.archive.atomic_files import image_bytes, make_folder, moved_when_complete, write_inside
from acquisition.archive.old_names import METADATA
from acquisition.archive.results.disc import DISC, described_disc
from app.status import Overlay
from drivers.base import SpeckleScopeError
from drivers.safe_text import dump_yaml


def write_snapshot(root: Path, overlay: Overlay, facts: Mapping[str, object] | None = None) -> Path:
    """Write frame (PNG), phase (TIFF, float32 radians), labels (PNG) and metadata into a new folder, and return the folder.

    A view without a reconstruction or without labels gives fewer files.

    Parameters
    ----------
    root : Path
        The folder of all snapshots.
    overlay : Overlay
        The view, with its labels.
    facts : mapping, optional
        What is known of the instrument, the model and the sample, for ``metadata.yaml``; plain values.

    Raises
    ------
    SpeckleScopeError
        The folder or a file cannot be written; no partial snapshot is left, and an older one is unchanged.
    """
    view = overlay.view
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}_snapshot_{view.frame.index}"
    reconstruction = view.reconstruction
    pixels = view.frame.pixels
    channels = {"speckle.png": pixels} if pixels.ndim == 2 else {f"speckle_{n}.png": each for n, each in enumerate(pixels, 1)}
    images: dict[str, NDArray[Any]] = {**channels}
    if reconstruction is not None:
        images["phase_rad.tif"] = reconstruction.phase_rad
        if overlay.labels is not None:
            images["labels.png"] = overlay.labels
    metadata = dump_yaml({**(facts or {}), **_facts_of(overlay)}).encode("utf-8")
    try:
        make_folder(root)
        # The same frame twice in one second is the same snapshot: the second replaces the first.
        with moved_when_complete(folder) as part:
            part.mkdir()
            for name, image in images.items():
                write_inside(part / name, image_bytes(image, Path(name).suffix))
            write_inside(part / METADATA, metadata)
    except OSError as error:
        reason = error.strerror or error
        raise SpeckleScopeError(f"the snapshot could not be written to {folder}: {reason}; check the disk") from error
    return folder


def _facts_of(overlay: Overlay) -> dict[str, object]:
    """Return when and how the frame was exposed, and what computed its phase."""
    frame, reconstruction = overlay.view.frame, overlay.view.reconstruction
    facts: dict[str, object] = {
        "created_utc": datetime.now(UTC).isoformat(),
        "frame_index": int(frame.index),
        "t_ns": int(frame.t_ns),
        "exposure_s": float(frame.exposure_s),
    }
    if reconstruction is not None:
        facts |= {"model_id": reconstruction.model_id, "engine": reconstruction.engine}
        facts |= {"latency_s": float(reconstruction.latency_s)}
        if reconstruction.sampling is not None:
            facts |= reconstruction.sampling.facts(reconstruction.model_name)
        if reconstruction.mask is not None:
            facts[DISC] = described_disc(reconstruction.mask)
    return facts
