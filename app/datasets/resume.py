"""Interrupted datasets: whether the instrument as it is now can complete them, and what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from acquisition.archive.folder import LockState, check_space, lock_state
from acquisition.archive.writer import Archive
from acquisition.capture.dataset_archive import plan_of
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from drivers.base import SpeckleScopeError


@dataclass(frozen=True, kw_only=True)
class AcquisitionDevices:
    """What an acquisition has to know of the instrument.

    Parameters
    ----------
    fibre : str
        Name of the fibre.
    frame_shape : (int, int)
        Height and width of a camera frame in pixels, with the present region and binning.
    bit_depth : int
        Significant bits of the camera.
    exposure_s : float
        The present exposure in seconds.
    exposure_range_s : (float, float)
        Shortest and longest exposure in seconds.
    pattern_shape : (int, int), optional
        Height and width of a pattern in pixels; None without an SLM.
    """

    fibre: str
    frame_shape: tuple[int, int]
    bit_depth: int
    exposure_s: float
    exposure_range_s: tuple[float, float]
    pattern_shape: tuple[int, int] | None

    @classmethod
    def of(cls, rig: Rig, fibre: str) -> Self:
        """Return what the devices of a rig are now."""
        capabilities = rig.camera.capabilities
        return cls(
            fibre=fibre,
            frame_shape=capabilities.shape,
            bit_depth=rig.camera.bit_depth,
            exposure_s=rig.camera.exposure_s,
            exposure_range_s=capabilities.exposure_range_s,
            pattern_shape=rig.slm.capabilities.shape if rig.slm is not None else None,
        )

    @property
    def frame_dtype(self) -> str:
        """Type of the counts of a stored frame."""
        return "uint8" if self.bit_depth <= 8 else "uint16"


@dataclass(frozen=True, kw_only=True)
class Resumable:
    """An interrupted dataset that can be completed.

    Parameters
    ----------
    path : Path
        Its folder.
    plan : CapturePlan
        What it shall hold.
    stored : int
        Pairs that are on disk, references included.
    """

    path: Path
    plan: CapturePlan
    stored: int

    @property
    def missing(self) -> int:
        """Pairs that are still to be captured, references included."""
        return len(self.plan) - self.stored


def find_resumable(path: Path, devices: AcquisitionDevices) -> Resumable:
    """Return what is missing in a dataset, if these devices can complete it.

    Raises
    ------
    SpeckleScopeError
        The folder holds no dataset with a plan, it is being written, cannot be written, has no room on its disk, or was started
        with another fibre or with other devices. The message says what to do.
    """
    archive = Archive.open(path)
    plan = plan_of(archive)
    _check_fibre(archive, devices)
    _check_arrays(archive, devices)
    if lock_state(path) is LockState.HELD:
        raise SpeckleScopeError(f"{path} is being written now; wait for the end of that, or stop it")
    if not os.access(path, os.W_OK | os.X_OK):
        raise SpeckleScopeError(f"{path} cannot be completed: you have no right to write there; change its permissions")
    resumable = Resumable(path=path, plan=plan, stored=len(archive))
    check_space(path, sum(archive.spec(name).nbytes for name in archive.arrays) * max(0, resumable.missing))
    return resumable


def _check_fibre(archive: Archive, devices: AcquisitionDevices) -> None:
    started_with = archive.metadata.get("fibre", "")
    if started_with != devices.fibre:
        raise SpeckleScopeError(
            f"{archive.path} was started with fibre '{started_with}', the instrument has '{devices.fibre}'; "
            "use the configuration it was started with"
        )


def _check_arrays(archive: Archive, devices: AcquisitionDevices) -> None:
    frame, pattern = archive.spec("speckle"), archive.spec("phase")
    if frame.shape != devices.frame_shape:
        raise SpeckleScopeError(
            f"{archive.path} has frames of {_size(frame.shape)}, the camera delivers {_size(devices.frame_shape)} now; "
            "set the camera's region and binning as they were"
        )
    if frame.dtype != devices.frame_dtype:
        raise SpeckleScopeError(
            f"{archive.path} has frames of type {frame.dtype}, the camera delivers {devices.bit_depth} bits now; "
            "set the camera's bits as they were"
        )
    if pattern.shape != devices.pattern_shape:
        shown = f"the SLM shows {_size(devices.pattern_shape)}" if devices.pattern_shape else "the instrument has no SLM"
        raise SpeckleScopeError(
            f"{archive.path} has patterns of {_size(pattern.shape)}, {shown} now; use the configuration it was started with"
        )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} px"
