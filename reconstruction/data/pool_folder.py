"""The temporary folder of simulated pairs. It is removed with its process, even if that is killed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where a file that is in use cannot be removed
    fcntl = None  # type: ignore[assignment]

_PREFIX, _LOCK = "specklescope-pool-", "in-use"
#: A folder younger than this may have no lock yet.
_YOUNG_S = 60.0


@contextmanager
def pool_folder() -> Iterator[Path]:
    """Make a folder and remove it at the end; also remove folders whose process was killed, as each may hold gigabytes."""
    remove_orphans(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, (Path(name) / _LOCK).open("wb") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(name)


def remove_orphans(root: Path) -> None:
    """Remove the pool folders in ``root`` that no process uses any more; folders that cannot be removed stay."""
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _YOUNG_S and not _in_use(folder / _LOCK):
                shutil.rmtree(folder)


def _in_use(path: Path) -> bool:
    if fcntl is None:
        return True
    try:
        lock: IO[bytes] = path.open("rb")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
