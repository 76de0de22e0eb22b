"""The whole workflow on the simulated instrument, from the first hologram to the exported recording, with all its numbers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import FinishReason
from acquisition.archive.reader import Archive
from acquisition.exchange.export import ExportFormat, export
from app.datasets.audit import audit_pairs
from app.live.segmentation import segmented
from app.live.session import Session
from app.status import LiveView, MessageLevel
from drivers.base import SpeckleScopeError
from drivers.twin.optics import FibreOptics
from reconstruction.metrics import mean_scores, score
from reconstruction.segmentation.scores import iou_foreground
from reconstruction.segmentation.threshold_watershed import segment

#: Object pairs that are acquired.
PAIRS = 200
#: Views of every held-out image that are scored, and the smallest number of recorded frames.
VIEWS_PER_IMAGE = 3
FRAMES = 90
#: The longest time for the live part and for writing the recording, in seconds.
LIVE_TIMEOUT_S = 180.0
_WRITE_TIMEOUT_S = 30.0
_POLL_S = 0.05

Progress = Callable[[str, int, int, str], None]


class DemoError(SpeckleScopeError):
    """A step of the demonstration did not succeed."""


class Demo:
    """Acquires a dataset, checks it, reconstructs live, records and exports, on a session that a window may show meanwhile.

    Parameters
    ----------
    session : Session
        An open session on the simulated instrument, whose scene shows held-out images.
    pairs : int
        Object pairs to acquire.
    on_progress : callable
        Called with ``(stage, done, total, note)``.
    """

    def __init__(self, session: Session, pairs: int = PAIRS, on_progress: Progress = lambda *_: None) -> None:
        self._session = session
        self._pairs = pairs
        self._report = on_progress
        self._views: dict[str, deque[LiveView]] = {}
        session.watch(self._keep)

    def run(self) -> dict[str, object]:
        """Run all steps and return the numbers.

        Raises
        ------
        DemoError
            A step failed; the message says which step and why.
        """
        dataset = self._acquire()
        numbers = self._dataset_numbers(dataset)
        recording = self._record_live()
        numbers |= self._live_numbers()
        numbers |= self._scores()
        formats = (ExportFormat.OME_TIFF, ExportFormat.FFV1)
        files = export(Archive.open(recording), recording / "export", formats, overwrite=True)
        self._report("exporting", 1, 1, "")
        return {**numbers, "exports": [str(path) for path in files], "dataset": str(dataset), "recording": str(recording)}

    def _acquire(self) -> Path:
        session = self._session
        session.start_acquisition("demo", self._pairs, "mixed")
        status = session.acquisition_status()
        while status.active:
            self._report("acquiring pairs", status.pairs_acknowledged, status.pairs_requested, "")
            time.sleep(_POLL_S)
            status = session.acquisition_status()
        self._report("acquiring pairs", status.pairs_acknowledged, status.pairs_requested, status.verdict)
        if status.finish_reason is not FinishReason.COMPLETED or status.path is None:
            raise DemoError(f"the acquisition ended as '{status.verdict}'")
        return status.path

    def _dataset_numbers(self, dataset: Path) -> dict[str, object]:
        status, report = self._session.acquisition_status(), self._session.acquisition_report
        self._report("checking pairs by their speckle", 0, 1, "")
        audit = audit_pairs(Archive.open(dataset), FibreOptics(self._session.config.twin.optics))
        self._report("checking pairs by their speckle", 1, 1, f"{audit.wrong} wrong")
        return {
            "pairs_requested": status.pairs_requested,
            "pairs_acknowledged": status.pairs_acknowledged,
            "pairs_retaken": status.retaken,
            "wrong_pairs": audit.wrong,
            "audit_undecided": audit.undecided,
            "audit_margin": audit.smallest_margin,
            "faults": dict(report.faults) if report else {},
        }

    def _record_live(self) -> Path:
        """Show every held-out image live, record meanwhile, and return the recording's folder."""
        session = self._session
        session.start_live()
        images = session.config.scene.count
        deadline_s = time.monotonic() + LIVE_TIMEOUT_S
        recording = False
        while time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            self._raise_errors()
            if not recording and self._views:
                session.start_recording("demo")
                recording = True
            shown = sum(len(views) >= VIEWS_PER_IMAGE for views in list(self._views.values()))
            frames = session.recording_status().frames_recorded
            self._report("live, held-out images", shown, images, f"{frames} frames recorded")
            if recording and shown >= images and frames >= FRAMES:
                return self._finish_recording()
        raise DemoError(f"the live view did not show {images} images within {LIVE_TIMEOUT_S:.0f} s; close other programs")

    def _finish_recording(self) -> Path:
        session = self._session
        session.stop_recording()
        deadline_s = time.monotonic() + _WRITE_TIMEOUT_S
        while session.recording_status().active and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        recording = session.recording_status()
        if recording.active:
            raise DemoError(f"the recording was not written within {_WRITE_TIMEOUT_S:.0f} s; use a faster disk")
        if recording.finish_reason is not FinishReason.COMPLETED or recording.path is None:
            raise DemoError(f"the recording ended as '{recording.verdict}'")
        return recording.path

    def _live_numbers(self) -> dict[str, object]:
        status = self._session.live_status()
        recorded = self._session.recording_status().frames_recorded
        return {
            "live_fps": status.inference_fps,
            "camera_fps": status.camera_fps,
            "latency_ms_p50": status.latency_ms_p50,
            "latency_ms_p99": status.latency_ms_p99,
            "latency_label": status.latency_label,
            "inference_ms_p50": status.inference_ms_p50,
            "dropped_display": status.dropped_display,
            "dropped_inference": status.dropped_inference,
            "dropped_record": status.dropped_record,
            "frames_recorded": recorded,
            "engine": status.engine,
            "engine_reason": status.engine_reason,
            "model_id": status.model_id,
        }

    def _scores(self) -> dict[str, object]:
        """Score every image by the mean over its views, and return the mean over the images."""
        model = self._session.model
        assert model is not None
        mask, phase_range_rad = model.mask, model.card.phase_range_rad
        per_image, ious = [], []
        for views in self._views.values():
            scores = []
            for view in list(views)[:VIEWS_PER_IMAGE]:
                truth, reconstruction = view.truth_rad, view.reconstruction
                assert truth is not None
                assert reconstruction is not None
                scores.append(score(reconstruction.phase_rad, truth, mask, phase_range_rad))
                labels = segmented(view).labels
                if labels is not None:
                    ious.append(iou_foreground(labels, segment(np.where(mask, truth, np.float32(0)), mask)))
            per_image.append(mean_scores(scores))
        means = asdict(mean_scores(per_image))
        return {**means, "iou": float(np.mean(ious)), "images_scored": len(per_image)}

    def _keep(self, view: LiveView) -> None:
        if view.truth_rad is not None and view.frame.pattern_id:
            self._views.setdefault(view.frame.pattern_id, deque(maxlen=VIEWS_PER_IMAGE)).append(view)

    def _raise_errors(self) -> None:
        for message in self._session.pop_messages():
            if message.level is MessageLevel.ERROR:
                raise DemoError(message.text)
