"""Reads what is stored of every kind of calibration in a thread: a folder on a slow disk must not stop the window."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from threading import Event

from PyQt6.QtCore import QObject, pyqtSignal

from acquisition.streams.channel import Stage
from app.calibrations.kinds import Calibration
from app.calibrations.shelf import read_record
from app.calibrations.target import CalibrationTarget


class RecordReader(QObject):
    """Of several requests only the newest is answered."""

    #: A mapping of Calibration to CalibrationRecord.
    ready = pyqtSignal(object)
    _thread_ready = pyqtSignal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._stage: Stage | None = None
        self._thread_ready.connect(self._hand_on)

    def request(self, target: CalibrationTarget, chosen: Mapping[Calibration, Path]) -> None:
        """Read all records of an instrument.

        Parameters
        ----------
        target : CalibrationTarget
            The instrument.
        chosen : mapping
            Which calibration of a kind is shown; of the others the newest.
        """
        self._number += 1
        work = partial(self._read, self._number, target, dict(chosen))
        self._stage = Stage("calibrations", work, after=self._stage)
        self._stage.start()

    def cancel(self) -> None:
        """Answer no request that was made before."""
        self._number += 1

    def _read(self, number: int, target: CalibrationTarget, chosen: Mapping[Calibration, Path], stop: Event) -> None:
        if number == self._number:
            records = {what: read_record(what, target, chosen.get(what)) for what in Calibration}
            self._thread_ready.emit(number, records)

    def _hand_on(self, number: int, records: object) -> None:
        if number == self._number:
            self.ready.emit(records)
