"""Whether the player shows exactly what was recorded, and how long a step on a long recording takes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QEventLoop, QObject
from PyQt6.QtWidgets import QApplication

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.recorder import ROW_NOT_RECONSTRUCTED, ROW_NOT_SEGMENTED
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.gui.image_view.contents import Content
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.pages.page import PageContext
from app.gui.player.player import Player
from app.gui.window_bench.amounts import Amounts, Numbers
from app.gui.window_bench.bench_window import BenchWindow
from app.jobs.job_list import JobList
from drivers.base import SpeckleScopeError

_SIZE_PX = (1366, 700)
_LONGEST_S = 60.0
#: Side of the frames of the long recording, and of their phases.
_SIDE_PX, _GRID_PX = 256, 128
_PATTERNS = 8
_STEPS = 100
_WAITING = QEventLoop.ProcessEventsFlag.WaitForMoreEvents


def recording_to_play(bench: BenchWindow, amounts: Amounts) -> Path:
    """Record the live view, which runs."""
    bench.record("played")
    bench.run(amounts.played_s)
    recording = bench.stop_recording().path
    assert recording is not None
    return recording


def playback(recording: Path, folder: Path, amounts: Amounts) -> Numbers:
    """Play a real recording frame by frame and compare the panes with it; then drag the slider over a long recording."""
    long = _long_recording(folder / "long", amounts.played_frames)
    player = Player(PageContext(jobs=JobList()))
    player.resize(*_SIZE_PX)
    player.show()
    player.enter()
    try:
        return {**_exact(player, recording), **_scrubs(player, long, amounts.jumps)}
    finally:
        player.release()
        player.close()


def _wait(player: Player) -> None:
    """Let the window work until the frame that is wanted is shown; raises SpeckleScopeError if it does not come."""
    deadline_s = time.monotonic() + _LONGEST_S
    while player.left.is_opening or player.left.is_waiting:
        QApplication.processEvents(_WAITING)
        if time.monotonic() > deadline_s:
            raise SpeckleScopeError(f"a frame of {player.left.path} was not shown within {_LONGEST_S:g} s")


def _exact(player: Player, path: Path) -> Numbers:
    """Show every frame, and compare what the panes hold with what is on the disk."""
    player.open_archive(path)
    _wait(player)
    archive = Archive.open(path)
    discs = archive.discs()
    largest_rad, different = 0.0, 0
    for row in archive.rows():
        player.seek(row.index)
        _wait(player)
        pictures = player.left.pictures
        different += _differs(_shown(pictures, Content.SPECKLE), archive.read("speckle", row.index))
        if ROW_NOT_RECONSTRUCTED in row.extra:
            different += _shown(pictures, Content.PHASE) is not None
            continue
        phase, recorded = _shown(pictures, Content.PHASE), archive.read("phase", row.index)
        if row.model_id in discs:  # the player shows nothing where nothing was observed
            recorded = np.where(discs[row.model_id], recorded, np.float32(np.nan))
        different += _differs(phase, recorded)
        largest_rad = max(largest_rad, np.inf if phase is None else float(np.nanmax(np.abs(phase - recorded), initial=0.0)))
        labels = player.left.pictures.showing(Content.OVERLAY).shown
        if ROW_NOT_SEGMENTED not in row.extra:
            different += labels is None or _differs(labels.labels, archive.read("labels", row.index))
    return {"playback_frames": len(archive), "playback_max_diff_rad": largest_rad, "playback_pictures_different": different}


def _shown(pictures: PaneGrid, content: Content) -> NDArray[np.generic] | None:
    return pictures.showing(content).image


def _differs(shown: NDArray[np.generic] | None, recorded: Image) -> bool:
    """Whether a picture is not the recorded one, bit by bit."""
    return shown is None or shown.dtype != recorded.dtype or shown.tobytes() != recorded.tobytes()


class _Paints(QObject):
    """Counts how often a pane was painted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() is QEvent.Type.Paint:
            self.count += 1
        return super().eventFilter(watched, event)


def _scrubs(player: Player, path: Path, jumps: int) -> Numbers:
    """Jump to random frames as with the slider, then go frame by frame; time each step until it is painted."""
    start_s = time.monotonic()
    player.open_archive(path)
    _wait(player)
    opened_s = time.monotonic() - start_s
    paints = _Paints()
    player.left.pictures.showing(Content.PHASE).canvas.viewport.installEventFilter(paints)
    chosen, last = random.Random(21), player.playhead.last
    jumps_ms = [_step_ms(player, paints, chosen.randrange(last)) for _ in range(jumps)]
    first = last // 2
    steps_ms = [_step_ms(player, paints, first + number) for number in range(1, min(_STEPS, last - first))]
    return {
        "scrub_frames": last + 1,
        "scrub_jumps": jumps,
        "scrub_open_s": opened_s,
        "scrub_ms_p50": float(np.percentile(jumps_ms, 50)),
        "scrub_ms_p99": float(np.percentile(jumps_ms, 99)),
        "scrub_ms_max": max(jumps_ms),
        "frame_step_ms_p99": float(np.percentile(steps_ms, 99)),
    }


def _step_ms(player: Player, paints: _Paints, position: int) -> float:
    if position == player.playhead.position:
        return 0.0
    painted, start_s = paints.count, time.perf_counter()
    player.seek(position)
    _wait(player)
    deadline_s = time.monotonic() + _LONGEST_S
    while paints.count == painted and time.monotonic() < deadline_s:
        QApplication.processEvents(_WAITING)
    return 1e3 * (time.perf_counter() - start_s)


def _long_recording(root: Path, frames: int) -> Path:
    """Write a recording of so many frames, 60 a second, with phases and labels."""
    rng = np.random.default_rng(21)
    speckles = rng.integers(0, 200, (_PATTERNS, _SIDE_PX, _SIDE_PX), dtype=np.uint8)
    phases = np.zeros((_PATTERNS, _GRID_PX, _GRID_PX), np.float32)
    for number in range(_PATTERNS):
        phases[number, 20 : 60 + number, 30:70] = 1.5
    labels = (phases > 1).astype(np.uint16)
    arrays = [
        ArraySpec("speckle", (_SIDE_PX, _SIDE_PX), "uint8"),
        ArraySpec("phase", (_GRID_PX, _GRID_PX), "float32", compress=True),
        ArraySpec("labels", (_GRID_PX, _GRID_PX), "uint16", compress=True),
    ]
    metadata = {"pixel_um": 0.7, "bit_depth": 8, "model_id": "0123456789ab"}
    spec = ArchiveSpec(kind=ArchiveKind.RECORDING, name="long", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(root, spec, frames) as writer:
        for index in range(frames):
            number = index % _PATTERNS
            images = {"speckle": speckles[number], "phase": phases[number], "labels": labels[number]}
            row = PairRow(frame_index=index, t_ns=round(index * 1e9 / 60), exposure_s=0.002, model_id="0123456789ab")
            writer.append(images, row)
        writer.complete()
        return writer.path
