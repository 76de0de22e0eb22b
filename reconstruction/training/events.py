"""Curves and pictures for TensorBoard, written without threads or queues: flushed data survives a killed process."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary


class EventFile:
    """One event file of a run.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    step : int
        Steps done so far. TensorBoard ignores later steps in other files of the folder.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}.{step}")
        if step > 0:
            self._write(step + 1, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each of several curves."""
        points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step, summary=Summary(value=points))

    def picture(self, step: int, tag: str, png: bytes, shape: tuple[int, ...]) -> None:
        """Add a grey picture (h, w), given as PNG."""
        image = Summary.Image(height=shape[0], width=shape[1], colorspace=1, encoded_image_string=png)
        self._write(step, summary=Summary(value=[Summary.Value(tag=tag, image=image)]))

    def flush(self) -> None:
        """Pass all data to the operating system."""
        self._writer.flush()

    def close(self) -> None:
        """Write the remaining data and close the file."""
        self._writer.close()

    def _write(self, step: int, **content: object) -> None:
        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
