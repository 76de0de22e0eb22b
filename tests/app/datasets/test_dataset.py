"""From a plan to a report: pre-flight check, acquisition, pause, verification, and what makes the verification fail."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from acquisition.archive.reader import Archive
from acquisition.archive.writer import ArchiveWriter, StorageError
from acquisition.capture.certificate import certify
from acquisition.capture.dataset_archive import open_dataset
from acquisition.capture.pair_capture import CaptureError
from acquisition.capture.plan import CapturePlan
from acquisition.capture.preflight import contact_sheet, estimate, preflight
from app.cli.main import main
from app.datasets.acquisition_job import DatasetRun, NewDataset, RunOptions
from app.datasets.quality_report import finish_dataset
from app.instrument.config import save_config
from app.instrument.opening import open_rig
from app.status import Message
from drivers.base import Frame, SpeckleScopeError
from tests.helpers.command import refused
from tests.helpers.journals import execute, forge, forge_metadata
from tests.helpers.small_disk import small_disk
from tests.helpers.small_instrument import small_instrument, until

PATIENCE_S = 60.0
PLAN = CapturePlan(source="cells", pairs=24, reference_every=8, exposure_s=0.01, dark_frames=2)
WITHOUT_DARK = PLAN.model_copy(update={"dark_frames": 0})


def acquired(root: Path, plan: CapturePlan = PLAN) -> DatasetRun:
    rig, _ = open_rig(small_instrument(root))
    messages: list[Message] = []
    dataset = NewDataset(root=root / "archive", name="test", metadata={"instrument": "<small>"})
    run = DatasetRun.new(rig, plan, dataset, RunOptions(on_message=messages.append))
    run.stage.start()
    run.stage.join(PATIENCE_S)
    rig.close()
    assert run.stage.error is None
    return run


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> DatasetRun:
    return acquired(tmp_path_factory.mktemp("dataset"))


def test_a_finished_dataset_is_verified_and_has_its_files(done: DatasetRun) -> None:
    assert done.report is not None
    assert done.certificate is not None
    path, certificate = done.report.path, done.certificate
    assert certificate.complete
    assert certificate.verified
    assert certificate.sync_checks == 1
    assert certificate.smallest_sync_margin > 0.2
    assert len(certificate.sync_margins) == 1
    assert certificate.sync_margins[0] > 0.05
    written = yaml.safe_load((path / "certificate.yaml").read_text())
    assert written["verified"] is True
    assert written["pairs"] == len(PLAN)
    page = (path / "report.html").read_text()
    assert f"{len(PLAN)} of {len(PLAN)} pairs, verified" in page
    assert "&lt;small&gt;" in page, "facts of the metadata are text, not markup"
    assert page.count("<svg") == 3
    assert (path / "contact_sheet.png").stat().st_size > 1000
    parts = (path / "parts.csv").read_text().splitlines()
    assert len(parts) == len(PLAN) + 1
    dark = tifffile.imread(path / "dark.tif")
    assert dark.mean() < 5


def test_all_frames_of_a_pattern_belong_to_one_part(tmp_path: Path) -> None:
    run = acquired(tmp_path, PLAN.model_copy(update={"repeats": 3, "dark_frames": 0}))
    assert run.report is not None
    rows = [line.split(",") for line in (run.report.path / "parts.csv").read_text().splitlines()[1:]]
    of_pattern: dict[str, set[str]] = {}
    for _, pattern, part in rows:
        of_pattern.setdefault(pattern, set()).add(part)
    assert all(len(parts) == 1 for parts in of_pattern.values())
    assert len(of_pattern) == 1 + 24 // 3


@pytest.mark.parametrize("harm", ["pattern", "frame", "number"])
def test_a_dataset_that_was_tampered_with_is_not_verified(done: DatasetRun, tmp_path: Path, harm: str) -> None:
    assert done.report is not None
    assert done.certificate is not None
    assert done.certificate.verified
    path = shutil.copytree(done.report.path, tmp_path / "copy")
    change, row = {
        "pattern": ("UPDATE rows SET pattern_id = 'x' WHERE idx = 3", 3),
        "frame": ("UPDATE rows SET crc32_speckle = (SELECT crc32_speckle FROM rows WHERE idx = 5) WHERE idx = 6", 6),
        "number": ("UPDATE extra SET value = 99 WHERE key = 'shot' AND idx = 4", 4),
    }[harm]
    execute(path, change)
    with pytest.raises(StorageError, match=rf"row {row} in .*journal\.sqlite is damaged: it differs from what was written"):
        finish_dataset(path)
    assert not (path / "report.html").exists()
    assert not (path / "certificate.yaml").exists()
    forge(path)  # whoever changes it on purpose can compute the check sums too
    certificate = finish_dataset(path)
    assert not certificate.verified
    assert "NOT verified" in (path / "report.html").read_text()


@pytest.mark.slow
def test_a_camera_that_falls_one_frame_behind_is_detected_and_no_pair_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only fault that counters, times and checksums cannot detect."""
    rig, _ = open_rig(small_instrument(tmp_path))
    read = rig.camera.read
    pixels: list[np.ndarray] = []

    def read_late(timeout_s: float) -> Frame:
        frame = read(timeout_s)
        pixels.append(frame.pixels)
        return replace(frame, pixels=pixels[-2]) if len(pixels) > 12 else frame

    monkeypatch.setattr(rig.camera, "read", read_late)
    run = DatasetRun.new(rig, WITHOUT_DARK, NewDataset(root=tmp_path / "archive", name="test"))
    run.stage.start()
    run.stage.join(PATIENCE_S)
    rig.close()
    assert "reference checks keep failing" in str(run.stage.error)
    archive = Archive.open(next((tmp_path / "archive").iterdir()))
    assert len(archive) <= 1
    assert any("check failed: " in event.text for event in archive.events())


def test_a_pause_stores_everything_and_the_run_goes_on(tmp_path: Path) -> None:
    rig, _ = open_rig(small_instrument(tmp_path))
    run = DatasetRun.new(rig, WITHOUT_DARK, NewDataset(root=tmp_path / "archive", name="test"))
    run.stage.start()
    until(lambda: run.status().pairs_acknowledged >= 0 and run.status().path is not None)
    run.pause(paused=True)
    assert run.status().paused
    until(lambda: run.status().path and len(Archive.open(run.status().path)) > 0)  # type: ignore[arg-type]
    stored = len(Archive.open(run.status().path))  # type: ignore[arg-type]
    assert run.stage.running
    run.pause(paused=False)
    run.stage.join(PATIENCE_S)
    rig.close()
    assert run.report is not None
    assert run.report.complete
    assert stored < len(PLAN)
    assert certify(Archive.open(run.report.path)).verified


@pytest.mark.slow
def test_before_a_run_light_and_trigger_are_tried(tmp_path: Path) -> None:
    rig, _ = open_rig(small_instrument(tmp_path))
    lut = tmp_path / "lut.txt"
    lut.write_text("")
    results = preflight(rig, PLAN, (lut,))
    assert any(line.startswith("trigger:") for line in results)
    assert any("brightest pixels reach" in line for line in results)
    assert "calibration lut.txt: 0 days old" in results
    expected = estimate(rig, PLAN, tmp_path / "not" / "there")
    assert expected.shots == len(PLAN)
    assert expected.fits
    assert expected.bytes_raw == len(PLAN) * 128 * 128 * 5
    with pytest.raises(CaptureError, match="is the light on"):
        preflight(rig, PLAN.model_copy(update={"exposure_s": 30e-6}))
    with pytest.raises(CaptureError, match="shorten the exposure"):
        preflight(rig, PLAN.model_copy(update={"exposure_s": 1.0}))
    rig.close()


def test_a_camera_that_does_not_see_the_slm_is_reported_before_the_first_pair(tmp_path: Path) -> None:
    rig, _ = open_rig(small_instrument(tmp_path))
    optics = rig.camera.optics  # type: ignore[attr-defined]
    intensity = optics.intensity
    optics.intensity = lambda phase, noise: intensity(0 * phase, noise)
    run = DatasetRun.new(rig, WITHOUT_DARK, NewDataset(root=tmp_path / "archive", name="test"))
    run.stage.start()
    run.stage.join(PATIENCE_S)
    rig.close()
    assert "frames do not follow their patterns" in str(run.stage.error)
    assert len(Archive.open(next((tmp_path / "archive").iterdir()))) == 0


def test_a_contact_sheet_holds_every_picture(rng: np.random.Generator) -> None:
    sheet = contact_sheet([rng.normal(size=(40, 60)) for _ in range(9)], columns=4)
    assert sheet.shape == (3 * 98 + 2, 4 * 98 + 2)
    assert contact_sheet([np.zeros((5, 5))]).max() == 32


def command(*arguments: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0


def test_the_commands_try_a_plan_acquire_it_and_certify_the_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_config(small_instrument(tmp_path), tmp_path / "small.yaml")
    plan = tmp_path / "plan.yaml"
    plan.write_text("source: cells\npairs: 9\nreference_every: 4\n")
    common = ["--config", str(tmp_path / "small.yaml"), "--json", str(tmp_path / "n.json")]
    command("acquire", str(plan), "--dry-run", *common)
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["fits"]
    assert numbers["plan"]["pairs"] == 9
    assert Path(numbers["patterns"]).exists()
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["pairs_patterns.png"]
    command("acquire", str(plan), "--name", "nine", *common)
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["verified"]
    command("certify", numbers["path"], "--json", str(tmp_path / "c.json"))
    assert json.loads((tmp_path / "c.json").read_text())["pairs"] == 13
    plan.write_text("source: cells\npairs: nine\n")
    with pytest.raises(SystemExit) as caught:
        main(["acquire", str(plan), *common])
    assert caught.value.code == 1
    assert "'pairs' = 'nine'" in capsys.readouterr().err


def test_an_older_plan_without_todays_fields_is_still_read(tmp_path: Path) -> None:
    rig, _ = open_rig(small_instrument(tmp_path))
    with open_dataset(tmp_path / "archive", "old", PLAN, rig, {}) as writer:
        path = writer.path
    rig.close()
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())
    del metadata["plan"]["repeats"], metadata["plan"]["preamble"]
    from acquisition.capture.dataset_archive import plan_of
    from acquisition.capture.plan import plan_hash

    metadata["plan_hash"] = plan_hash(metadata["plan"])
    forge_metadata(path, yaml.safe_dump(metadata))
    assert plan_of(Archive.open(path)) == PLAN


def test_a_full_disk_leaves_the_older_report(done: DatasetRun, tmp_path: Path) -> None:
    assert done.report is not None
    path = tmp_path / done.report.path.name
    shutil.copytree(done.report.path, path)
    finish_dataset(path)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.suffix in (".html", ".yaml", ".png", ".csv")}
    with small_disk(len(before["report.html"]) - 100), pytest.raises(SpeckleScopeError) as caught:
        finish_dataset(path)
    assert (
        str(caught.value)
        == f"cannot write {path / 'report.html'}: File too large; check the disk; the pairs themselves are safe"
    )
    assert {name: (path / name).read_bytes() for name in before} == before
    assert not [file for file in path.iterdir() if file.name.startswith(".")]


def deleted(path: Path, target: str) -> None:
    """Delete files in a folder, or with ``.`` the folder itself."""
    for file in [path] if target == "." else list(path.glob(target)):
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()


@pytest.mark.parametrize("target", ["data.zarr/speckle/c.0.*", "journal.sqlite", "metadata.yaml"])
def test_a_verification_that_fails_leaves_no_report_that_says_verified(done: DatasetRun, tmp_path: Path, target: str) -> None:
    assert done.report is not None
    path = shutil.copytree(done.report.path, tmp_path / "copy")
    assert "verified: true" in (path / "certificate.yaml").read_text()
    deleted(path, target)
    with contextlib.suppress(StorageError):
        assert not finish_dataset(path).verified
    texts = [file.read_text() for name in ("report.html", "certificate.yaml") if (file := path / name).exists()]
    assert all("NOT verified" in text or "verified: false" in text for text in texts)


@pytest.mark.parametrize("target", ["data.zarr/speckle/c.0.*", "journal.sqlite*", "."])
def test_what_is_deleted_before_the_verdict_is_an_error_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    save_config(small_instrument(tmp_path), tmp_path / "small.yaml")
    complete = ArchiveWriter.complete

    def delete_and_complete(writer: ArchiveWriter) -> None:
        writer.flush()
        deleted(writer.path, target)
        complete(writer)

    monkeypatch.setattr(ArchiveWriter, "complete", delete_and_complete)
    line = refused("acquire", "cells", "--pairs", "3", "--config", "small.yaml", "--json", "out.json", cwd=tmp_path)
    assert "check the disk" in line
    assert not (tmp_path / "out.json").exists()
    for path in (tmp_path / "archive").iterdir():
        assert not (path / "report.html").exists()
        with contextlib.suppress(StorageError):
            assert Archive.open(path).finish_reason is None
