"""How long a search among the entries of a large archive takes, and a look through it: measured on small real recordings."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from acquisition.archive.atomic_files import write_inside
from acquisition.archive.journal.writer import Journal
from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import JOURNAL
from acquisition.archive.shards import Image
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.library.library import Library
from app.library.notes import NOTES
from app.progress import Report
from drivers.safe_text import dump_yaml

ENTRIES, QUICK_ENTRIES = 2000, 100
_SEARCHES = 400
_SIDE_PX, _FRAMES = 16, 3
#: The date of the newest entry.
_NEWEST = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
_SUBJECTS = ("liver", "kidney", "phantom", "left", "right", "control", "biopsy", "series", "warm", "cold", "flat", "moving")
_TAGS = ("paper", "repeat", "bad light", "teaching", "to check")
_MODELS = ("default-twin", "bench-july", "bench-august")
#: What an operator types, letter by letter.
_TYPED = ("liver", "kidney starred", "2026-03", "phantom -left", "#paper", "bench-july cold", "nothing of this name", "dataset")


def measure_search(report: Report, folder: Path, *, quick: bool = False) -> Mapping[str, object]:
    """Make an archive in ``folder``, look through it twice, and search in it as somebody types.

    Returns
    -------
    mapping
        ``search_ms_p50``, ``search_ms_p99`` and ``search_ms_max`` for one search, ``search_entries``, ``search_scan_s`` for the
        first look, ``search_rescan_s`` for one when nothing has changed, and ``search_load_s`` for the list of the last look.
    """
    root, cache_file = folder / "archive", folder / "cache.json"
    count = QUICK_ENTRIES if quick else ENTRIES
    make_archive(root, count, lambda done: report("search: archive", done, count))
    times_s = {}
    library = Library(root, cache_file)
    for name in ("scan", "rescan"):
        start = time.perf_counter()
        library.scan(lambda done, total: report("search: look", done, total))
        times_s[f"search_{name}_s"] = time.perf_counter() - start
    start = time.perf_counter()
    entries = Library(root, cache_file).load()
    times_s["search_load_s"] = time.perf_counter() - start
    times_ms = [_search_ms(library, typed) for typed in _typed()]
    return {
        **times_s,
        "search_entries": len(entries),
        "search_ms_p50": float(np.percentile(times_ms, 50)),
        "search_ms_p99": float(np.percentile(times_ms, 99)),
        "search_ms_max": max(times_ms),
    }


def _search_ms(library: Library, typed: str) -> float:
    start = time.perf_counter()
    library.search(typed)
    return (time.perf_counter() - start) * 1e3


def _typed() -> list[str]:
    """Return what is in the field of the search after each letter."""
    prefixes = [typed[: length + 1] for typed in _TYPED for length in range(len(typed))]
    return [prefixes[number % len(prefixes)] for number in range(_SEARCHES)]


def make_archive(root: Path, count: int, progress: Callable[[int], None] = lambda done: None) -> None:
    """Make an archive of small recordings and datasets that are real: each opens, and each has its own name, date and notes.

    They are copies of one recording and one dataset, which are changed in memory where there is such a folder: syncing each
    file to the disk would take minutes.
    """
    root.mkdir(parents=True)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as drafts:
        templates = {kind: _template(Path(drafts), kind) for kind in ArchiveKind}
        chosen = random.Random(21)
        for number in range(count):
            kind = ArchiveKind.DATASET if number % 10 == 0 else ArchiveKind.RECORDING
            _copy(templates[kind], root, number, chosen)
            progress(number + 1)


def _copy(template: Path, root: Path, number: int, chosen: random.Random) -> None:
    """Copy a template with another name, date and note; it is as old as its date."""
    name, date = f"{chosen.choice(_SUBJECTS)} {chosen.choice(_SUBJECTS)} {number}", _NEWEST - timedelta(hours=3 * number)
    kind = template.name.split("_")[1]
    path = root / f"{date.astimezone():%Y%m%d-%H%M%S}_{kind}_{name.replace(' ', '-')}_{number:08x}"
    with Journal.open(template / JOURNAL) as journal:
        journal.set_status({"name": name, "created_utc": date.isoformat()})
    shutil.copytree(template, path)
    if number % 3 == 0:
        content = {"text": f"{chosen.choice(_SUBJECTS)} of patient {number}", "tags": [chosen.choice(_TAGS)]}
        write_inside(path / NOTES, dump_yaml({**content, "star": number % 7 == 0}).encode())
    for changed in (*path.iterdir(), path):
        os.utime(changed, (date.timestamp(), date.timestamp()))


def _template(folder: Path, kind: ArchiveKind) -> Path:
    shape = (_SIDE_PX, _SIDE_PX)
    arrays = [ArraySpec("speckle", shape, "uint8"), ArraySpec("phase", shape, "float32")]
    metadata = {"instrument": "bench 2", "fibre": "fibre A", "model": _MODELS[1], "model_id": "0123456789ab"}
    spec = ArchiveSpec(kind=kind, name="template", arrays=arrays, metadata=metadata)
    with ArchiveWriter.create(folder, spec, _FRAMES) as writer:
        for number in range(_FRAMES):
            images: dict[str, Image] = {
                "speckle": np.full(shape, number, np.uint8),
                "phase": np.full(shape, number, np.float32),
            }
            writer.append(images, PairRow(frame_index=number, t_ns=number * 10**8, exposure_s=0.002, model_id="0123456789ab"))
        writer.complete()
        return writer.path
