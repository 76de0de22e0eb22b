"""The command line as an operator uses it: what works, and exit code and one line for every mistake."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from acquisition.archive.kinds import ArchiveKind
from acquisition.archive.writer import Archive, ArchiveSpec, ArchiveWriter, ArraySpec, PairRow
from app.cli.main import app
from app.cli.settings import LogLevel, Settings
from app.instrument.config import to_yaml
from tests.conftest import ROOT
from tests.helpers.command import refused, run_here, run_process
from tests.helpers.small_instrument import small_instrument

COMMANDS = [
    "acquire",
    "bench",
    "calibrate",
    "certify",
    "compile",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "gui",
    "hologram",
    "import",
    "live",
    "reconstruct",
    "record",
    "train",
    "trust",
    "twin-statistics",
]
BENCHMARKS = [
    "acquisition",
    "calibration",
    "devices",
    "engines",
    "formats",
    "live",
    "loop-back",
    "papers",
    "reliability",
    "segmentation",
    "training",
    "twin",
]


@pytest.fixture
def instrument(tmp_path: Path) -> Path:
    """A configuration file of the small instrument, in a working directory of its own."""
    path = tmp_path / "small.yaml"
    path.write_text(to_yaml(small_instrument(tmp_path)), "utf-8")
    return path


@pytest.mark.parametrize(("arguments", "names"), [(["--help"], COMMANDS), (["bench", "--help"], BENCHMARKS)], ids=" ".join)
def test_help_names_every_command(arguments: list[str], names: list[str], tmp_path: Path) -> None:
    shown = re.findall(r"│ ([a-z-]+) ", run_here(*arguments, cwd=tmp_path))
    assert [name for name in shown if not name.startswith("-")] == names


@pytest.mark.parametrize("command", [*((name,) for name in COMMANDS if name != "bench"), *(("bench", b) for b in BENCHMARKS)])
def test_every_command_and_every_option_is_explained(command: tuple[str, ...], tmp_path: Path) -> None:
    parsed = app
    for name in command:
        parsed = parsed[name]
    arguments = parsed.assemble_argument_collection(parse_docstring=True)
    assert arguments
    page = " ".join(run_here(*command, "--help", cwd=tmp_path).split())
    for argument in arguments:
        if argument.show:
            assert argument.name in page
            assert argument.parameter.help, f"{' '.join(command)} {argument.name} has no help text"


def test_the_log_level_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().log is LogLevel.ERROR
    monkeypatch.setenv("SPECKLESCOPE_LOG", "INFO")
    assert Settings.from_environment().log is LogLevel.INFO
    monkeypatch.setenv("SPECKLESCOPE_LOG", "loud")
    assert "SPECKLESCOPE_LOG=loud: Input should be 'DEBUG', 'INFO'" in refused("doctor", cwd=tmp_path)


def test_acquire_resume_and_export(instrument: Path, tmp_path: Path) -> None:
    done = run_process("acquire", "cells", "--pairs", 6, "--config", instrument, "--json", "out/a.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out/a.json").read_text())
    assert numbers["complete"]
    assert numbers["acknowledged"] == numbers["requested"] == 8
    dataset = Path(numbers["path"])
    run_here("acquire", "--resume", dataset, "--config", instrument, cwd=tmp_path)
    assert len(Archive.open(dataset)) == 8
    run_here("export", dataset, "--out", "ex", "--format", "specdiffusion", "ffv1", cwd=tmp_path)
    assert sorted(file.suffix for file in (tmp_path / "ex").iterdir()) == ["", ".json", ".mkv", ".sha256"]
    assert "exists" in refused("export", dataset, "--out", "ex", "--format", "ffv1", cwd=tmp_path)
    assert {file.name for file in (tmp_path / "ex").rglob("reference_*.flist")} == {
        "reference_data.flist",
        "reference_label.flist",
    }


def test_a_format_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    specs = [ArraySpec("speckle", (8, 8), "uint8"), ArraySpec("phase", (4, 4), "float32")]
    with ArchiveWriter.create(tmp_path, ArchiveSpec(kind=ArchiveKind.RECORDING, name="x", arrays=specs), 1) as writer:
        images = {"speckle": np.zeros((8, 8), np.uint8), "phase": np.full((4, 4), np.nan, np.float32)}
        writer.append(images, PairRow(frame_index=0, t_ns=0, exposure_s=0.1))
    formats = ("viewing-mp4", "npz", "specdiffusion", "ffv1")
    message = refused("export", writer.path, "--out", "ex", "--format", *formats, "--json", "e.json", cwd=tmp_path)
    assert "not exported, while the other formats are complete: viewing-mp4: " in message
    numbers = json.loads((tmp_path / "e.json").read_text())
    assert set(numbers["failed"]) == {"viewing-mp4", "specdiffusion"}
    assert [Path(file).suffix for file in numbers["files"]] == [".npz", ".mkv"]
    assert all(Path(tmp_path / file).is_file() for file in numbers["files"])
    assert "no reconstructed 'phase'" in refused("export", writer.path, "--format", "viewing-mp4", cwd=tmp_path)
    assert "choose from" in refused("export", writer.path, "--out", "ex2", "--format", "npz", "gif", cwd=tmp_path)
    assert not (tmp_path / "ex2").exists()


def test_real_pairs_are_imported_and_go_out_again(real_mcf: Path, tmp_path: Path) -> None:
    run_here("import", real_mcf / "cell", "--phase-range-rad", 2.6, "--check", cwd=tmp_path)
    assert not (tmp_path / "archive").exists()
    run_here("import", real_mcf / "cell", "--phase-range-rad", 2.6, "--json", "i.json", cwd=tmp_path)
    path = json.loads((tmp_path / "i.json").read_text())["path"]
    run_here("export", path, "--format", "specdiffusion", "--out", "back", cwd=tmp_path)
    originals = sorted((real_mcf / "cell").rglob("*.png"))
    assert originals
    for original in originals:
        (again,) = (tmp_path / "back").rglob(f"{original.parent.name}/{original.name}")
        assert np.array_equal(cv2.imread(str(again), -1), cv2.imread(str(original), -1)), original
    assert "phase_range_rad" in refused("import", real_mcf / "cell", cwd=tmp_path)


def test_the_lut_is_measured_and_taken_by_a_panel(instrument: Path, tmp_path: Path) -> None:
    run_here("calibrate", "lut", "cal", "--levels", 24, "--config", instrument, "--json", "l.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "l.json").read_text())
    assert numbers["change_rms_rad"] < 0.06, "the twin's panel is linear, as its driver believes"
    assert numbers["slm_range_rad"] == pytest.approx(2 * np.pi, abs=0.15)
    (tmp_path / "panel.yaml").write_text("panel: {shape: [40, 40], lut_file: cal/lut.txt}\n")
    cv2.imwrite(str(tmp_path / "spot.png"), np.full((1, 1), 255, np.uint8))
    run_here("hologram", "spot.png", "h.png", "--config", "panel.yaml", cwd=tmp_path)
    assert "exists" in refused("calibrate", "lut", "cal", "--config", instrument, cwd=tmp_path)


@pytest.mark.slow
def test_the_timing_is_measured_on_the_real_clock(instrument: Path, tmp_path: Path) -> None:
    run_here("calibrate", "timing", "cal", "--config", instrument, "--json", "t.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "t.json").read_text())
    assert (numbers["latency_frames_least"], numbers["latency_frames_most"]) == (1, 2)


def test_a_hologram_is_computed_for_the_configured_panel(tmp_path: Path) -> None:
    (tmp_path / "panel.yaml").write_text("panel: {shape: [120, 160]}\n")
    target = np.zeros((40, 40), np.uint8)
    target[::20, ::20] = 255
    cv2.imwrite(str(tmp_path / "spots.png"), target)
    for out in ("h.npy", "h.png"):
        run_here("hologram", "spots.png", out, "--config", "panel.yaml", "--json", "h.json", cwd=tmp_path)
    numbers = json.loads((tmp_path / "h.json").read_text())
    assert numbers["uniformity"] > 0.95
    assert np.load(tmp_path / "h.npy").shape == cv2.imread(str(tmp_path / "h.png"), -1).shape == (120, 160)
    assert "notes" not in numbers
    cv2.imwrite(str(tmp_path / "red.png"), np.dstack([0 * target, 0 * target, target]))
    run_here("hologram", "red.png", "r.npy", "--config", "panel.yaml", "--json", "h.json", cwd=tmp_path)
    assert json.loads((tmp_path / "h.json").read_text())["notes"] == ["red.png is coloured; the mean of the channels counts"]
    assert "cannot write h.bmp" in refused("hologram", "spots.png", "h.bmp", "--config", "panel.yaml", cwd=tmp_path)
    assert "cannot read gone.png" in refused("hologram", "gone.png", "h.npy", cwd=tmp_path)


def test_live_record_and_evaluate(instrument: Path, tmp_path: Path) -> None:
    asked = ["--seconds", 1, "--times-csv", "times.csv", "--json", "r.json"]
    run_here("record", "recording", *asked, "--config", instrument, cwd=tmp_path)
    head, *stages = (tmp_path / "times.csv").read_text().splitlines()
    assert head == "stage,count,p50_ms,p95_ms,p99_ms"
    assert [stage.split(",")[0] for stage in stages] == ["capture", "inference", "latency", "segmentation"]
    assert all(float(stage.split(",")[4]) > 0 for stage in stages)
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["verdict"] == "complete"
    assert numbers["dropped_record"] == 0
    assert len(Archive.open(Path(numbers["recording"]))) == numbers["frames_recorded"] > 5
    run_here("evaluate", "--pairs", 2, "--config", instrument, "--json", "e.json", cwd=tmp_path)
    assert json.loads((tmp_path / "e.json").read_text())["images"] == 2


def test_twin_statistics_writes_the_published_layout(instrument: Path, tmp_path: Path) -> None:
    run_here("twin-statistics", "tw", "--count", 3, "--config", instrument, cwd=tmp_path)
    names = [sorted(path.name for path in (tmp_path / "tw" / folder).iterdir()) for folder in ("input", "label")]
    assert names[0] == names[1] == ["00000.png", "00001.png", "00002.png"]
    assert "not empty" in refused("twin-statistics", "tw", "--config", instrument, cwd=tmp_path)


def edited(instrument: Path, **changes: object) -> Path:
    content = yaml.safe_load(instrument.read_text("utf-8"))
    content.update(changes)
    path = instrument.with_name("edited.yaml")
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_mistakes_in_the_configuration(instrument: Path, tmp_path: Path) -> None:
    assert "unknown key 'archiv'; did you mean 'archive'?" in refused(
        "live", "--config", edited(instrument, archiv="x"), cwd=tmp_path
    )
    assert "'phase_range_rad' = -1" in refused("live", "--config", edited(instrument, phase_range_rad=-1), cwd=tmp_path)
    assert "no model at nowhere" in refused("live", "--config", edited(instrument, model="nowhere"), cwd=tmp_path)
    assert "there is no instrument file" in refused("live", "--config", "none.yaml", cwd=tmp_path)
    assert "no engine named 'warp'" in refused("evaluate", "--engine", "warp", "--config", instrument, cwd=tmp_path)
    (tmp_path / "broken.yaml").write_text("a: [1,", "utf-8")
    assert "not valid YAML" in refused("acquire", "--config", "broken.yaml", cwd=tmp_path)


def test_mistakes_in_what_is_asked(instrument: Path, tmp_path: Path) -> None:
    assert 'Did you mean "demo"' in refused("dmo", cwd=tmp_path, code=2)
    assert "--pairs" in refused("acquire", "--pairs", 0, cwd=tmp_path, code=2)
    assert "no pattern source or folder named 'nosuch'" in refused("acquire", "nosuch", "--config", instrument, cwd=tmp_path)
    assert "there is no such folder" in refused("export", "nosuch", cwd=tmp_path)
    assert "there is no such folder" in refused("acquire", "--resume", "nosuch", "--config", instrument, cwd=tmp_path)
    assert "no display" in refused("gui", "--config", instrument, cwd=tmp_path)
    assert not (tmp_path / "archive").exists(), "a refused command left something behind"


def test_pictures_that_are_none(instrument: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert "holds no picture" in refused("acquire", "pictures", "--config", instrument, cwd=tmp_path)
    (tmp_path / "pictures" / "a.png").write_bytes(b"not a picture")
    assert "cannot read" in refused("twin-statistics", "tw", "--images", "pictures", "--config", instrument, cwd=tmp_path)
    assert not (tmp_path / "tw").exists()


def test_an_archive_that_cannot_be_written(instrument: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    line = refused("acquire", "cells", "--pairs", 2, "--archive", "file/archive", "--config", instrument, cwd=tmp_path)
    assert "file/archive" in line
    line = refused("acquire", "cells", "--pairs", 10**9, "--config", instrument, cwd=tmp_path)
    assert "space" in line or "free" in line


def test_a_model_folder_that_is_taken_is_not_overwritten(instrument: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in (tmp_path / "small-model").iterdir()}
    assert "not empty" in refused("train", "small-model", "--pairs", 64, "--steps", 2, "--config", instrument, cwd=tmp_path)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "small-model").iterdir()}


def test_mistakes_in_what_is_to_be_trained(instrument: Path, tmp_path: Path) -> None:
    def answer(*arguments: object) -> str:
        return refused("train", "m", *arguments, "--config", instrument, cwd=tmp_path)

    assert "no reconstructor of kind 'magic'; choose from" in answer("--kind", "magic")
    assert "kind 'referenced' has no option 'depth'; it has grid_px, front_end, base_channels," in answer("--set", "depth=3")
    assert "has no option 'phase_range_rad'" in answer("--set", "phase_range_rad=3")
    assert "--set takes name=value, got 'grid_px'" in answer("--set", "grid_px")
    assert "--set base_channels=wide: Input should be a valid integer" in answer("--set", "base_channels=wide")
    assert "--set multipliers=1,x: Input should be a valid integer" in answer("--set", "multipliers=1,x")
    assert "does not fit the instrument (grid_px 32 cannot be halved 6 times); change it with --set" in answer(
        "--set", "grid_px=32", "--set", "multipliers=1,1,1,1,1,1,1"
    )
    assert "does not fit the instrument (frame_px 128 is no multiple of grid_px 512)" in answer("--set", "grid_px=512")
    assert "no model at nowhere" in answer("--from", "nowhere")
    assert "model 'small-model' is of kind 'referenced', not 'unet'" in answer("--from", "small-model", "--kind", "unet")
    assert "model 'small-model' has another shape than --set asks for" in answer(
        "--from", "small-model", "--set", "base_channels=6"
    )
    assert "takes frames of 512 px, the instrument gives 128" in answer("--from", "default-twin")
    assert "the run cannot be resumed: there is no checkpoint" in answer("--resume")
    assert not (tmp_path / "m").exists(), "a refused command left something behind"


def test_a_resumed_dataset_needs_its_own_fibre(instrument: Path, tmp_path: Path) -> None:
    run_here("acquire", "cells", "--pairs", 2, "--config", instrument, "--json", "a.json", cwd=tmp_path)
    dataset = json.loads((tmp_path / "a.json").read_text())["path"]
    twin = yaml.safe_load(instrument.read_text("utf-8"))["twin"]
    twin["optics"]["seed"] = 9
    line = refused("acquire", "--resume", dataset, "--config", edited(instrument, twin=twin), cwd=tmp_path)
    assert "was started with fibre 'twin 1" in line


def test_the_twin_is_seen_through_pylon(instrument: Path, tmp_path: Path) -> None:
    common = ("--camera", "basler-emulated", "--config", instrument, "--json", "out.json")
    run_here("acquire", "cells", "--pairs", 4, *common, cwd=tmp_path)
    assert json.loads((tmp_path / "out.json").read_text())["acknowledged"] == 6
    run_here("record", "recording", "--seconds", 1, *common, cwd=tmp_path)
    numbers = json.loads((tmp_path / "out.json").read_text())
    assert (numbers["verdict"], numbers["dropped_record"]) == ("complete", 0)
    assert "basler-emulated" in refused("live", "--camera", "kodak", cwd=tmp_path, code=2)


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("camera", ["simulated", "basler-emulated"])
def test_the_demo_gives_every_number(camera: str, tmp_path: Path) -> None:
    done = run_process("demo", "--headless", "--camera", camera, "--json", "demo.json", cwd=tmp_path, timeout_s=400)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "demo.json").read_text())
    assert numbers["pairs_acknowledged"] == numbers["pairs_requested"] >= 200
    assert numbers["wrong_pairs"] == 0
    assert numbers["dropped_record"] == 0
    assert numbers["ssim"] >= 0.85
    assert numbers["correlation"] >= 0.90
    assert np.isfinite([numbers[key] for key in ("live_fps", "latency_ms_p50", "latency_ms_p99", "mae_rad", "iou")]).all()
    assert all(Path(tmp_path / path).exists() for path in numbers["exports"])
    assert (tmp_path / "demo-out" / "window.png").stat().st_size > 50_000


#: Runs commands in a process whose terminal has one encoding, and prints their exit codes; to start a process takes seconds.
_ONE_AFTER_THE_OTHER = """
import json, sys
from specklescope.__main__ import main
codes = []
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as ended:
        codes.append(int(ended.code or 0))
print(codes)
"""


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "\u8a66\u6599.npy"),
        pytest.param("ascii", "\u00f6.npy", marks=pytest.mark.slow),
        pytest.param("latin-1", "\u20ac.npy", marks=pytest.mark.slow),
    ],
)
def test_a_terminal_that_cannot_show_a_name_gets_another_character(
    encoding: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    cv2.imwrite(str(tmp_path / "t.png"), np.eye(16, dtype=np.uint8) * 255)
    (tmp_path / "panel.yaml").write_text("camera: opencv\nslm: screen\npanel: {shape: [32, 32]}\n")
    commands = [["hologram", "t.png", name, "--config", "panel.yaml", "--iterations", "3"], ["hologram", name, "b.npy"]]
    command = [sys.executable, "-c", _ONE_AFTER_THE_OTHER, json.dumps(commands)]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    output, errors = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert output.splitlines()[-1] == "[0, 1]", errors
    assert (tmp_path / name).is_file()
    assert "?" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("argument", ["~/there", "--archive=~/there"])
def test_a_tilde_that_the_shell_left_is_the_home_folder(argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    command = ("certify", argument) if argument.startswith("~") else ("import", "absent.npz", argument)
    assert "~" not in refused(*command, cwd=tmp_path)
    assert not (tmp_path / "~").exists()
