"""The export of a recording, as a job in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from acquisition.archive.writer import Archive
from acquisition.exchange.export import ExportFormat, export
from app.library.in_use import kept_in_place
from app.live.jobs import Progress
from app.status import Message, MessageLevel, Topic


def export_recording(path: Path, on_message: Callable[[Message], None], report: Progress, stop: threading.Event) -> None:
    """Export a recording as OME-TIFF and video into its folder ``export``; the work of a job."""
    archive, folder, written = Archive.open(path), path / "export", 0
    formats = (ExportFormat.OME_TIFF, ExportFormat.FFV1)
    with kept_in_place(path):
        for number, target in enumerate(formats):
            report(number, len(formats))
            if stop.is_set():
                return
            written += len(export(archive, folder, [target], overwrite=True))
    report(len(formats), len(formats))
    on_message(Message(MessageLevel.INFO, f"exported {written} files to {folder}", Topic.EXPORT))
