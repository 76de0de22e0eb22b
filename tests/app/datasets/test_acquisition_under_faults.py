"""A whole acquisition under faults: no wrong pair, no lost pair, every fault reported; and an audit that would notice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind, EventKind, FinishReason
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow, StorageError
from acquisition.capture.dataset_archive import faults_of, open_dataset, plan_of
from acquisition.capture.pair_capture import CaptureError
from acquisition.capture.plan import CapturePlan, Shot
from acquisition.capture.progress import AcquisitionReport, RunCallbacks, RunControl
from acquisition.capture.runner import MAX_QUARANTINES, acquire
from app.datasets.audit import audit_pairs
from drivers.base import Frame
from drivers.twin.camera import FaultConfig, SimulatedCameraConfig
from tests.helpers.journals import forge_metadata
from tests.helpers.virtual_bench import PX, VirtualBench, fibre

PLAN = CapturePlan(source="leaves", pairs=40, seed=1, reference_every=8)


@pytest.fixture(autouse=True)
def patterns_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw each pattern of a plan once for all tests of this file: drawing takes longer than capturing."""
    monkeypatch.setattr(CapturePlan, "maker", remembered_maker)


maker = CapturePlan.maker


@cache
def remembered_maker(plan: CapturePlan, shape: tuple[int, int]) -> Callable[[int], Shot]:
    return cache(maker(plan, shape))


class Bench(VirtualBench):
    """A bench that checks which pattern lit every frame that is stored."""

    def __init__(self, faults: FaultConfig | None = None, bit_depth: int = 8) -> None:
        super().__init__(SimulatedCameraConfig(bit_depth=bit_depth), faults)
        self.stop = threading.Event()
        self.wrongly_lit = 0
        self.stop_after: int | None = None
        self.before_pair: Callable[[int], None] = lambda number: None

    def on_pair(self, shot: Shot, frame: Frame) -> None:
        self.wrongly_lit += self.camera.lit[frame.index] != (shot.pattern.id,)
        if shot.number == self.stop_after:
            self.stop.set()
        self.before_pair(shot.number + 1)

    def acquire(self, writer: ArchiveWriter, plan: CapturePlan = PLAN) -> AcquisitionReport:
        with writer:
            control, callbacks = RunControl(stop=self.stop), RunCallbacks(on_pair=self.on_pair)
            return acquire(self.rig, plan, writer, control, callbacks)


def new(bench: Bench, root: Path, plan: CapturePlan = PLAN) -> ArchiveWriter:
    return open_dataset(root, "test", plan, bench.rig, {"fibre": "twin"})


def check(path: Path, plan: CapturePlan = PLAN) -> Archive:
    archive = Archive.open(path)
    assert [row.extra["shot"] for row in archive.rows()] == list(range(len(plan)))
    shown = [shot.pattern.id for shot in plan.shots((PX, PX))]
    assert [row.pattern_id for row in archive.rows()] == shown
    assert archive.verify().ok
    audit = audit_pairs(archive, fibre())
    assert (audit.pairs, audit.wrong) == (len(plan), 0)
    assert audit.undecided == 0
    return archive


@pytest.mark.parametrize("bit_depth", [8, 12])
def test_an_undisturbed_run_is_complete_and_right(tmp_path: Path, bit_depth: int) -> None:
    bench = Bench(bit_depth=bit_depth)
    report = bench.acquire(new(bench, tmp_path))
    assert report.complete
    assert (report.retaken, report.quarantined, dict(report.faults)) == (0, 0, {})
    archive = check(report.path)
    assert bench.wrongly_lit == 0
    assert archive.status["verdict"] == "complete"
    assert archive.metadata["bit_depth"] == bit_depth
    assert max(int(archive.read("speckle", k).max()) for k in range(9)) > (0 if bit_depth == 8 else 255)


def test_a_run_full_of_faults_has_no_wrong_pair_and_tells_every_fault(tmp_path: Path) -> None:
    rates = {"dropped_rate": 0.06, "duplicated_rate": 0.06, "late_rate": 0.06, "failed_rate": 0.06}
    bench = Bench(FaultConfig(**rates, hang_at=(11, 70), disconnect_at=(20, 55), saturate_at=(33,), seed=4))
    report = bench.acquire(new(bench, tmp_path))
    assert report.complete
    assert bench.wrongly_lit == 0
    archive = check(report.path)
    assert sum(report.faults.values()) == report.retaken >= sum(bench.camera.injected.values()) > 10
    stored = faults_of(archive)
    assert stored == dict(report.faults)
    assert {"DeviceLostError", "DeviceTimeoutError", "FrameFailedError", "BadPairError"} <= set(stored)


def test_pairs_before_a_failed_reference_check_are_withdrawn_and_captured_again(tmp_path: Path) -> None:
    bench = Bench()
    moved = fibre(seed=2)

    def move(number: int) -> None:  # the fibre is knocked during shots 12 to 18, then returns to its place
        knocked = 12 <= number <= 18 and number not in seen
        seen.add(number)
        bench.camera.optics = moved if knocked else fibre()

    seen: set[int] = set()
    bench.before_pair = move
    report = bench.acquire(new(bench, tmp_path))
    assert report.complete
    assert report.quarantined == 8, "from after the reference at 9 to before the one at 18"
    assert report.lowest_reference_correlation < PLAN.min_reference_correlation
    archive = check(report.path)
    events = [event.text for event in archive.events()]
    assert any(text.startswith("reference check failed: correlation ") for text in events)
    assert any("withdrew 8 pairs from 10 on" in text for text in events)


@pytest.mark.parametrize(("unplugged_at", "withdrawn"), [(0, 0), (1, 0), (5, 4), (10, 0), (16, 6)])
def test_a_lost_display_withdraws_the_pairs_since_the_last_reference(tmp_path: Path, unplugged_at: int, withdrawn: int) -> None:
    bench = Bench()

    def unplug(number: int) -> None:
        if number == unplugged_at and number not in seen:
            bench.slm.unplug()
        seen.add(number)

    seen: set[int] = set()
    bench.before_pair = unplug
    unplug(0)
    report = bench.acquire(new(bench, tmp_path))
    assert report.complete
    assert (report.quarantined, dict(report.faults)) == (withdrawn, {"DeviceLostError": 1})
    check(report.path)


def test_a_fibre_that_stays_elsewhere_ends_the_run_with_the_trusted_pairs(tmp_path: Path) -> None:
    bench = Bench()

    def move(number: int) -> None:
        if number == 12:
            bench.camera.optics = fibre(seed=2)

    bench.before_pair = move
    writer = new(bench, tmp_path)
    with pytest.raises(CaptureError, match="reference checks keep failing after pair 9"):
        bench.acquire(writer)
    archive = Archive.open(writer.path)
    assert len(archive) == 10
    assert sum(event.kind is EventKind.QUARANTINE for event in archive.events()) == MAX_QUARANTINES + 1
    assert audit_pairs(archive, fibre()).wrong == 0


@pytest.mark.parametrize("number", [0, 3, 9, 44])
def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, number: int) -> None:
    bench = Bench()
    bench.stop_after = number
    stopped = bench.acquire(new(bench, tmp_path))
    assert stopped.acknowledged == number + 1
    assert not stopped.complete
    assert stopped.finish_reason is Archive.open(stopped.path).finish_reason is FinishReason.STOPPED
    assert "stopped by the operator" in Archive.open(stopped.path).status["verdict"]
    before = [dict(row.crc32) for row in Archive.open(stopped.path).rows()]
    later = Bench()
    plan = plan_of(Archive.open(stopped.path))
    assert plan == PLAN
    report = later.acquire(ArchiveWriter.resume(stopped.path), plan)
    assert report.complete
    archive = check(stopped.path)
    assert [dict(row.crc32) for row in archive.rows()][: number + 1] == before
    assert report.finish_reason is archive.finish_reason is FinishReason.COMPLETED
    assert archive.status["verdict"] == "complete"


def test_a_resumed_run_compares_its_references_with_the_first_one(tmp_path: Path) -> None:
    bench = Bench()
    bench.stop_after = 12
    path = bench.acquire(new(bench, tmp_path)).path
    later = Bench()
    later.camera.optics = fibre(seed=2)  # the fibre was bent in the meantime
    with pytest.raises(CaptureError, match="the fibre moved; put it back and resume, or start a new dataset"):
        later.acquire(ArchiveWriter.resume(path))
    assert len(Archive.open(path)) == 10, "the pairs after the last passed reference check are not trusted"


def test_an_edited_plan_is_not_resumed(tmp_path: Path) -> None:
    bench = Bench()
    bench.stop_after = 2
    path = bench.acquire(new(bench, tmp_path)).path
    text = (path / "metadata.yaml").read_text().replace("seed: 1", "seed: 2")
    (path / "metadata.yaml").write_text(text)
    with pytest.raises(StorageError, match=r"metadata\.yaml differs from what was written"):
        plan_of(Archive.open(path))
    forge_metadata(path, text)  # the check sum of the plan still shows it
    with pytest.raises(StorageError, match="was edited"):
        plan_of(Archive.open(path))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    bench = Bench()
    return Archive.open(bench.acquire(new(bench, tmp_path_factory.mktemp("undisturbed"))).path)


def rewritten(undisturbed: Archive, root: Path, frame_of: Callable[[int], int], pairs: int) -> Archive:
    """Store the first pairs of a dataset again, each with the frame of another pair."""
    specs = [ArraySpec("speckle", (PX, PX), "uint8"), ArraySpec("phase", (PX, PX), "float32")]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="rewritten", arrays=specs)
    with ArchiveWriter.create(root, spec, pairs) as writer:
        for index in range(pairs):
            images = {"speckle": undisturbed.read("speckle", frame_of(index)), "phase": undisturbed.read("phase", index)}
            writer.append(images, PairRow(frame_index=index, t_ns=index, exposure_s=0.01))
    return Archive.open(writer.path)


def test_the_audit_finds_frames_shifted_against_their_patterns(undisturbed: Archive, tmp_path: Path) -> None:
    pairs = len(undisturbed) - 1
    audit = audit_pairs(rewritten(undisturbed, tmp_path, lambda index: index + 1, pairs), fibre())
    assert audit.wrong == audit.pairs == pairs
    assert audit.smallest_margin < 0


def test_the_audit_finds_one_wrong_pair_among_many(undisturbed: Archive, tmp_path: Path) -> None:
    archive = rewritten(undisturbed, tmp_path, lambda index: 22 if index == 21 else index, len(undisturbed))
    assert audit_pairs(archive, fibre()).wrong == 1


def test_frames_of_a_dataset_look_like_its_twin(undisturbed: Archive) -> None:
    counts = np.array([undisturbed.read("speckle", k).mean() for k in range(len(undisturbed))])
    assert (counts > 0.005 * 255).all()
    assert np.ptp(counts) / counts.mean() < 0.5
