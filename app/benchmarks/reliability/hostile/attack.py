"""What a hostile input is: a changed copy of a sample, and who reads it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.archive.atomic_files import array_bytes, write_inside
from app.benchmarks.reliability.samples import SampleKind

#: The file that appears beside the copy if the input ran something or wrote outside its folder.
CANARY = "canary"


@dataclass(frozen=True)
class Target:
    """A copy of a sample that is made hostile.

    Parameters
    ----------
    folder : Path
        The copy.
    path : Path
        The file or folder in it that its reader is given.
    outside : Path
        A folder that no reader may read from or write to; the canary would appear in it.
    """

    folder: Path
    path: Path
    outside: Path

    @property
    def canary(self) -> Path:
        """See :data:`CANARY`."""
        return self.outside / CANARY


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A hostile input.

    Parameters
    ----------
    name : str
        Says what is hostile in it.
    kind : SampleKind
        The sample that is changed.
    spoil : callable
        Changes the copy of the sample.
    read : callable, optional
        Reads it; by default the sample's own reader does. It gets the path of the sample.
    inert : bool
        Whether it may be read, if it does nothing: a name with control characters, for example. Otherwise it must be refused.
    most_s : float
        How long its reader may take, in seconds.
    """

    name: str
    kind: SampleKind
    spoil: Callable[[Target], object]
    read: Callable[[Path], object] | None = None
    inert: bool = False
    most_s: float = 20.0


class Pickled:
    """An object whose pickle makes the canary when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._canary,)


def object_array(canary: Path) -> bytes:
    """Return a ``.npy`` file of objects, whose pickle makes the canary."""
    header = array_bytes(np.zeros(1, np.uint8)).replace(b"'|u1'", b"'|O' ")
    return header[:-1] + pickle.dumps(Pickled(canary))


def put(path: Path, content: bytes | str) -> None:
    """Write a file in the place of an older one."""
    path.unlink(missing_ok=True)
    write_inside(path, content.encode() if isinstance(content, str) else content)


def leads_outside(target: Target, path: Path) -> None:
    """Move a file or folder outside, and put a link to it in its place."""
    moved = target.outside / f"moved-{path.name}"
    path.rename(moved)
    path.symlink_to(moved)


def yaml_alias_bomb() -> str:
    """Return a YAML text of some lines that stands for 9**9 values."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines) + "\n"


def yaml_program(canary: Path) -> str:
    """Return a YAML text that runs a command when a loader is careless."""
    return f"name: !!python/object/apply:os.system ['touch {canary}']\n"
