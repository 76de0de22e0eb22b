"""Files are written by ``acquisition/archive/atomic_files.py``, completely or not at all, as the syntax tree shows.

What writes a file in another way is listed here with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("specklescope", "app", "reconstruction", "calibration", "acquisition", "drivers")
WRITER = "acquisition/archive/atomic_files.py"
#: Methods and functions that write a file in one go, whatever object they belong to.
WRITING = {
    "imwrite",
    "write_text",
    "write_bytes",
    "savez",
    "savez_compressed",
    "save_file",
    "savefig",
    "tofile",
    "safe_dump_to",
}
#: Functions of a library that write to a path: only an object in memory may be their target.
OF_LIBRARY = {("np", "save"), ("torch", "save"), ("json", "dump"), ("tifffile", "imwrite")}
#: What opens a file, or a container that is written piece by piece.
OPENING = {"open", "fdopen", "ZipFile", "File"}
#: Containers that are only ever opened to be written.
ALWAYS = {"TiffWriter", "VideoWriter"}
#: Modes that write; a mode that is computed counts as one.
MODES = {base + more for base in ("w", "x", "a", "r+") for more in ("", "b", "t", "+", "b+")} | {"rb+", "mode"}

#: File, function and call that may write by themselves, and why.
EXCEPTIONS = {
    ("acquisition/archive/sealing/shard_file.py", "write_shard_file", "open"): "inside moved_when_complete",
    ("acquisition/archive/results/result_writer.py", "open_files", "open"): "image by image, inside moved_when_complete",
    ("acquisition/exchange/export_arrays.py", "write_npz", "ZipFile"): "image by image, inside moved_when_complete",
    ("acquisition/exchange/export_arrays.py", "write_npz", "open"): "its members",
    ("acquisition/exchange/hdf5_skeleton.py", "hdf5_skeleton", "File"): "in memory",
    ("acquisition/exchange/hdf5_skeleton.py", "write_to", "open"): "inside moved_when_complete",
    ("acquisition/exchange/export_arrays.py", "_write_matlab73", "open"): "the header of that file",
    ("acquisition/exchange/export_arrays.py", "_fill", "open"): "the images of that file",
    ("acquisition/exchange/export_images.py", "write_ome_tiff", "TiffWriter"): "image by image, inside moved_when_complete",
    ("acquisition/exchange/export_images.py", "_write_ome_sha256", "open"): "the check sum in that file",
    ("acquisition/exchange/export_video.py", "_write_video", "open"): "frame by frame, inside moved_when_complete",
    ("acquisition/exchange/formats/matlab5.py", "write_matlab5", "open"): "inside moved_when_complete",
    ("acquisition/exchange/formats/video_clock.py", "set_matroska_clock", "open"): "the clock in that file",
    ("reconstruction/training/run.py", "begin", "open"): "curves grow line by line; a checkpoint cuts them",
    ("reconstruction/data/pool_folder.py", "pool_folder", "open"): "a lock, empty, in the folder for temporary files",
    ("reconstruction/data/simulation.py", "_create", "open"): "simulated pairs, in the folder for temporary files",
    (
        "reconstruction/data/reader_benchmark.py",
        "_raw_copy",
        "open",
    ): "a copy to compare with, in the folder for temporary files",
    ("reconstruction/data/reader_benchmark.py", "_raw_copy", "tofile"): "the frames of that copy",
    ("reconstruction/engines/tensorrt/build.py", "run_plan", "write_bytes"): "passed to a child in a temporary folder",
    ("reconstruction/engines/tensorrt/build.py", "run_plan", "savez"): "passed to a child in a temporary folder",
    ("reconstruction/engines/tensorrt/worker.py", "_build", "write_bytes"): "passed to the parent in a temporary folder",
    ("reconstruction/engines/tensorrt/worker.py", "_run", "write_bytes"): "passed to the parent in a temporary folder",
    ("app/benchmarks/acquisition.py", "__call__", "open"): "a log of injected faults that grows line by line",
    ("app/benchmarks/writer_speed.py", "_write_plain", "open"): "the plain files that the recorder is compared with",
    ("app/benchmarks/reliability/children.py", "started", "open"): "the output of a child, which grows line by line",
    ("app/benchmarks/reliability/disks/small_disk.py", "_fill", "open"): "what fills a disk on purpose",
    ("app/benchmarks/reliability/power/disk_states.py", "write_content", "write_bytes"): "a disk after a power cut",
    ("app/benchmarks/reliability/power/file_trace.py", "__init__", "open"): "a trace, which grows line by line",
    ("app/benchmarks/reliability/fuzz/mutations.py", "_store", "write_bytes"): "a damaged copy of a sample, thousands of times",
    ("app/benchmarks/reliability/fuzz/mutations.py", "_change_npz", "ZipFile"): "in memory",
    ("app/diagnostics/report.py", "write_report", "ZipFile"): "in memory",
    ("app/playback/cell_files.py", "_regions", "ZipFile"): "in memory",
    ("app/library/transfer.py", "_copy_file", "open"): "in a hidden folder that is renamed when all is verified",
    ("app/benchmarks/reliability/fuzz/worker.py", "_private_stdout", "fdopen"): "the pipe to the parent",
    ("app/benchmarks/reliability/fuzz/workers.py", "_start", "open"): "the output of a child, which grows line by line",
    ("app/benchmarks/reliability/flips.py", "_damage", "write_bytes"): "damage to the copy of a sample",
    ("app/benchmarks/reliability/hostile/__main__.py", "serve", "fdopen"): "the answers to the parent process",
    ("app/benchmarks/reliability/hostile/files.py", "spoil", "File"): "a hostile file, in memory",
    ("app/benchmarks/reliability/hostile/files.py", "_write_zip", "ZipFile"): "a hostile file, in memory",
    ("app/cli/unexpected.py", "_write", "write_text"): "a new log of an unforeseen error; part of it is better than nothing",
    ("app/training/process.py", "__init__", "fdopen"): "the output of a child, which grows line by line",
    ("drivers/basler/emulator.py", "_feed", "write_bytes"): "a frame passed to pylon in a temporary folder",
    ("drivers/testing/videos.py", "write_video", "open"): "a test's file",
    ("drivers/testing/slmpy_checkout.py", "write_checkout", "write_text"): "a test's files",
}


def opens_to_write(call: ast.Call) -> bool:
    """Whether a call that opens a file names a mode that writes: ``open(path, mode)``, or ``path.open(mode)``."""
    modes = [word.value for word in call.keywords if word.arg == "mode"]
    modes += call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:2]
    return any(getattr(mode, "value", getattr(mode, "id", "")) in MODES for mode in modes)


def writes(call: ast.Call, memory: frozenset[str]) -> str:
    """The name of the function if a call writes a file, otherwise an empty text; ``memory`` are names of objects in memory."""
    target = call.func
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    library = getattr(target.value, "id", "") if isinstance(target, ast.Attribute) else ""
    if name in ALWAYS or (name in OPENING and opens_to_write(call)):
        return name
    if not isinstance(target, ast.Attribute) or (call.args and getattr(call.args[0], "id", "") in memory):
        return ""
    return name if name in WRITING or (library, name) in OF_LIBRARY else ""


def in_memory_names(tree: ast.AST) -> set[str]:
    """Names that a function gives to ``io.BytesIO()`` or ``io.StringIO()``."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if ast.unparse(node.value.func) in ("io.BytesIO", "io.StringIO", "BytesIO")
        if not node.value.args
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def written_in(tree: ast.AST, function: str = "", memory: frozenset[str] = frozenset()) -> Iterator[tuple[int, str, str]]:
    """Yield line, innermost function, and call of everything that writes a file."""
    for node in ast.iter_child_nodes(tree):
        inside, names = function, memory
        if isinstance(node, ast.FunctionDef):
            inside, names = node.name, frozenset(in_memory_names(node))
        if isinstance(node, ast.Call) and (call := writes(node, names)):
            yield node.lineno, inside, call
        yield from written_in(node, inside, names)


@cache
def writes_of_the_program() -> list[tuple[str, int, str, str]]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 200
    return [
        (path.relative_to(ROOT).as_posix(), *place)
        for path in files
        if path != ROOT / WRITER
        for place in written_in(ast.parse(path.read_text("utf-8")))
    ]


def test_every_file_is_written_by_the_atomic_writer() -> None:
    others = [
        f"{file}:{line}: {name} in {function}"
        for file, line, function, name in writes_of_the_program()
        if (file, function, name) not in EXCEPTIONS
    ]
    assert not others, f"use a function of {WRITER}:\n" + "\n".join(others)


def test_every_exception_is_needed() -> None:
    places = {(file, function, name) for file, _, function, name in writes_of_the_program()}
    assert EXCEPTIONS.keys() <= places, f"not in the program any more: {EXCEPTIONS.keys() - places}"


@pytest.mark.parametrize(
    "line",
    [
        'cv2.imwrite("a.png", image)',
        "np.save(path, array)",
        "np.savez_compressed(path, a=array)",
        'path.write_text("x")',
        '(folder / "a").write_bytes(content)',
        'open(path, "w")',
        'open(path, mode="xb")',
        'path.open("a", encoding="utf-8")',
        'path.open("r+b")',
        "path.open(mode)",
        'io.open(path, "wb")',
        "json.dump(values, file)",
        "safetensors.torch.save_file(state, path)",
        "tifffile.imwrite(path, image)",
        'h5py.File(path, "w")',
        "def f():\n    content = io.BytesIO()\n    np.save(path, content)",
    ],
)
def test_the_test_sees_what_it_should(line: str) -> None:
    assert list(written_in(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "write_bytes(path, content, remedy)",
        "write_image(path, image, remedy)",
        "def f():\n    content = io.BytesIO()\n    np.save(content, array)",
        "open(path)",
        'path.open("rb")',
        'h5py.File(path, "r")',
        "Archive.open(path)",
        'file.open(f"{name}.npy")',
        "webbrowser.open(address)",
    ],
)
def test_the_test_leaves_the_rest(line: str) -> None:
    assert not list(written_in(ast.parse(line)))
