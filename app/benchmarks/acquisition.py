"""A dataset under every fault a long run meets, its speed beside what the instrument needs, and the parts that serve it.

The faulty run lives in processes of its own, which are killed and starved of disk; its clock is virtual, so a night takes
minutes. The clean run takes its time.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from acquisition.archive.kinds import ArchiveKind, EventKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from acquisition.capture.certificate import certify
from acquisition.capture.dataset_archive import dataset_spec, faults_of, open_dataset
from acquisition.capture.pair_capture import Rig
from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import pair_seconds
from acquisition.capture.progress import RunCallbacks
from acquisition.capture.runner import acquire
from acquisition.holograms.benchmark import hologram_ratio
from app.datasets.audit import audit_pairs
from drivers.base import SpeckleScopeError
from drivers.clock import Clock, RealClock, VirtualClock
from drivers.twin.camera import FaultConfig, SimulatedCamera, SimulatedCameraConfig
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.slm import SimulatedSlm, SimulatedSlmConfig
from reconstruction.data.reader_benchmark import reader_ratio

Report = Callable[[str, int, int], None]

#: A fibre whose light is quick to compute: the run is measured, not the twin.
OPTICS = OpticsConfig(image_px=128, field_radius_um=41.0)
#: A 60 Hz panel that takes 1 to 3 frames at random.
SLM = SimulatedSlmConfig(refresh_hz=60.0, latency_frames=(1, 3))
FAULTS = FaultConfig(dropped_rate=0.004, duplicated_rate=0.004, late_rate=0.004)
#: What ends the processes of the faulty run, by the fraction of pairs that are safe by then.
ENDS = ((0.15, "kill"), (0.35, "kill"), (0.5, "full disk"), (0.7, "kill"), (1.0, "complete"))
#: Virtual time runs fast, so pairs are sealed at short intervals of real time.
_SEAL_S = 0.2
_FRAMES = 32


@dataclass
class Faulty:
    """What the faulty run came to."""

    pairs: int = 0
    wrong: int = 0
    undecided: int = 0
    acknowledged_lost: int = 0
    verified: bool = False
    injected: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=dict)


def bench_acquisition(report: Report, pairs: int = 10_000, quick: bool = False) -> dict[str, object]:
    """Run all of it: about a quarter of an hour for 10,000 pairs, under a minute with ``quick``.

    Raises
    ------
    SpeckleScopeError
        A run did not end as it should.
    """
    pairs = 240 if quick else pairs
    with tempfile.TemporaryDirectory(prefix="specklescope-bench-") as folder:
        root = Path(folder)
        faulty = faulty_run(root / "faulty", pairs, report)
        ratio, rate = clean_run(root / "clean", 120 if quick else pairs, report)
        report("writing beside the disk alone", 0, 1)
        write = write_ratio(root, 64 if quick else 512, 3 if quick else 7)
        report("writing beside the disk alone", 1, 1)
        report("reading beside a memory map", 0, 1)
        reader = reader_ratio(None, frames=256 if quick else 1024, rounds=3 if quick else 7)
        report("reading beside a memory map", 1, 1)
    report("holograms beside slmsuite", 0, 1)
    holograms = hologram_ratio(iterations=3 if quick else 20, rounds=2 if quick else 5)
    report("holograms beside slmsuite", 1, 1)
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
        "write_ratio_disk": write,
        "reader_ratio_memmap": min(reader["sequential"]["ratio"], reader["random"]["ratio"]),
        "reader": reader,
    }


def bench_rig(clock: Clock, faults: FaultConfig | None = None) -> Rig:
    """Return the simulated instrument of these measurements."""
    px = OPTICS.image_px
    slm = SimulatedSlm((px, px), SLM, clock)
    camera = SimulatedCamera(slm, FibreOptics(OPTICS), SimulatedCameraConfig(), faults, clock)
    return Rig(camera, slm, clock)


def clean_run(root: Path, pairs: int, report: Report) -> tuple[float, float]:
    """Acquire without faults; return the time beside settling, exposure and readout of every shot, and pairs a second."""
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


def faulty_run(root: Path, pairs: int, report: Report) -> Faulty:
    """Acquire under faults, three kills and a full disk, each survived by a resumption; audit every pair."""
    plan = CapturePlan(source="mixed", pairs=pairs, seed=3)
    log = root / "injected.log"
    root.mkdir(parents=True)
    faulty = Faulty()
    safe = 0
    for number, (fraction, end) in enumerate(ENDS):
        limit = int(fraction * len(plan))
        safe = _one_process(root, plan, number, end, limit, log, lambda done: report("pairs under faults", done, len(plan)))
        path = _dataset(root)
        faulty.acknowledged_lost += max(0, safe - len(Archive.open(path)))
        if end != "complete":
            faulty.injected[end] = faulty.injected.get(end, 0) + 1
    archive = Archive.open(_dataset(root))
    report("checking pairs by their light", 0, 1)
    audit = audit_pairs(archive, FibreOptics(OPTICS))
    report("checking pairs by their light", 1, 1)
    faulty.verified = certify(archive).verified
    faulty.pairs, faulty.wrong, faulty.undecided = audit.pairs, audit.wrong, audit.undecided
    for line in log.read_text().splitlines():
        faulty.injected[line] = faulty.injected.get(line, 0) + 1
    resumed = sum(event.kind is EventKind.RESUME for event in archive.events())
    faulty.reported = {**faults_of(archive), "resumed after a kill or a full disk": resumed}
    if audit.pairs != len(plan) or not archive.verify().ok:
        raise SpeckleScopeError(f"{audit.pairs} of {len(plan)} pairs are there and good; look at {faulty.reported}")
    return faulty


def _one_process(
    root: Path, plan: CapturePlan, number: int, end: str, limit: int, log: Path, progress: Callable[[int], None]
) -> int:
    """Run one process of the faulty run until it ends or is killed; return how many pairs it said were safe."""
    order = {"root": str(root), "plan": plan.to_dict(), "number": number, "end": end, "limit": limit, "log": str(log)}
    command = [sys.executable, "-P", "-m", __spec__.name, json.dumps(order)]
    safe = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            safe = int(line)
            progress(safe)
            if end == "kill" and safe >= limit:
                child.kill()
                break
        trouble = child.stderr.read().strip()
    expected = {"kill": (-9,), "full disk": (1,), "complete": (0,)}[end]
    if child.returncode not in expected:
        raise SpeckleScopeError(f"the run that should end by '{end}' ended with {child.returncode}: {trouble[-300:]}")
    return safe


def _dataset(root: Path) -> Path:
    return next(path for path in root.iterdir() if path.is_dir())


def _child(order: Mapping[str, object]) -> int:
    """Be one process of the faulty run: begin or resume, and say after every commit how many pairs are safe."""
    root, plan = Path(str(order["root"])), CapturePlan.model_validate(order["plan"])
    number, end, limit, log = int(str(order["number"])), order["end"], int(str(order["limit"])), Path(str(order["log"]))
    disconnects = (len(plan) // 20,) if number in (0, 2) else ()
    rig = bench_rig(VirtualClock(), replace(FAULTS, disconnect_at=disconnects, seed=number))
    camera = rig.camera
    assert isinstance(camera, SimulatedCamera)
    told: dict[str, int] = {}
    said = -1
    if number:
        writer = ArchiveWriter.resume(_dataset(root), seal_after_s=_SEAL_S)
    else:
        writer = ArchiveWriter.create(
            root, dataset_spec("faulty", plan, rig, {"fibre": "bench"}), len(plan), seal_after_s=_SEAL_S
        )

    def say(progress: object) -> None:
        nonlocal said
        for kind, count in camera.injected.items():
            for _ in range(count - told.get(kind, 0)):
                with log.open("a") as file:
                    file.write(f"{kind}\n")
            told[kind] = count
        if writer.acknowledged != said:
            said = writer.acknowledged
            print(said, flush=True)
            if end == "full disk" and said >= limit:
                # From now on no file may grow beyond a few kilobytes: every shard fails as on a full disk.
                resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    try:
        with writer:
            acquire(rig, plan, writer, callbacks=RunCallbacks(on_progress=say))
    except SpeckleScopeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write_ratio(root: Path, pairs: int, rounds: int) -> float:
    """Return the archive's rate over that of plain files of the same bytes, written and synced in turns; median of rounds."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (_FRAMES, 512, 512), dtype=np.uint8)
    spec = [ArraySpec("speckle", (512, 512), "uint8")]

    def archived(number: int) -> float:
        start = time.perf_counter()
        with ArchiveWriter.create(root, ArchiveSpec(kind=ArchiveKind.DATASET, name=f"w{number}", arrays=spec), pairs) as writer:
            for index in range(pairs):
                writer.append({"speckle": frames[index % _FRAMES]}, PairRow(frame_index=index, t_ns=index, exposure_s=0.01))
        return time.perf_counter() - start

    def plain(number: int) -> float:
        start = time.perf_counter()
        for first in range(0, pairs, 128):
            with (root / f"raw-{number}-{first}").open("wb") as file:
                for index in range(first, min(first + 128, pairs)):
                    file.write(frames[index % _FRAMES].data)
                file.flush()
                os.fsync(file.fileno())
        return time.perf_counter() - start

    ratios = []
    for number in range(rounds):
        first, second = (archived, plain) if number % 2 else (plain, archived)
        seconds = {first: first(number), second: second(number)}
        ratios.append(seconds[plain] / seconds[archived])
    return statistics.median(ratios)


if __name__ == "__main__":
    raise SystemExit(_child(json.loads(sys.argv[1])))
