"""kill -9 at any moment: no acknowledged pair is lost, none is doubled, and the archive can be resumed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, StorageError

REPOSITORY = Path(__file__).parents[3]
SHAPE = (16, 16)

# Every image can be computed from its index, so that a lost or doubled pair is detected.
CHILD = """
import sys
from pathlib import Path
import numpy as np
from acquisition.archive.rows import PairRow
from acquisition.archive.writer import ArchiveWriter
beside, shape = int(sys.argv[2]), tuple(int(side) for side in sys.argv[3].split(","))
writer = ArchiveWriter.resume(Path(sys.argv[1]), seal_after_s=0.5 if beside else 0.02)
if beside:
    writer.write_beside(beside)
print("start", writer.acknowledged, writer.dropped, flush=True)
printed = writer.acknowledged
while True:
    k = writer.next_index
    images = {
        "speckle": np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8),
        "phase": np.full((16, 16), k, np.float32),
    }
    writer.append(images, PairRow(frame_index=k, t_ns=k, exposure_s=0.01, extra={"k": k}))
    if writer.acknowledged != printed:
        printed = writer.acknowledged
        print("ack", printed, flush=True)
"""


def check(path: Path, acknowledged: int, shape: tuple[int, ...]) -> int:
    archive = Archive.open(path)
    assert len(archive) >= acknowledged
    assert [(r.index, r.frame_index, r.extra["k"]) for r in archive.rows()] == [(k, k, k) for k in range(len(archive))]
    for k in range(len(archive)):
        expected = np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8)
        np.testing.assert_array_equal(archive.read("speckle", k), expected)
        assert (archive.read("phase", k) == k).all()
    return len(archive)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is a POSIX signal")
@pytest.mark.parametrize("kills", [3, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("shards_beside", "shape"),
    [(0, SHAPE), (3, SHAPE), (0, (3, *SHAPE)), (3, (5, *SHAPE))],
    ids=["0", "3", "colours", "planes"],
)
def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(
    tmp_path: Path, shards_beside: int, shape: tuple[int, ...], kills: int
) -> None:
    arrays = [ArraySpec("speckle", shape, "uint8"), ArraySpec("phase", SHAPE, "float32", compress=True)]
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="kill", arrays=arrays)
    with ArchiveWriter.create(tmp_path, spec, 1000, shard_bytes=8 * arrays[1].nbytes) as writer:
        path = writer.path
    moments = random.Random(9)
    total = 0
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(shards_beside), ",".join(map(str, shape))],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            try:
                assert child.stdout.readline().split() == ["start", str(total), "0"]
                for _ in range(moments.randint(0, 12)):
                    acknowledged = int(child.stdout.readline().split()[1])
                    total = max(total, acknowledged)
                with pytest.raises(StorageError, match="is being written by process"):
                    ArchiveWriter.resume(path)
                assert len(Archive.open(path)) >= total  # a reader beside the running writer
            finally:
                child.kill()
            reported = [int(line.split()[1]) for line in child.stdout if line.endswith("\n")]
        total = check(path, max([total, *reported]), shape)
    assert total > 0
    assert Archive.open(path).verify().ok
