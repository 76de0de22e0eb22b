"""``specklescope reconstruct``: a phase on the camera's grid from a folder of pairs, and one line for every mistake."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from acquisition.exchange.reference_pairs import read_frame, read_references
from acquisition.patterns.sources import open_source
from app.cli.main import main
from calibration.registration.from_pairs import register_pairs
from calibration.stored import save
from drivers.twin.optics import FibreOptics
from drivers.twin.optics_config import OpticsConfig
from drivers.twin.sensor import SensorConfig
from reconstruction.data.pairs import TwinExposure
from reconstruction.metrics import pearson
from tests.helpers.command import run_here

PX, PHASE_RANGE_RAD = 256, 2.0


@cache
def shots(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Frames and labels of five images of one fibre."""
    source = open_source("leaves", (PX, PX), count=5, seed=seed, phase_range_rad=PHASE_RANGE_RAD)
    phases = np.stack([source[index].phase_rad for index in range(5)])
    optics = FibreOptics(OpticsConfig(image_px=PX, field_radius_um=82.0, seed=seed))
    labels = np.rint(phases / PHASE_RANGE_RAD * 255).astype(np.uint8)
    return TwinExposure(optics, SensorConfig(), 0.01, seed)(phases), labels  # type: ignore[return-value]


def write(path: Path, image: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for index, (frame, label) in enumerate(zip(*shots(95), strict=True)):
        write(folder / "pairs" / "input" / f"{index}.png", frame)
        write(folder / "pairs" / "label" / f"{index}.png", label)
    (folder / "pairs" / "metadata.yaml").write_text(f"phase_range_rad: {PHASE_RANGE_RAD}\n")
    write(folder / "other.png", shots(96)[0][0])
    return folder


@pytest.fixture
def here(pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of its own that holds ``pairs`` and ``other.png``, a frame of another fibre."""
    shutil.copytree(pairs_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


def reconstruct(
    frame: str = "pairs/input/4.png", *options: str, out: str = "phase.npy", method: str = "fast"
) -> NDArray[np.float32]:
    with pytest.raises(SystemExit) as end:
        main(["reconstruct", frame, "--references", "pairs", "--method", method, "--out", out, *options])
    assert not end.value.code
    return np.asarray(np.load(out, allow_pickle=False))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """Run a command that must fail and leave nothing behind; return its one line."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["reconstruct", *arguments])
    assert end.value.code == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1, printed.err
    assert printed.err.startswith("specklescope: ")
    assert before == {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    return printed.err


USUAL = ("pairs/input/4.png", "--references", "pairs")


def agreement(phase: NDArray[np.float32]) -> float:
    rows, columns = np.mgrid[:PX, :PX] - (PX - 1) / 2
    inside = np.hypot(rows, columns) < 115
    return pearson(phase[inside], shots(95)[1][4].astype(np.float32)[inside])


@pytest.mark.parametrize("method", ["fast", "few-pair"])
def test_a_frame_becomes_a_phase_on_the_cameras_grid(here: Path, method: str) -> None:
    phase = reconstruct(method=method, out="new/folder/phase.npy")
    assert phase.shape == (PX, PX)
    assert phase.dtype == np.float32
    assert np.isfinite(phase).all()
    assert agreement(phase) > 0.6
    assert [path.name for path in Path("new/folder").iterdir()] == ["phase.npy"], "no part of a file is left"


def test_it_is_a_command_of_the_program(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_here("reconstruct", *USUAL, "--json", "r.json", cwd=here)
    numbers = json.loads(Path("r.json").read_text())
    assert numbers["phase"] == "phase.npy"
    assert numbers["method"] == "few-pair"
    assert (numbers["references"], numbers["skipped"]) == (["0", "1", "2", "3"], ["4"])
    assert numbers["phase_range_rad"] == PHASE_RANGE_RAD
    assert numbers["scale"] == pytest.approx(1, abs=0.03)
    assert numbers["peak_to_valley_rad"] == pytest.approx(float(np.ptp(np.load("phase.npy"))))
    assert refused(capsys, *USUAL) == "specklescope: phase.npy exists; choose another name for --out\n"


def test_coloured_frames_are_refused_and_come_in_by_the_option_that_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = reconstruct()
    for name in ("3", "4"):
        frame = shots(95)[0][int(name)]
        tinted = np.stack([frame - np.minimum(frame, 255 - frame), frame, frame + np.minimum(frame, 255 - frame)], axis=-1)
        write(here / "pairs" / "input" / f"{name}.png", tinted)
    assert "it is coloured; give --to-grey for the mean of its channels" in refused(capsys, *USUAL, "--out", "no.npy")
    again = reconstruct("pairs/input/4.png", "--to-grey", "--json", "r.json", out="again.npy")
    assert np.array_equal(again, usual)
    notes = json.loads(Path("r.json").read_text())["notes"]
    assert notes == ["2 pictures are coloured; the mean of the channels counts; the first is input/4.png"]


@pytest.mark.parametrize("spoilt", ["garbage", "a directory", "another image", "missing"])
def test_the_frames_own_label_is_never_read(here: Path, spoilt: str) -> None:
    usual = reconstruct()
    label = Path("pairs/label/4.png")
    label.unlink()
    if spoilt == "garbage":
        label.write_bytes(b"\x89PNG\r\n\x1a\n garbage")
    elif spoilt == "a directory":
        label.mkdir()
    elif spoilt == "another image":
        write(label, 255 - shots(95)[1][4])
    assert np.array_equal(reconstruct(out="again.npy"), usual)
    shutil.move("pairs/input/4.png", "renamed.png")
    shutil.copy("renamed.png", "pairs/input/x4.png")
    if label.exists():
        shutil.move(label, "pairs/label/x4.png")
    assert np.array_equal(reconstruct("renamed.png", out="renamed.npy"), usual), "equal pixels are the frame's own"


def test_the_phase_range_is_the_folders_or_the_operators(here: Path) -> None:
    stated = reconstruct()
    said = reconstruct("pairs/input/4.png", "--phase-range-rad", str(2 * PHASE_RANGE_RAD), "--json", "s.json", out="said.npy")
    assert json.loads(Path("s.json").read_text())["phase_range_rad"] == 2 * PHASE_RANGE_RAD
    assert not np.allclose(said, stated, atol=0.2)
    Path("pairs/metadata.yaml").unlink()
    assert np.array_equal(reconstruct("pairs/input/4.png", "--phase-range-rad", str(PHASE_RANGE_RAD), out="a.npy"), stated)
    reconstruct("pairs/input/4.png", "--json", "p.json", out="b.npy")
    assert json.loads(Path("p.json").read_text())["phase_range_rad"] == 2.6, "what the published captures have"


def test_a_stored_registration_is_taken(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = read_references(Path("pairs"), None, Path("none"), read_frame(Path("pairs/input/4.png")))
    save(register_pairs(pairs.frames, pairs.phases_rad).stored({}), Path("placed"))
    by_hand = reconstruct("pairs/input/4.png", "--registration", "placed")
    assert np.array_equal(reconstruct(out="own.npy"), by_hand)
    for index in range(5):
        write(Path(f"pairs/label/{index}.png"), np.zeros((128, 128), np.uint8))
    assert "the registration is for (256, 256)" in refused(capsys, *USUAL, "--registration", "placed", "--out", "no.npy")


def test_frames_of_any_size_work(here: Path) -> None:
    for index in range(5):
        write(Path(f"pairs/input/{index}.png"), shots(95)[0][index][3:253, 5:240])
        write(Path(f"pairs/label/{index}.png"), shots(95)[1][index][3:253, 5:240])
    phase = reconstruct()
    assert phase.shape == (250, 235)
    whole = np.zeros((PX, PX), np.float32)
    whole[3:253, 5:240] = phase
    rows, columns = np.mgrid[:PX, :PX] - (PX - 1) / 2
    inside = (np.hypot(rows, columns) < 100)[3:253, 5:240]
    assert pearson(phase[inside], shots(95)[1][4].astype(np.float32)[3:253, 5:240][inside]) > 0.6


def test_mistakes_in_what_is_asked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "let the name end in .npy" in refused(capsys, *USUAL, "--out", "phase.png")
    Path("taken.npy").write_bytes(b"precious")
    assert "taken.npy exists" in refused(capsys, *USUAL, "--out", "taken.npy")
    assert Path("taken.npy").read_bytes() == b"precious"
    Path("file").write_bytes(b"")
    assert "cannot write to file" in refused(capsys, *USUAL, "--method", "fast", "--out", "file/phase.npy")
    assert "gone.png: No such file" in refused(capsys, "gone.png", "--references", "pairs")
    assert "it holds no input/ with pictures" in refused(capsys, "other.png", "--references", "nowhere")
    assert "phase-range-rad" in refused(capsys, *USUAL, "--phase-range-rad", "-1", code=2)
    assert "method" in refused(capsys, *USUAL, "--method", "guess", code=2)
    assert "give --references, a folder of pairs" in refused(capsys, "other.png")
    assert "nowhere" in refused(capsys, *USUAL, "--registration", "nowhere")


def test_references_that_are_of_no_use(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = Path("pairs/label/2.png")
    good = label.read_bytes()
    label.unlink()
    assert "label/2.png: No such file" in refused(capsys, *USUAL)
    label.write_bytes(good[: len(good) // 2])
    assert "label/2.png: it is truncated" in refused(capsys, *USUAL)
    write(label, shots(95)[1][2].astype(np.uint16))
    assert "label/2.png is uint16, not uint8" in refused(capsys, *USUAL)
    write(label, shots(95)[1][2][:200])
    assert "label/2.png is (200, 256), not (256, 256)" in refused(capsys, *USUAL)
    label.write_bytes(good)
    write(Path("pairs/input/2.png"), shots(95)[0][2][:200])
    assert "input/2.png is (200, 256), not (256, 256)" in refused(capsys, *USUAL)
    for index in range(4):
        write(Path(f"pairs/input/{index}.png"), np.zeros((PX, PX), np.uint8))
    assert "lights 0.0% of the frames" in refused(capsys, *USUAL)
    for index in range(1, 4):
        Path(f"pairs/input/{index}.png").unlink()
    assert "at least 2 pairs, got 1" in refused(capsys, *USUAL)


def test_frames_that_do_not_belong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "other.png", "--references", "pairs")
    assert "correlates" in line
    assert "at least 0.45 is needed: the session is another one, or the fibre has moved" in line
    write(Path("dark.png"), np.zeros((PX, PX), np.uint8))
    assert "the frame is dark" in refused(capsys, "dark.png", "--references", "pairs")
    write(Path("small.png"), shots(95)[0][4][:128, :128])
    assert "the frame is (128, 128) px, reference 1 is (256, 256) px" in refused(capsys, "small.png", "--references", "pairs")
    labels = [path.read_bytes() for path in sorted(Path("pairs/label").iterdir())]
    for index in range(4):
        Path(f"pairs/label/{index}.png").write_bytes(labels[(index + 1) % 4])
    assert "at least 0.5 is needed; check the names" in refused(capsys, *USUAL)
    for index in range(5):
        write(Path(f"pairs/input/{index}.png"), shots(95)[0][index][:32, :32])
    assert "at least 64 px, got (32, 32)" in refused(capsys, *USUAL)
