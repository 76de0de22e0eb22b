"""The export of a recording, as a job in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from acquisition.exchange.export import ExportError, ExportFormat
from app.exporting.order import ExportOrder, Opened
from app.exporting.run import carry_out
from app.jobs.job_list import Progress
from app.status import Message, MessageLevel, Topic


def export_recording(path: Path, on_message: Callable[[Message], None], report: Progress, stop: threading.Event) -> None:
    """Export a recording as OME-TIFF and video into its folder ``export``; the work of a job."""
    order = ExportOrder(paths=(path,), formats=(ExportFormat.OME_TIFF, ExportFormat.FFV1), overwrite=True)
    done = carry_out(Opened((path,)), order, report, stop)
    if done.failed:
        raise ExportError("; ".join(done.failed))
    if not done.stopped:
        folder = order.folder_of(path)
        on_message(Message(MessageLevel.INFO, f"exported {len(done.files)} files to {folder}", Topic.EXPORT))
