"""Records what a command does to the files of a folder, in order: every write, sync, rename, creation and removal.

The command is traced with ``ptrace`` of Linux, so that what SQLite, TensorStore and HDF5 do in C is seen as well; nothing has
to be installed. Other systems have no such call, and some containers forbid it: :func:`can_trace` says so. Not seen is what is
written through memory maps: of our files that is only SQLite's ``-shm``, which is made anew after a crash.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

#: System calls that change files, by machine.
_NUMBERS = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 296: "pwritev", 328: "pwritev2", 2: "open", 85: "creat", 257: "openat",
        74: "fsync", 75: "fdatasync", 76: "truncate", 77: "ftruncate", 285: "fallocate", 82: "rename", 264: "renameat",
        316: "renameat2", 83: "mkdir", 258: "mkdirat", 84: "rmdir", 87: "unlink", 263: "unlinkat",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 66: "writev", 70: "pwritev", 287: "pwritev2", 56: "openat",
        82: "fsync", 83: "fdatasync", 45: "truncate", 46: "ftruncate", 47: "fallocate", 38: "renameat",
        276: "renameat2", 34: "mkdirat", 35: "unlinkat",
    },
}  # fmt: skip
_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
#: Trace new threads and processes too, stop at the calls that the filter names, mark stops at calls, and end with the tracer.
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x80 | 0x100000
_EVENT_SECCOMP = 7
_AT_REMOVEDIR = 0x200
_RENAME_SWAP = 2
_TRACED_STOP = signal.SIGTRAP | 0x80
_libc = ctypes.CDLL(None, use_errno=True)


class Change(StrEnum):
    """What a system call does to a file or folder."""

    #: A file was opened, and made if it was absent; ``size`` is 0 if it was emptied, else -1.
    OPEN = "open"
    #: Bytes were written at an offset.
    WRITE = "write"
    #: The length was set.
    RESIZE = "resize"
    #: A file, or the list of a folder, is on the disk.
    SYNC = "sync"
    #: A name became another one.
    RENAME = "rename"
    #: Two names were swapped.
    SWAP = "swap"
    #: A file was removed.
    UNLINK = "unlink"
    #: A folder was made.
    MKDIR = "mkdir"
    #: A folder was removed.
    RMDIR = "rmdir"


@dataclass(frozen=True, kw_only=True)
class FileEvent:
    """One change.

    Parameters
    ----------
    change : Change
        What was done.
    path : str
        To which file or folder, as an absolute path.
    to : str
        The other name of a rename.
    offset : int
        Where bytes were written.
    size : int
        The new length.
    content : bytes
        The bytes.
    """

    change: Change
    path: str
    to: str = ""
    offset: int = 0
    size: int = 0
    content: bytes = b""


def traced(command: Sequence[str], log: Path, folder: Path) -> list[str]:
    """Return the command line that runs a command and writes what it does inside a folder to a log file."""
    return [sys.executable, "-P", "-m", __spec__.name, str(log.absolute()), os.path.realpath(folder), *command]


def read_trace(log: Path) -> list[FileEvent]:
    """Return the changes in a log file, in order."""
    events = []
    for line in log.read_text("utf-8").splitlines():
        values = json.loads(line)
        values |= {"change": Change(values["change"]), "content": base64.b64decode(values["content"])}
        events.append(FileEvent(**values))
    return events


@cache
def can_trace() -> bool:
    """Whether this system lets us trace a child."""
    if sys.platform != "linux" or platform.machine() not in _NUMBERS:
        return False
    command = traced([sys.executable, "-c", ""], Path(os.devnull), Path("/nowhere"))
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class _SyscallInfo(ctypes.Structure):
    """``struct ptrace_syscall_info`` at the entry of a call, or at the stop that the filter asks for."""

    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("nr", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
        ("more", ctypes.c_uint64 * 4),
    ]


@dataclass
class _Call:
    """A call that a thread is in."""

    name: str
    args: tuple[int, ...]
    #: What can only be read before the call: paths, and bytes that are written.
    paths: tuple[str, ...]
    content: bytes


_WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
#: Calls that always do the same.
_PLAIN = {
    "fsync": Change.SYNC,
    "fdatasync": Change.SYNC,
    "mkdir": Change.MKDIR,
    "mkdirat": Change.MKDIR,
    "rmdir": Change.RMDIR,
    "unlink": Change.UNLINK,
    "unlinkat": Change.UNLINK,
}


class _Tracer:
    """Follows a process and all its threads and children."""

    def __init__(self, log: Path, folder: str) -> None:
        self._folder = folder
        self._inside: dict[int, _Call] = {}
        self._names = _NUMBERS[platform.machine()]
        self._log = log.open("w", encoding="utf-8")

    def run(self, first: int) -> int:
        """Follow until the first process ends; return its exit code."""
        code = 0
        started = False
        while True:
            try:
                thread, status = os.waitpid(-1, 0x40000000)  # __WALL: threads too
            except ChildProcessError:
                self._log.close()
                return code
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self._inside.pop(thread, None)
                if thread == first:
                    code = os.waitstatus_to_exitcode(status)
                continue
            stop, event = os.WSTOPSIG(status), status >> 16
            if not started:  # the stop at its own exec
                started = True
                _ptrace(_SETOPTIONS, thread, 0, _OPTIONS)
                _ptrace(_CONT, thread, 0, 0)
            elif stop == signal.SIGTRAP and event == _EVENT_SECCOMP:
                self._enter(thread)
                _ptrace(_SYSCALL, thread, 0, 0)
            elif stop == _TRACED_STOP:
                self._leave(thread)
            elif stop == signal.SIGTRAP or (stop == signal.SIGSTOP and event == 0):  # a new thread or child
                _ptrace(_CONT, thread, 0, 0)
            else:
                _ptrace(_CONT, thread, 0, stop)

    def _enter(self, thread: int) -> None:
        info = _info(thread)
        name, args = self._names[info.nr], tuple(int(value) for value in info.args)
        try:
            self._inside[thread] = _Call(name, args, *self._before(thread, name, args))
        except OSError:  # the thread has been killed meanwhile
            self._inside.pop(thread, None)

    def _before(self, thread: int, name: str, args: tuple[int, ...]) -> tuple[tuple[str, ...], bytes]:
        if name in _WRITES:
            path = _path_of(thread, args[0])
            if not self._watches(path):
                return (path,), b""
            whole = name in ("write", "pwrite64")
            return (path,), _memory(thread, args[1], args[2]) if whole else b"".join(_vectors(thread, args[1], args[2]))
        if name in ("fsync", "fdatasync", "ftruncate", "fallocate"):
            return (_path_of(thread, args[0]),), b""
        if name in ("open", "creat", "openat"):
            return (), b""
        if name == "rename":
            return (_named(thread, None, args[0]), _named(thread, None, args[1])), b""
        if name in ("renameat", "renameat2"):
            return (_named(thread, args[0], args[1]), _named(thread, args[2], args[3])), b""
        if name in ("mkdirat", "unlinkat"):
            return (_named(thread, args[0], args[1]),), b""
        return (_named(thread, None, args[0]),), b""

    def _leave(self, thread: int) -> None:
        # The stop before the call has come already as that of the filter; so this is the one after it.
        call = self._inside.pop(thread, None)
        info = _info(thread)
        value = ctypes.c_int64(info.nr).value  # after a call, its result lies where its number was
        if info.op == 2 and call is not None and value >= 0:
            event = self._after(thread, call, value)
            if event is not None and (self._watches(event.path) or self._watches(event.to)):
                values = {**asdict(event), "content": base64.b64encode(event.content).decode()}
                self._log.write(json.dumps(values) + "\n")
        _ptrace(_CONT, thread, 0, 0)

    def _after(self, thread: int, call: _Call, value: int) -> FileEvent | None:
        """Return what a call has done; None if it has changed nothing."""
        if call.name in ("open", "creat", "openat"):
            return _opened(thread, call, value)
        path = call.paths[0]
        if call.name in _WRITES:
            if not self._watches(path):
                return None
            offset = _position(thread, call.args[0]) - value if call.name in ("write", "writev") else call.args[3]
            return FileEvent(change=Change.WRITE, path=path, offset=offset, content=call.content[:value])
        if call.name in ("truncate", "ftruncate", "fallocate"):
            size = _size_of(thread, call.args[0]) if call.name == "fallocate" else call.args[1]
            return FileEvent(change=Change.RESIZE, path=path, size=size)
        if call.name.startswith("rename"):
            swapped = call.name == "renameat2" and call.args[4] & _RENAME_SWAP
            return FileEvent(change=Change.SWAP if swapped else Change.RENAME, path=path, to=call.paths[1])
        removes_folder = call.name == "unlinkat" and call.args[2] & _AT_REMOVEDIR
        return FileEvent(change=Change.RMDIR if removes_folder else _PLAIN[call.name], path=path)

    def _watches(self, path: str) -> bool:
        return path == self._folder or path.startswith(f"{self._folder}/")


def _opened(thread: int, call: _Call, descriptor: int) -> FileEvent | None:
    """Return what opening a file has changed."""
    if call.name == "creat":
        return FileEvent(change=Change.OPEN, path=_path_of(thread, descriptor))
    flags = call.args[2 if call.name == "openat" else 1]
    if not flags & (os.O_CREAT | os.O_TRUNC):
        return None
    return FileEvent(change=Change.OPEN, path=_path_of(thread, descriptor), size=0 if flags & os.O_TRUNC else -1)


def _ptrace(request: int, pid: int, address: Any, data: Any) -> int:
    return int(_libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address), ctypes.c_void_p(data)))


def _info(thread: int) -> _SyscallInfo:
    info = _SyscallInfo()
    _ptrace(_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
    return info


def _memory(thread: int, address: int, size: int) -> bytes:
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - no file of ours
        memory.seek(address)
        parts = []
        while size > 0 and (part := memory.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def _vectors(thread: int, address: int, count: int) -> Iterator[bytes]:
    for base, size in struct.iter_unpack("QQ", _memory(thread, address, 16 * count)):
        yield _memory(thread, base, size)


def _text(thread: int, address: int) -> str:
    # A path ends with a zero byte; what lies behind its page may be unreadable.
    page = 4096 - address % 4096
    content = _memory(thread, address, page)
    if b"\0" not in content:
        content += _memory(thread, address + page, 4096)
    return os.fsdecode(content.partition(b"\0")[0])


def _path_of(thread: int, descriptor: int) -> str:
    return str(Path(f"/proc/{thread}/fd/{ctypes.c_int32(descriptor & 0xFFFFFFFF).value}").readlink())


def _size_of(thread: int, descriptor: int) -> int:
    return Path(f"/proc/{thread}/fd/{descriptor}").stat().st_size


def _position(thread: int, descriptor: int) -> int:
    for line in Path(f"/proc/{thread}/fdinfo/{descriptor}").read_text("ascii").splitlines():
        if line.startswith("pos:"):
            return int(line.split()[1])
    return 0


def _named(thread: int, folder: int | None, address: int) -> str:
    """Return the absolute path that a call names, relative to a folder's descriptor or to the working folder."""
    name = _text(thread, address)
    at_cwd = folder is None or ctypes.c_int32(folder & 0xFFFFFFFF).value == -100  # AT_FDCWD
    base = str(Path(f"/proc/{thread}/cwd").readlink()) if at_cwd or folder is None else _path_of(thread, folder)
    parent, last = os.path.split(os.path.normpath(os.path.join(base, name)))  # noqa: PTH118 - the names of another process
    return os.path.join(os.path.realpath(parent), last)  # noqa: PTH118


def _filter(numbers: Sequence[int]) -> bytes:
    """Return a program for the kernel: stop at these calls, let all others pass."""
    program = [(0x20, 0, 0, 0)]  # load the number of the call
    for index, number in enumerate(numbers):
        program.append((0x15, len(numbers) - index, 0, number))  # if it is this one, jump to the stop
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FF00000)]  # pass, stop
    return b"".join(struct.pack("HBBI", *step) for step in program)


def _become(command: Sequence[str]) -> None:
    """Be the traced process: ask for the trace, and become the command."""
    program = _filter(sorted(_NUMBERS[platform.machine()]))
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _ptrace(_TRACEME, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)  # until the tracer has set its options
    for call in ((38, 1, 0, 0, 0), (22, 2, ctypes.create_string_buffer(header), 0, 0)):  # no new rights; the filter
        if _libc.prctl(*call):
            os._exit(126)
    os.execv(command[0], list(command))


def _main(log: str, folder: str, *command: str) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _become(command)
        finally:
            os._exit(127)
    return _Tracer(Path(log), folder).run(pid)


if __name__ == "__main__":
    raise SystemExit(_main(*sys.argv[1:]))
