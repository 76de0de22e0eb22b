"""What a replayed recording or dataset tells beside its frames: its fibre and pixel size, its reference, phases and labels."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.results.disc import Disc
from acquisition.archive.rows import StorageError
from acquisition.exchange.export_base import RECORDING, known_discs
from acquisition.patterns.sources import BLANK
from app.instrument.config import InstrumentConfig
from app.instrument.kinds import CameraKind
from drivers.base import Frame
from reconstruction.base import Reconstruction
from reconstruction.sampling import Sampling

#: Engine of a phase that was not computed now.
RECORDED = "recorded"
#: Frames of the flat pattern in a dataset that become the reference, at most.
_MOST_SHOTS = 64
#: Whoever waits longer for a frame is told why, in seconds.
_SLOW_S = 10.0
#: Facts of the metadata that describe the instrument, and what their values must be.
_FACTS: Mapping[str, tuple[type, ...]] = {
    "fibre": (str,),
    "pixel_um": (int, float),
    "wavelength_um": (int, float),
    "refractive_increment_um3_per_pg": (int, float),
    "phase_range_rad": (int, float),
}


class Replayed:
    """The archive that a replay camera plays. Frames name its rows by ``recorded_index``.

    Parameters
    ----------
    archive : Archive
        A recording or dataset.

    Attributes
    ----------
    problems : list of str
        What cannot be used, for the operator.
    """

    def __init__(self, archive: Archive) -> None:
        self.problems: list[str] = []
        self._archive = archive
        self._rows = archive.rows()
        self._references = self._read_references()
        self._discs = self._read_discs()
        # The import of an exported recording is a dataset; its metadata still tell how the recording went.
        self._is_recording = archive.kind is ArchiveKind.RECORDING or RECORDING in archive.metadata

    @classmethod
    def of(cls, config: InstrumentConfig) -> Replayed | None:
        """Open the archive that the instrument replays; None when its camera is no replay; raises StorageError."""
        return cls(Archive.open(config.replay.path)) if config.camera is CameraKind.REPLAY else None

    @property
    def name(self) -> str:
        """What shows the phase when no model fits, for people."""
        model = self._archive.metadata.get("model")
        return f"recorded phase ({model})" if model else "recorded phase"

    @property
    def grid_px(self) -> int | None:
        """Side of the recorded phase images; None where there are none to show."""
        if not self._is_recording or "phase" not in self._archive.arrays:
            return None  # the phase of a dataset is a pattern on the SLM's grid, no result
        height, width = self._archive.spec("phase").shape
        return height if height == width else None

    @property
    def has_uncertainty(self) -> bool:
        """Whether the recorded phases have a standard deviation."""
        return self.grid_px is not None and "uncertainty" in self._archive.arrays

    def described(self, config: InstrumentConfig) -> InstrumentConfig:
        """Return the instrument with the recording's own fibre, pixel size and phase range, and note what they replace."""
        facts = {}
        for key, kind in _FACTS.items():
            value = self._archive.metadata.get(key)
            if isinstance(value, kind) and not isinstance(value, bool) and value:
                facts[key] = value
        for key, value in facts.items():
            stated = getattr(config, key)
            if key in config.model_fields_set and stated != value:
                self.problems.append(
                    f"the instrument file states {key} {stated}, the recording {value}: that of the recording is used"
                )
        if config.replay.period_s is None and (every_s := self._mean_period_s()) > _SLOW_S:
            self.problems.append(
                f"the recording has a frame every {every_s:.6g} s, and is played so; to play it faster, state the seconds from "
                "frame to frame in the instrument file: replay: {path: ..., period_s: 0.1}"
            )
        return config.model_copy(update=facts)

    def _mean_period_s(self) -> float:
        times_ns = [row.t_ns for row in self._rows]
        return (times_ns[-1] - times_ns[0]) * 1e-9 / (len(times_ns) - 1) if len(times_ns) > 1 else 0.0

    def reference(self, recorded_index: int | None) -> NDArray[np.float32] | None:
        """Return the reference (H, W) in counts that holds for a row; None where none is stored."""
        if recorded_index is None or not self._references:
            return None
        frame_index = self._rows[recorded_index].frame_index
        earlier = [speckle for first_frame, speckle in self._references if first_frame <= frame_index]
        return earlier[-1] if earlier else None

    def reconstruction(self, frame: Frame) -> Reconstruction | None:
        """Return the recorded phase and labels of a frame; None where it has none, or its phase is damaged."""
        index = frame.recorded_index
        if index is None or self.grid_px is None:
            return None
        row, arrays = self._rows[index], self._archive.arrays
        if ROW_NOT_RECONSTRUCTED in row.extra:
            return None
        try:
            phase_rad = np.asarray(self._archive.read("phase", index), np.float32)
            has_uncertainty = "uncertainty" in arrays
            uncertainty_rad = np.asarray(self._archive.read("uncertainty", index), np.float32) if has_uncertainty else None
            has_labels = "labels" in arrays and ROW_NOT_SEGMENTED not in row.extra
            labels = np.asarray(self._archive.read("labels", index), np.uint16) if has_labels else None
        except StorageError:
            return None
        if np.isnan(phase_rad).all():  # so version 0.1.0 recorded a frame without a phase
            return None
        latency_s = (time.monotonic_ns() - frame.t_ns) * 1e-9
        return Reconstruction(
            phase_rad,
            frame.index,
            latency_s,
            0.0,
            row.model_id,
            RECORDED,
            self._discs.get(row.model_id),
            uncertainty_rad=uncertainty_rad,
            recorded_labels=labels,
            is_recorded=True,
            sampling=Sampling.of_facts(row.extra),
        )

    def _read_discs(self) -> dict[str, Disc]:
        try:
            return known_discs(self._archive)
        except StorageError as error:
            self.problems.append(str(error))
            return {}

    def _read_references(self) -> list[tuple[int, NDArray[np.float32]]]:
        """Return every stored reference with its first frame. In a dataset it is the mean of the frames of the flat pattern."""
        try:
            entries = [
                (entry.first_frame, entry.array("speckle")) for entry in self._archive.references() if "speckle" in entry.sha256
            ]
            if not entries and self._archive.kind is ArchiveKind.DATASET:
                entries = self._flat_frames()
            shape = self._archive.spec("speckle").shape
            wrong = [speckle.shape for _, speckle in entries if speckle.shape != shape]
            if wrong:
                raise StorageError(f"its reference has the shape {wrong[0]}, its frames have {shape}")
        except StorageError as error:
            self.problems.append(f"the stored reference of {self._archive.path.name} cannot be used: {error}")
            return []
        return [(first_frame, np.asarray(speckle, np.float32)) for first_frame, speckle in entries]

    def _flat_frames(self) -> list[tuple[int, NDArray[np.float32]]]:
        shots = [row.index for row in self._rows if row.pattern_name == BLANK][:_MOST_SHOTS]
        if not shots:
            return []
        mean = np.mean([self._archive.read("speckle", index).astype(np.float32) for index in shots], axis=0, dtype=np.float32)
        return [(min(row.frame_index for row in self._rows), np.asarray(mean, np.float32))]
