"""Measures an acquisition under every fault of a long run, its speed without faults, and the parts that it uses.

The run with faults is executed by child processes, which are killed or get a full disk. Its clock is virtual, so that a night
takes minutes. The run without faults uses the real clock.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from acquisition.archive.kinds import EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveWriter
from acquisition.capture.certificate import certify
from acquisition.capture.dataset_archive import dataset_spec, faults_of, open_dataset
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import pair_seconds
from acquisition.capture.progress import RunCallbacks
from acquisition.capture.runner import acquire
from acquisition.holograms.benchmark import hologram_ratio
from app.benchmarks import writer_speed
from app.datasets.audit import audit_pairs
from app.progress import Report
from drivers.base import SpeckleScopeError
from drivers.clock import Clock, RealClock, VirtualClock
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig
from reconstruction.data.reader_benchmark import reader_ratio

#: A small fibre that is quick to simulate, because the run is measured and not the twin.
OPTICS = OpticsConfig(image_px=128, field_radius_um=41.0)
#: A 60 Hz panel with a random latency of 1 to 3 frames.
SLM = SimulatedSlmConfig(refresh_hz=60.0, latency_frames=(1, 3))
FAULTS = FaultConfig(dropped_rate=0.004, duplicated_rate=0.004, late_rate=0.004)
#: Virtual time runs fast, so pairs are sealed at short intervals of real time.
_SEAL_S = 0.2
#: Largest file in bytes that a child may write once its disk is full, so that every further shard fails.
_FULL_DISK_BYTES = 4096


class ChildEnd(StrEnum):
    """How a child process of the run with faults ends."""

    KILL = "kill"
    FULL_DISK = "full disk"
    COMPLETE = "complete"


#: How the child processes end, one after the other, and the fraction of pairs that are acknowledged by then.
ENDS = (
    (0.15, ChildEnd.KILL),
    (0.35, ChildEnd.KILL),
    (0.5, ChildEnd.FULL_DISK),
    (0.7, ChildEnd.KILL),
    (1.0, ChildEnd.COMPLETE),
)
_EXIT_CODES = {ChildEnd.KILL: -9, ChildEnd.FULL_DISK: 1, ChildEnd.COMPLETE: 0}


@dataclass(kw_only=True)
class FaultyRun:
    """The result of the run with faults.

    Parameters
    ----------
    pairs, wrong, undecided : int
        Pairs in the dataset; of them, pairs whose speckle belongs to another pattern, and pairs that could not be decided.
    acknowledged_lost : int
        Acknowledged pairs that were missing after a child process had ended.
    verified : bool
        Whether the certificate of the dataset says that all pairs are verified.
    injected, reported : dict
        How many faults of each kind were injected, and how many the dataset reports.
    """

    pairs: int = 0
    wrong: int = 0
    undecided: int = 0
    acknowledged_lost: int = 0
    verified: bool = False
    injected: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChildOrder:
    """What a child process of the run with faults does; it is sent as JSON.

    Parameters
    ----------
    root : str
        Folder of the dataset.
    plan : dict
        The capture plan.
    number : int
        Number of the child process; 0 starts the dataset, the others resume it.
    end : str
        How it ends; see :class:`ChildEnd`.
    limit : int
        Number of acknowledged pairs at which it ends.
    log : str
        File to which every injected fault is appended.
    """

    root: str
    plan: dict[str, object]
    number: int
    end: str
    limit: int
    log: str


def bench_acquisition(report: Report, pairs: int = 10_000, *, quick: bool = False) -> dict[str, object]:
    """Run all measurements: about a quarter of an hour for 10,000 pairs, less than a minute with ``quick``.

    Raises
    ------
    SpeckleScopeError
        A run did not end as expected.
    """
    pairs = 240 if quick else pairs
    with tempfile.TemporaryDirectory(prefix="specklescope-bench-") as folder:
        root = Path(folder)
        faulty = faulty_run(root / "faulty", pairs, report)
        ratio, rate = clean_run(root / "clean", 120 if quick else pairs, report)
        writer = writer_speed.measure(root, report, quick=quick)
        report("reading an archive and a memory map", 0, 1)
        reader = reader_ratio(None, frames=256 if quick else 1024, rounds=3 if quick else 7)
        report("reading an archive and a memory map", 1, 1)
    report("holograms here and with slmsuite", 0, 1)
    holograms = hologram_ratio(iterations=3 if quick else 20, rounds=2 if quick else 5)
    report("holograms here and with slmsuite", 1, 1)
    return {
        "pairs": faulty.pairs,
        "wrong_pairs": faulty.wrong,
        "audit_undecided": faulty.undecided,
        "acknowledged_lost": faulty.acknowledged_lost,
        "verified": faulty.verified,
        "faults_injected": faulty.injected,
        "faults_reported": faulty.reported,
        "run_time_ratio": ratio,
        "pairs_per_s": rate,
        "hologram_ratio_slmsuite": holograms.get("ratio"),
        "holograms": holograms,
        **writer,
        "reader_ratio_memmap": min(reader["sequential"]["ratio"], reader["random"]["ratio"]),
        "reader": reader,
    }


def bench_rig(clock: Clock, faults: FaultConfig | None = None) -> Rig:
    """Return the simulated instrument that is measured."""
    px = OPTICS.image_px
    slm = SimulatedSlm((px, px), SLM, clock)
    camera = SimulatedCamera(slm, FibreOptics(OPTICS), SimulatedCameraConfig(), faults, clock)
    return Rig(camera, slm, clock)


def clean_run(root: Path, pairs: int, report: Report) -> tuple[float, float]:
    """Acquire without faults; return the time divided by settling, exposure and readout of all shots, and pairs per second."""
    rig = bench_rig(RealClock())
    plan = CapturePlan(source="mixed", pairs=pairs)
    with open_dataset(root, "clean", plan, rig, {"fibre": "bench"}) as writer:
        start = time.monotonic()
        done = acquire(
            rig,
            plan,
            writer,
            callbacks=RunCallbacks(on_pair=lambda shot, frame: report("pairs without faults", shot.number + 1, len(plan))),
        )
        seconds = time.monotonic() - start
    if not done.complete or done.retaken:
        raise SpeckleScopeError(f"the clean run ended with {done.acknowledged} of {done.requested} pairs and {done.faults}")
    return seconds / (len(plan) * pair_seconds(rig, plan)), len(plan) / seconds


def faulty_run(root: Path, pairs: int, report: Report) -> FaultyRun:
    """Acquire under faults, three kills and a full disk; resume after each, and audit every pair."""
    plan = CapturePlan(source="mixed", pairs=pairs, seed=3)
    log = root / "injected.log"
    root.mkdir(parents=True)
    run = FaultyRun()
    injected: Counter[str] = Counter()
    for number, (fraction, end) in enumerate(ENDS):
        limit = int(fraction * len(plan))
        order = ChildOrder(root=str(root), plan=plan.to_dict(), number=number, end=end, limit=limit, log=str(log))
        acknowledged = _run_child(order, lambda done: report("pairs under faults", done, len(plan)))
        run.acknowledged_lost += max(0, acknowledged - len(Archive.open(_dataset(root))))
        if end is not ChildEnd.COMPLETE:
            injected[end] += 1
    injected.update(log.read_text().splitlines())
    run.injected = {str(kind): count for kind, count in injected.items()}
    archive = Archive.open(_dataset(root))
    report("checking pairs by their speckle", 0, 1)
    audit = audit_pairs(archive, FibreOptics(OPTICS))
    report("checking pairs by their speckle", 1, 1)
    run.verified = certify(archive).verified
    run.pairs = audit.pairs
    run.wrong = audit.wrong
    run.undecided = audit.undecided
    resumed = sum(event.kind is EventKind.RESUME for event in archive.events())
    run.reported = {**faults_of(archive), "resumed after a kill or a full disk": resumed}
    if audit.pairs != len(plan) or not archive.verify().ok:
        raise SpeckleScopeError(
            f"the dataset has {audit.pairs} of {len(plan)} pairs, or damaged ones; reported faults: {run.reported}"
        )
    return run


def _run_child(order: ChildOrder, progress: Callable[[int], None]) -> int:
    """Run a child process until it ends or is killed; return the number of pairs that it acknowledged."""
    end = ChildEnd(order.end)
    command = [sys.executable, "-P", "-m", __spec__.name, json.dumps(asdict(order))]
    acknowledged = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            acknowledged = int(line)
            progress(acknowledged)
            if end is ChildEnd.KILL and acknowledged >= order.limit:
                child.kill()
                break
        errors = child.stderr.read().strip()
    if child.returncode != _EXIT_CODES[end]:
        raise SpeckleScopeError(
            f"a child process that should end by '{end}' (exit code {_EXIT_CODES[end]}) ended with {child.returncode}: "
            f"{errors[-300:]}"
        )
    return acknowledged


def _dataset(root: Path) -> Path:
    return next(path for path in root.iterdir() if path.is_dir())


class _ChildReporter:
    """Reports every acknowledged pair to the parent, and writes every injected fault to the log.

    Parameters
    ----------
    order : ChildOrder
        Of this child process.
    camera : SimulatedCamera
        Injects the faults.
    writer : ArchiveWriter
        Acknowledges the pairs.
    """

    def __init__(self, order: ChildOrder, camera: SimulatedCamera, writer: ArchiveWriter) -> None:
        self._order = order
        self._camera = camera
        self._writer = writer
        self._logged: Counter[str] = Counter()
        self._acknowledged = -1

    def __call__(self, progress: object) -> None:
        """Report what is new."""
        injected = Counter({str(kind): count for kind, count in self._camera.injected.items()})
        with Path(self._order.log).open("a") as file:
            file.writelines(f"{kind}\n" for kind in (injected - self._logged).elements())
        self._logged = injected
        if self._writer.acknowledged == self._acknowledged:
            return
        self._acknowledged = self._writer.acknowledged
        print(self._acknowledged, flush=True)
        if ChildEnd(self._order.end) is ChildEnd.FULL_DISK and self._acknowledged >= self._order.limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL_DISK_BYTES, _FULL_DISK_BYTES))


def _child(order: ChildOrder) -> int:
    """Be one child process of the run with faults: start or resume the dataset; return the exit code."""
    root = Path(order.root)
    plan = CapturePlan(**order.plan)  # type: ignore[arg-type]
    disconnects = (len(plan) // 20,) if order.number in (0, 2) else ()
    rig = bench_rig(VirtualClock(), replace(FAULTS, disconnect_at=disconnects, seed=order.number))
    assert isinstance(rig.camera, SimulatedCamera)
    if order.number:
        writer = ArchiveWriter.resume(_dataset(root), seal_after_s=_SEAL_S)
    else:
        spec = dataset_spec("faulty", plan, rig, {"fibre": "bench"})
        writer = ArchiveWriter.create(root, spec, len(plan), seal_after_s=_SEAL_S)
    try:
        with writer:
            acquire(rig, plan, writer, callbacks=RunCallbacks(on_progress=_ChildReporter(order, rig.camera, writer)))
    except SpeckleScopeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(_child(ChildOrder(**json.loads(sys.argv[1]))))
