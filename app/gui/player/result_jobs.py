"""Results that are computed from a recording in the background, beside what was recorded."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from acquisition.archive.results.stored_result import ResultKind, StoredResult
from app.datasets.recorded_methods import RecordingOptions
from app.datasets.recording_results import reconstruct_again, reconstruct_skipped, segment_again
from app.gui.widgets.formatting import count
from app.jobs.job_list import Job, JobList, JobOrder, Progress
from app.playback.cell_files import save_cells
from app.playback.played_archive import PlayedArchive
from app.status import JobState, Message, MessageLevel
from drivers.visible_text import visible
from reconstruction.segmentation.config import SegmentationConfig


class Computation(Enum):
    """What can be computed from a recording; the value is how it is called in the window."""

    AGAIN = "Reconstruct again"
    SKIPPED = "Reconstruct skipped frames"
    SEGMENT = "Segment again"
    #: The numbers, outlines or labels of all cells, as a file.
    CELLS = "Save cells"


def refusal(computation: Computation, archive: PlayedArchive) -> str:
    """Return why something cannot be computed from an archive, as a sentence; empty when it can."""
    facts = archive.facts
    if not facts.is_recording:
        return f"{facts.name} is a dataset: its phases are patterns, and no results"
    if facts.is_being_written:
        return f"{facts.name} is being recorded; wait for its end"
    if not archive.rows:
        return f"{facts.name} has no frames"
    if computation is Computation.SKIPPED and archive.reconstructed.all():
        return "Every frame has a phase: none was skipped"
    if computation is Computation.SEGMENT and not archive.reconstructed.any():
        return "No frame has a phase that could be segmented; reconstruct it first"
    if computation is Computation.CELLS and not archive.reconstructed.any():
        return "No frame has a phase whose cells could be measured; reconstruct it first"
    return ""


@dataclass
class _Running:
    path: Path
    computation: Computation
    job: Job
    results: list[StoredResult | None]
    file: Path | None = None


class ResultJobs:
    """What is being computed now.

    Parameters
    ----------
    jobs : JobList
        The jobs of the window.
    """

    def __init__(self, jobs: JobList) -> None:
        self._jobs = jobs
        self._running: list[_Running] = []

    @property
    def is_running(self) -> bool:
        """Whether something is computed whose end was not told yet."""
        return bool(self._running)

    def conflict(self, path: Path) -> str:
        """Return why nothing can be computed from a recording now, as a sentence; empty when it can."""
        return self._jobs.conflict(folders=frozenset({path}))

    def start(
        self, computation: Computation, path: Path, options: RecordingOptions, segmentation: SegmentationConfig | None = None
    ) -> None:
        """Start to compute; raises JobConflictError when another job uses the recording."""
        results: list[StoredResult | None] = []

        def work(progress: Progress, stop: threading.Event) -> None:
            if computation is Computation.SEGMENT:
                results.append(segment_again(path, segmentation, progress, stop))
            else:
                compute = reconstruct_again if computation is Computation.AGAIN else reconstruct_skipped
                results.append(compute(path, options, progress, stop))

        order = JobOrder(name=f"{computation.value}: {visible(path.name)}", work=work, folders=frozenset({path}))
        self._running.append(_Running(path, computation, self._jobs.start(order), results))

    def save_cells(self, path: Path, result: StoredResult | None, file: Path) -> None:
        """Start to measure the cells of a recording and to write them into a file; raises errors as :meth:`start`."""

        def work(progress: Progress, stop: threading.Event) -> None:
            save_cells(PlayedArchive(path), file, result, progress, stop)

        order = JobOrder(name=f"{Computation.CELLS.value}: {visible(path.name)}", work=work, folders=frozenset({path}))
        self._running.append(_Running(path, Computation.CELLS, self._jobs.start(order), [], file))

    def pop_ended(self) -> list[tuple[Path, Message]]:
        """Return the recordings whose computation has ended, and how, each once."""
        ended = [one for one in self._running if not one.job.running]
        self._running = [one for one in self._running if one not in ended]
        return [(one.path, _message(one)) for one in ended]


def _message(one: _Running) -> Message:
    error = one.job.stage.error
    if error is not None:
        reason = " ".join(str(error).split()) or type(error).__name__
        return Message(MessageLevel.ERROR, f"{one.computation.value} has failed: {reason}")
    if one.file is not None:
        was_stopped = one.job.status().state is JobState.STOPPED
        return Message(MessageLevel.INFO, "Nothing was saved: it was stopped" if was_stopped else f"Saved: {one.file}")
    result = one.results[0] if one.results else None
    if result is None:
        return Message(MessageLevel.INFO, f"{one.computation.value} was stopped; nothing was kept")
    text = f"{visible(one.path.name)}: '{result.card.name}' is ready; choose it above the pictures. {equality_text(result)}"
    return Message(MessageLevel.INFO, text.rstrip())


def equality_text(result: StoredResult) -> str:
    """Return how a result compares with what was recorded, as a sentence; empty where nothing could be compared."""
    facts = result.card.facts
    compared, equal = facts.get("frames_compared"), facts.get("frames_equal")
    if result.card.kind is not ResultKind.RECONSTRUCTION or not isinstance(compared, int) or not isinstance(equal, int):
        return ""
    if not compared:
        return "It was made in another way than the recorded phase, so that nothing was compared."
    if compared == equal:
        return f"Each of {count(compared)} compared frames has exactly the recorded phase."
    largest = facts.get("largest_difference_rad")
    most = f"; the largest difference is {largest:.3g} rad" if isinstance(largest, float) else ""
    return f"{count(equal)} of {count(compared)} compared frames have exactly the recorded phase{most}."
