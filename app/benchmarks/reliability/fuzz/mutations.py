"""A seeded mutator: the same seed makes the same damage of the same file.

Besides plain damage of bytes it knows the formats, because a decoder refuses most damage by a check sum before it looks at what
the file says. So changed PNG chunks and members of ``.npz`` get a check sum that is right.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from app.benchmarks.reliability.fuzz.values import STRANGE, changed_json, changed_yaml, doubled_line

_PNG = b"\x89PNG\r\n\x1a\n"
_NPY = b"\x93NUMPY"
_INTERESTING = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_DIGITS = re.compile(rb"\d{1,20}")
_SIZES = (1, 2, 4, 8)
_DTYPES = ("<f4", ">f8", "|O", "<U9999", "<c8", "<M8[s]", "|V16", "|b1", "<i8", "|S0", "bogus", "<f16", "", "|u1")
_SHAPES = (
    "()",
    "(0,)",
    "(-1,)",
    "(1,)",
    "(2, 3)",
    "(0, 0, 0)",
    "(1000000, 1000000)",
    "(1, 1, 1, 1)",
    "(4611686018427387904, 4)",
)


def damage(folder: Path, random: Random, patterns: Sequence[str]) -> None:
    """Damage one or two files of a sample.

    Parameters
    ----------
    folder : Path
        A copy of a sample: a folder, or a single file.
    random : Random
        Decides what is damaged and how.
    patterns : sequence of str
        Which files of a folder: glob patterns, of which each is chosen as often as the others.
    """
    for _ in range(random.choice((1, 1, 1, 2))):
        file = _chosen(folder, random, patterns)
        if file is None:
            return
        if folder.is_dir() and random.random() < 0.04:
            _change_entry(file, folder, random)
        elif not (_is_sqlite(file) and random.random() < 0.7 and _change_journal(file, random)):
            _store(file, changed(file.read_bytes(), file.name, random))


def changed(data: bytes, name: str, random: Random) -> bytes:
    """Return a changed copy of a file's content; its name tells the format."""
    change = next((change for suffix, change in _BY_SUFFIX.items() if name.endswith(suffix)), None)
    if change is not None and random.random() < 0.75:
        content = change(data, random)
        if content != data:
            return content
    return changed_bytes(data, random)


def changed_bytes(data: bytes, random: Random) -> bytes:
    """Return bytes in which one to four places are changed."""
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(_BYTE_CHANGES)(data, _place(data, random), random)
    return data


def _place(data: bytes, random: Random) -> int:
    """Return a position; headers are hit more often than what follows."""
    end = len(data) if random.random() < 0.5 else min(len(data), 512)
    return random.randrange(end) if end else 0


def _flip_bit(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :] if data else data


def _flip_bits(data: bytes, at: int, random: Random) -> bytes:
    for _ in range(random.randrange(1, 16)):
        data = _flip_bit(data, _place(data, random), random)
    return data


def _truncate(data: bytes, at: int, random: Random) -> bytes:
    return data[: random.choice((at, 0, len(data) - 1, random.randrange(len(data) + 1)))]


def _delete(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + data[at + random.randrange(1, 65) :]


def _repeat(data: bytes, at: int, random: Random) -> bytes:
    piece = data[at : at + random.randrange(1, 257)]
    return data[:at] + piece * random.choice((2, 2, 3, 40)) + data[at + len(piece) :]


def _insert(data: bytes, at: int, random: Random) -> bytes:
    return data[:at] + random.randbytes(random.randrange(1, 33)) + data[at:]


def _overwrite(data: bytes, at: int, random: Random) -> bytes:
    length = random.randrange(1, 65)
    return data[:at] + random.choice((b"\0", b"\xff", b"A")) * min(length, len(data) - at) + data[at + length :]


def _integer(data: bytes, at: int, random: Random) -> bytes:
    size = random.choice(_SIZES)
    number = random.choice(_INTERESTING) & (1 << 8 * size) - 1
    return data[:at] + number.to_bytes(size, random.choice(("little", "big"))) + data[at + size :]


def _swap(data: bytes, at: int, random: Random) -> bytes:
    other, size = _place(data, random), random.choice((1, 2, 4, 8, 16, 64))
    first, second = sorted((at, other))
    if first + size > second:
        return data
    one, two = data[first : first + size], data[second : second + size]
    return data[:first] + two + data[first + size : second] + one + data[second + size :]


def _digits(data: bytes, at: int, random: Random) -> bytes:
    """Change a number that is written as text, without changing the length: headers may state it."""
    match = _DIGITS.search(data, at) or _DIGITS.search(data)
    if match is None:
        return data
    length = len(match[0])
    number = random.choice((b"9" * length, b"0" * length, b"-9".ljust(length, b"9")[:length], b"nan".ljust(length)[:length]))
    return data[: match.start()] + number + data[match.end() :]


_BYTE_CHANGES: tuple[Callable[[bytes, int, Random], bytes], ...] = (
    _flip_bit, _flip_bit, _flip_bits, _truncate, _delete, _repeat, _insert, _overwrite, _integer, _integer, _integer, _swap,
    _digits, _digits,
)  # fmt: skip


def _change_text(change: Callable[[str, Random], str]) -> Callable[[bytes, Random], bytes]:
    def changed_text(data: bytes, random: Random) -> bytes:
        text = change(data.decode("utf-8", "replace"), random)
        return text.encode("utf-8", "surrogatepass")

    return changed_text


def _change_lines(text: str, random: Random) -> str:
    """Change one line of JSON, or any line of another text."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at = random.randrange(len(lines))
    if lines[at].startswith("{"):
        lines[at] = changed_json(lines[at], random) + "\n"
        return "".join(lines)
    parts = lines[at].split() or [""]
    parts[random.randrange(len(parts))] = str(random.choice(STRANGE))
    lines[at] = " ".join(parts) + "\n"
    return random.choice((doubled_line("".join(lines), random), "".join(lines)))


def _change_npy(data: bytes, random: Random) -> bytes:
    """Change dtype, order or shape in the header of an array."""
    if not data.startswith(_NPY) or len(data) < 12:
        return changed_bytes(data, random)
    long_length = data[6] >= 2
    start = 12 if long_length else 10
    end = start + int.from_bytes(data[8:start], "little")
    header = data[start:end].decode("latin1")
    change = random.randrange(5)
    if change == 0:
        header = re.sub(r"'descr': [^,]+", f"'descr': '{random.choice(_DTYPES)}'", header)
    elif change == 1:
        header = header.replace("False", random.choice(("True", "None", "1")))
    elif change == 2:
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {random.choice(_SHAPES)}", header)
    elif change == 3:
        values = random.choice(("nan", "inf", "-inf", "0.0", "-1.0", "1e30"))
        descr = re.search(r"'descr': '<f([48])'", header)
        if descr:
            packed = struct.pack("<f" if descr[1] == "4" else "<d", float(values))
            at = end + len(packed) * random.randrange(max(1, (len(data) - end) // len(packed)))
            return data[:at] + packed + data[at + len(packed) :]
    else:
        header = changed_bytes(header.encode("latin1"), random).decode("latin1")
    raw = header.encode("latin1")
    return data[:8] + len(raw).to_bytes(start - 8, "little") + raw + data[end:]


def _change_npz(data: bytes, random: Random) -> bytes:
    """Change, rename, drop or repeat a member; the check sums are right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = [(info.filename, file.read(info)) for info in file.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, OSError, EOFError, ValueError):
        return changed_bytes(data, random)
    at = random.randrange(len(members)) if members else 0
    name, content = members.pop(at) if members else ("speckle.npy", b"")
    kept = random.choice((*(((name, _change_npy(content, random)),) for _ in range(4)), ((f"x{name}", content),), ()))
    members[at:at] = kept
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
        for member, member_content in members:
            file.writestr(member, member_content)
    return target.getvalue()


def _change_png(data: bytes, random: Random) -> bytes:
    """Change a chunk of a PNG file; its check sum is right again."""
    if not data.startswith(_PNG):
        return changed_bytes(data, random)
    chunks, at = [], len(_PNG)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    number = random.randrange(len(chunks))
    kind, content = chunks.pop(number)
    chunks[number:number] = random.choice((((kind, changed_bytes(content, random)),), ((kind, content),) * 2, ()))
    parts = [len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big") for name, body in chunks]
    return _PNG + b"".join(parts)


def _change_safetensors(data: bytes, random: Random) -> bytes:
    """Change the values of the header; its length is right again."""
    end = 8 + int.from_bytes(data[:8], "little")
    if end > len(data):
        return changed_bytes(data, random)
    text = data[8:end].decode("utf-8", "replace")
    header = changed_json(text, random).encode("utf-8", "surrogatepass")
    if random.random() < 0.3:  # what our own checkpoints hold as text inside of the header
        header = _with_changed_metadata(text, random)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _with_changed_metadata(text: str, random: Random) -> bytes:
    try:
        content = json.loads(text)
        metadata = content["__metadata__"]
        content["__metadata__"] = {key: changed_json(value, random) for key, value in metadata.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return changed_json(text, random).encode("utf-8", "surrogatepass")
    return json.dumps(content).encode()


_BY_SUFFIX: dict[str, Callable[[bytes, Random], bytes]] = {
    ".yaml": _change_text(changed_yaml),
    ".json": _change_text(changed_json),
    ".jsonl": _change_text(_change_lines),
    ".txt": _change_text(_change_lines),
    ".flist": _change_text(_change_lines),
    ".npy": _change_npy,
    ".npz": _change_npz,
    ".png": _change_png,
    ".safetensors": _change_safetensors,
}


def _chosen(folder: Path, random: Random, patterns: Sequence[str]) -> Path | None:
    if not folder.is_dir():
        return folder
    by_pattern = [sorted(file for file in folder.glob(pattern) if file.is_file()) for pattern in patterns]
    files = [files for files in by_pattern if files]
    return random.choice(random.choice(files)) if files else None


def _change_entry(file: Path, folder: Path, random: Random) -> None:
    """Remove a file, empty it, put a folder in its place, or the content of another file."""
    other = random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    content = other.read_bytes()
    file.unlink()
    change = random.randrange(4)
    if change == 1:
        file.touch()
    elif change == 2:
        file.mkdir()
    elif change == 3:
        _store(file, content)


def _store(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _is_sqlite(file: Path) -> bool:
    return file.suffix == ".sqlite"


def _change_journal(file: Path, random: Random) -> bool:
    """Change the content of a database by SQL, as a program from elsewhere may have written it; whether this worked."""
    before = file.read_bytes()
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for _ in range(random.choice((1, 1, 2))):
                connection.execute(*_statement(connection, random))
        return True
    except (sqlite3.Error, OverflowError, UnicodeEncodeError, IndexError):  # the last: it has no tables any more
        _store(file, before)
        for more in ("-wal", "-shm", "-journal"):
            file.with_name(file.name + more).unlink(missing_ok=True)
        return False


def _statement(connection: sqlite3.Connection, random: Random) -> tuple[str, tuple[object, ...]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    table = random.choice(tables)
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    column = random.choice(columns)
    plain = [value for value in STRANGE if isinstance(value, str | int | float | None)]
    value = random.choice((*plain, b"\xff\0", random.getrandbits(31), random.getrandbits(62)))
    count = random.choice((1, 1, 10**6))
    where = f"{columns[0]} IN (SELECT {columns[0]} FROM {table} LIMIT {count} OFFSET {random.randrange(4)})"
    return random.choice(
        (
            *((f"UPDATE {table} SET {column} = ? WHERE {where}", (value,)),) * 8,
            (f"DELETE FROM {table} WHERE {where}", ()),
            (f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}_x", ()),
            (f"ALTER TABLE {table} ADD COLUMN crc32_x INTEGER", ()),
            (f"DROP TABLE {table}", ()),
            (f"PRAGMA user_version = {random.choice((0, 1, 2, 3, 99, -1))}", ()),
            (f"PRAGMA application_id = {random.getrandbits(30)}", ()),
            (f"CREATE TABLE {random.choice(('more', 'rows_2', 'status'))} (a, b)", ()),
        )
    )


def copy_sample(sample: Path, target: Path) -> Path:
    """Copy a sample, a file or a folder, and return where the copy is."""
    if sample.is_dir():
        shutil.copytree(sample, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sample, target)
    return target
