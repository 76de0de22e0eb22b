"""The capture thread of the live view: it alone touches camera and SLM, and survives a camera that goes and comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from acquisition.capture.pair_capture import CaptureError, Rig
from acquisition.patterns.sources import blank
from acquisition.streams.channel import RateMeter
from app.live.scene import Scene
from app.status import Message
from calibration import retune
from calibration.stored import CalibrationError
from drivers.base import DeviceError, DeviceLostError, DeviceTimeoutError, Frame, FrameFailedError, Pattern, TriggerMode

#: Longest a read may block, so that a stop is obeyed at once.
POLL_S = 0.1
SILENT_S = 3.0


class LiveCapture:
    """Free-running capture with an optional scene on the SLM.

    Parameters
    ----------
    rig : Rig
        The devices; without an SLM nothing is shown and frames carry no pattern id.
    scene : Scene, optional
        What to show.
    reference_shots : int
        Frames of the flat pattern averaged into the reference; without an SLM, the first frames of the run.
    phase_range_rad : float
        Phase of white in the probes of a re-tune.
    on_frame, on_reference, on_reference_pairs, on_message : callable
        Where frames, the reference speckle (H, W) in counts, a re-tuned reference, and words for the operator go.
    """

    def __init__(
        self,
        rig: Rig,
        scene: Scene | None,
        reference_shots: int,
        phase_range_rad: float,
        on_frame: Callable[[Frame], None],
        on_reference: Callable[[NDArray[np.float32]], None],
        on_reference_pairs: Callable[[retune.ReferencePairs], None],
        on_message: Callable[[Message], None],
    ) -> None:
        self.rate = RateMeter()
        self.retuning = threading.Event()
        self._rig = rig
        self._camera = rig.camera
        self._slm = rig.slm
        self._clock = rig.clock
        self._scene = scene
        self._shots = reference_shots
        self._phase_range_rad = phase_range_rad
        self._on_frame = on_frame
        self._on_reference = on_reference
        self._on_reference_pairs = on_reference_pairs
        self._on_message = on_message
        self._settled_ns = 0
        # Frame numbers go on over a reconnection, where the camera's own counter starts again.
        self._offset = self._next = 0

    def work(self, stop: threading.Event) -> None:
        """Run until ``stop`` is set; raises DeviceLostError when a device stays away."""
        try:
            self._arm()
            self._measure_reference(stop)
            started = last_frame = self._clock.now_ns()
            while not stop.is_set():
                if self.retuning.is_set():
                    self._retune(stop)
                    last_frame = self._clock.now_ns()
                try:
                    self._show_scene((self._clock.now_ns() - started) * 1e-9)
                    frame = self._read()
                    last_frame = self._clock.now_ns()
                except DeviceTimeoutError as error:
                    if self._clock.now_ns() - last_frame > SILENT_S * 1e9:
                        self._on_message(Message("warning", f"no frame for {SILENT_S:.0f} s: {error}"))
                        last_frame = self._clock.now_ns()
                        self._arm()
                    continue
                except FrameFailedError as error:
                    self._on_message(Message("warning", str(error)))
                    continue
                except DeviceLostError as error:
                    self._reconnect(error, stop)
                    continue
                self.rate.tick()
                self._on_frame(frame)
        finally:
            self._camera.disarm()

    def _arm(self) -> None:
        self._camera.arm(TriggerMode.FREE_RUN)
        self._offset = self._next

    def _read(self) -> Frame:
        frame = self._camera.read(POLL_S)
        start_ns = frame.t_ns - round(frame.exposure_s * 1e9)
        shown = self._slm.shown if self._slm is not None else None
        # Only an exposure that lay wholly after settling is known to show the pattern.
        pattern_id = shown.id if shown is not None and start_ns >= self._settled_ns else frame.pattern_id
        index = self._offset + frame.index
        self._next = index + 1
        return replace(frame, index=index, pattern_id=pattern_id)

    def _show(self, pattern: Pattern) -> None:
        if self._slm is not None and self._slm.shown is not pattern:
            self._settled_ns = self._slm.show(pattern)

    def _show_scene(self, elapsed_s: float) -> None:
        if self._scene is not None:
            self._show(self._scene.at(elapsed_s))

    def _measure_reference(self, stop: threading.Event) -> None:
        flat_id = None
        if self._slm is not None:
            flat = blank(self._slm.capabilities.shape)
            self._show(flat)
            flat_id = flat.id
        else:
            text = f"no SLM: the first {self._shots} frames are the reference; start the live view with nothing in the field"
            self._on_message(Message("info", text))
        frames: list[NDArray[np.float32]] = []
        tries = 0
        while len(frames) < self._shots and not stop.is_set():
            tries += 1
            if tries > 10 * self._shots + 100:
                raise DeviceError("the camera gave no usable frame of the flat pattern; check exposure and cabling")
            try:
                frame = self._read()
            except (DeviceTimeoutError, FrameFailedError):
                continue
            except DeviceLostError as error:
                self._reconnect(error, stop)
                continue
            if flat_id in (None, frame.pattern_id):
                frames.append(frame.pixels.astype(np.float32))
        if frames:
            self._on_reference(np.mean(frames, axis=0, dtype=np.float32))

    def _retune(self, stop: threading.Event) -> None:
        self._camera.disarm()
        try:
            self._on_reference_pairs(retune.fit(retune.acquire(self._rig, phase_range_rad=self._phase_range_rad)))
        except (CalibrationError, CaptureError) as error:
            self._on_message(Message("error", f"not re-tuned: {error}"))
        finally:
            self.retuning.clear()
        try:
            self._arm()
        except DeviceLostError as error:
            self._reconnect(error, stop)

    def _reconnect(self, lost: DeviceLostError, stop: threading.Event) -> None:
        self._on_message(Message("warning", f"{lost}; waiting for it, a recording goes on when it is back"))
        while not stop.wait(0.5):
            try:
                self._camera.reconnect()
                if self._slm is not None:
                    self._slm.reconnect()
                self._arm()
            except DeviceLostError:
                continue
            self._on_message(Message("info", "the device is back"))
            return
