"""The whole job on the simulated instrument, from first hologram to exported recording, with every number it gives."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import FinishReason
from acquisition.archive.writer import Archive
from acquisition.exchange.export import ExportFormat, export
from app.datasets.audit import audit_pairs
from app.live.session import Session
from app.status import LiveView
from drivers.base import SpeckleScopeError
from drivers.twin.optics import FibreOptics
from reconstruction.metrics import mean_scores, score
from reconstruction.segmentation.threshold_watershed import iou_foreground, segment

PAIRS = 200
#: Views of every held-out image that are scored, and the least number of recorded frames.
VIEWS_PER_IMAGE = 3
FRAMES = 90
LIVE_TIMEOUT_S = 180.0
_TICK_S = 0.05

Progress = Callable[[str, int, int, str], None]


class DemoError(SpeckleScopeError):
    """A step of the demonstration did not come to its end."""


class Demo:
    """Acquires, audits, reconstructs live, records and exports, on a session that others may watch meanwhile.

    Parameters
    ----------
    session : Session
        Open, on the simulated instrument; its scene shows held-out images.
    pairs : int
        Object pairs to acquire.
    on_progress : callable
        ``(stage, done, total, note)``.
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
            A step failed; the message says which and why.
        """
        dataset = self._acquire()
        numbers = self._dataset_numbers(dataset)
        take = self._live()
        numbers |= self._live_numbers()
        numbers |= self._scores()
        written = export(Archive.open(take), take / "export", (ExportFormat.OME_TIFF, ExportFormat.FFV1), overwrite=True)
        self._report("exporting", 1, 1, "")
        return {**numbers, "exports": [str(path) for path in written], "dataset": str(dataset), "recording": str(take)}

    def _acquire(self) -> Path:
        session = self._session
        session.start_acquisition("demo", self._pairs, "mixed")
        status = session.acquisition_status()
        while status.active:
            self._report("acquiring pairs", status.pairs_acknowledged, status.pairs_requested, "")
            time.sleep(_TICK_S)
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

    def _live(self) -> Path:
        session = self._session
        session.start_live()
        wanted = session.config.scene.count
        deadline_s = time.monotonic() + LIVE_TIMEOUT_S
        recording = False
        while time.monotonic() < deadline_s:
            time.sleep(_TICK_S)
            self._raise_errors()
            if not recording and self._views:
                session.start_recording("demo")
                recording = True
            enough = sum(len(views) >= VIEWS_PER_IMAGE for views in list(self._views.values()))
            frames = session.recording_status().frames_recorded
            self._report("live, held-out images", enough, wanted, f"{frames} frames recorded")
            if recording and enough >= wanted and frames >= FRAMES:
                break
        else:
            raise DemoError(f"the live view did not show {wanted} images within {LIVE_TIMEOUT_S:.0f} s; close other programs")
        return self._finish_recording()

    def _finish_recording(self) -> Path:
        session = self._session
        session.stop_recording()
        deadline_s = time.monotonic() + 30
        while session.recording_status().active and time.monotonic() < deadline_s:
            time.sleep(_TICK_S)
        take = session.recording_status()
        if take.finish_reason is not FinishReason.COMPLETED or take.path is None:
            raise DemoError(f"the recording ended as '{take.verdict or 'still writing'}'")
        return take.path

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
        """Mean over images of the mean over each image's views."""
        model = self._session.model
        assert model is not None
        mask, phase_range_rad = model.mask, model.card.phase_range_rad
        per_image, ious = [], []
        for views in self._views.values():
            scores = []
            for view in list(views)[:VIEWS_PER_IMAGE]:
                truth, made = view.truth_rad, view.reconstruction
                assert truth is not None
                assert made is not None
                phase, labels = made.phase_rad, made.labels
                scores.append(score(phase, truth, mask, phase_range_rad))
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
            if message.level == "error":
                raise DemoError(message.text)
