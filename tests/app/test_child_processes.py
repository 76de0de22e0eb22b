"""The program and all its child processes import nothing from the working folder, whatever lies there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.instrument.config import to_yaml
from tests.conftest import ROOT
from tests.helpers.small_instrument import small_instrument

#: Our rooms, the standard library, what the program imports, what multiprocessing imports first, and what Python looks for.
FOLDERS = ("app", "drivers", "acquisition", "calibration", "reconstruction", "specklescope", "multiprocessing", "encodings")
FILES = (
    *("json", "struct", "signal", "pickle", "threading", "queue", "tempfile", "random", "hashlib", "ctypes", "secrets"),
    *("torch", "numpy", "scipy", "yaml", "cv2", "h5py", "tifffile", "av", "pydantic", "cyclopts", "rich", "safetensors"),
    *("tensorstore", "onnxruntime", "openvino", "matplotlib", "sitecustomize", "usercustomize", "conftest", "sqlite3"),
)
NETWORK = ("--set", "grid_px=32", "--set", "multipliers=1,2,4", "--front-end", "fold", "--base-channels", 4)
DATA = ("--source", "cells", "--pairs", 64, "--batch", 4)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working folder with an instrument file, and modules that leave the file ``imported`` behind when they are imported."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "small.yaml").write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    code = (
        f"open({str(tmp_path / 'imported')!r}, 'a').write(__name__ + ' ')\nraise SystemExit('a module of the working folder')\n"
    )
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(code)
    for name in FILES:
        (folder / f"{name}.py").write_text(code)
    return folder


def run(folder: Path, *arguments: object, by: tuple[str, ...] = ()) -> None:
    """Run the command as pip installs it: its script lies elsewhere, and Python does not get ``-P``; ``by`` may start it."""
    script = folder.parent / "bin" / "specklescope"
    script.parent.mkdir(exist_ok=True)
    script.write_text("from specklescope.__main__ import main\n\nif __name__ == '__main__':\n    main()\n")
    start(folder, *(by or (sys.executable,)), script, *arguments)


def start(folder: Path, *command: object) -> None:
    """Run a command line in a folder; it has to succeed and to import nothing from there."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(ROOT), "SPECKLESCOPE_CACHE": str(folder.parent / "cache"), "COLUMNS": "200"}
    arguments = list(map(str, command))
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False)
    imported = folder.parent / "imported"
    assert not imported.exists(), f"imported from the working folder: {imported.read_text()}"
    assert done.returncode == 0, done.stderr


def test_a_process_of_multiprocessing_ignores_the_working_folder(hostile: Path) -> None:
    """The quick check: a child starts as the program's own children do, without the program's imports."""
    script = hostile.parent / "parent.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "from app.child_processes import keep_working_folder_off_path\n"
        "if __name__ == '__main__':\n"
        "    if sys.argv[1:]:\n"
        "        keep_working_folder_off_path()\n"
        "    child = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    child.start()\n"
        "    child.join()\n"
        "    raise SystemExit(child.exitcode)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"} | {"PYTHONPATH": str(ROOT)}

    def code(*arguments: str) -> int:
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, cwd=hostile, env=environment, capture_output=True, timeout=60, check=False).returncode

    assert code("protected") == 0
    assert not (hostile.parent / "imported").exists()
    code()
    assert (hostile.parent / "imported").exists(), "without the protection, the folder is hostile indeed"


@pytest.mark.slow
def test_acquisition_and_export_import_nothing_from_the_working_folder(hostile: Path) -> None:
    run(hostile, "acquire", "cells", "--pairs", 6, "--config", "small.yaml")
    [dataset] = [path.parent for path in hostile.parent.rglob("journal.sqlite")]
    assert len(Archive.open(dataset)) == 8
    run(hostile, "export", dataset, "--out", "exported", "--format", "ffv1", "npz", "hdf5")


@pytest.mark.slow
def test_training_imports_nothing_from_the_working_folder(hostile: Path) -> None:
    run(hostile, "train", "model", *NETWORK, *DATA, "--steps", 1, "--config", "small.yaml")


@pytest.mark.slow
@pytest.mark.timeout(400)  # compiling for every engine takes more than a minute
@pytest.mark.parametrize("arguments", [("doctor",), ("record", "one", "--seconds", 1), ("compile", "../small-model")])
def test_other_commands_import_nothing_from_the_working_folder(arguments: tuple[object, ...], hostile: Path) -> None:
    run(hostile, *arguments, "--config", "small.yaml")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_trainings_of_torchrun_import_nothing_from_the_working_folder(hostile: Path) -> None:
    torchrun = Path(sys.executable).with_name("torchrun")
    arguments = ("train", "model", *NETWORK, *DATA, "--steps", 2, "--config", "small.yaml")
    run(hostile, *arguments, by=(str(torchrun), "--nproc-per-node", "2"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_spawned_workers_of_a_data_loader_import_nothing_from_the_working_folder(hostile: Path) -> None:
    """A script of somebody's own, started with ``-P`` as the documentation says; its resource tracker is a process too."""
    arrays = (ArraySpec("speckle", (4, 4), "uint8"), ArraySpec("phase", (4, 4), "float32"))
    spec = ArchiveSpec(kind=ArchiveKind.DATASET, name="a", arrays=arrays)
    with ArchiveWriter.create(hostile.parent, spec, 4) as writer:
        for index in range(4):
            row = PairRow(frame_index=index, t_ns=index, exposure_s=0.01, pattern_id=str(index), pattern_name="a")
            writer.append({"speckle": np.zeros((4, 4), np.uint8), "phase": np.zeros((4, 4), np.float32)}, row)
    script = hostile.parent / "loads.py"
    script.write_text(
        "import sys\n"
        "from multiprocessing import shared_memory\n"
        "from torch.utils.data import DataLoader\n"
        "from reconstruction.data.dataset import SpecklePairs\n"
        "if __name__ == '__main__':\n"
        "    shared_memory.SharedMemory(create=True, size=1).unlink()\n"
        "    pairs = SpecklePairs(sys.argv[1], 'all')\n"
        "    loader = DataLoader(pairs, batch_size=2, num_workers=1, multiprocessing_context='spawn')\n"
        "    assert sum(len(batch[0]) for batch in loader) == 4\n"
    )
    start(hostile, sys.executable, "-P", script, writer.path)
