"""A disk that is full: a small file system in memory that fills while a command runs, or a size that no file may exceed.

The file system is mounted in a namespace of its own, which disappears with the process. No rights are needed where the system
allows such namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

_NAMESPACE = ("unshare", "-rm")
_DISK, _FILLER = ".disk", ".filler"
#: How often the moment is looked for, in seconds.
_POLL_S = 1e-4
_BLOCK_BYTES = 1 << 20


@contextmanager
def file_size_limit(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``most_bytes``: the system stops the write in its middle with an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@cache
def can_mount() -> bool:
    """Whether this system lets us mount a small file system."""
    if shutil.which(_NAMESPACE[0]) is None:
        return False
    command = [*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, kw_only=True)
class Filling:
    """When and how far a small disk fills.

    Parameters
    ----------
    size_bytes : int
        Size of the disk.
    left_bytes : int
        What is left when it is full, so that the last write ends in its middle.
    at : str
        It fills when it holds a file whose path matches this pattern; before the command starts, if this is empty.
    """

    size_bytes: int
    left_bytes: int = 20_000
    at: str = ""


def on_small_disk(command: Sequence[str], filling: Filling, kept_off: Sequence[str] = ()) -> list[str]:
    """Return the command line that runs a command in a copy of its working folder on a small disk, and copies everything back.

    Its exit code is that of the command; 128 plus the number of a signal that ended it.

    Parameters
    ----------
    command : sequence of str
        The command.
    filling : Filling
        When the disk fills.
    kept_off : sequence of str
        Patterns of names in the working folder that stay where they are.
    """
    order = json.dumps({"command": list(command), "filling": asdict(filling), "kept_off": [*kept_off, _DISK]})
    unshare = shutil.which(_NAMESPACE[0]) or _NAMESPACE[0]
    return [unshare, *_NAMESPACE[1:], sys.executable, "-P", "-m", __spec__.name, order]


def _run(command: Sequence[str], filling: Filling, kept_off: Sequence[str]) -> int:
    here = Path.cwd()
    disk = here / _DISK
    disk.mkdir()
    options = f"size={filling.size_bytes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)
    shutil.copytree(here, disk, ignore=shutil.ignore_patterns(*kept_off), dirs_exist_ok=True)
    if not filling.at:
        _fill(disk / _FILLER, filling.left_bytes)
    with subprocess.Popen(command, cwd=disk) as process:
        if filling.at:
            while process.poll() is None and next(disk.glob(filling.at), None) is None:
                time.sleep(_POLL_S)
            # The command waits until the disk is full, so that it always is from this moment on.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGSTOP)
            _fill(disk / _FILLER, filling.left_bytes)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        code = process.wait()
    (disk / _FILLER).unlink()
    for path in here.iterdir():
        if (disk / path.name).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(disk, here, dirs_exist_ok=True)
    subprocess.run(["umount", str(disk)], check=True)
    disk.rmdir()
    return code if code >= 0 else 128 - code


def _fill(filler: Path, left_bytes: int) -> None:
    """Fill the disk of a file until only so many bytes are left."""
    with filler.open("wb", buffering=0) as file:
        block = bytes(_BLOCK_BYTES)
        with contextlib.suppress(OSError):
            while file.write(block):
                pass
        size = file.tell()
        os.ftruncate(file.fileno(), max(0, size - left_bytes))


if __name__ == "__main__":
    _order = json.loads(sys.argv[1])
    raise SystemExit(_run(_order["command"], Filling(**_order["filling"]), _order["kept_off"]))
