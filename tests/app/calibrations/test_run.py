"""A calibration that runs: stored with its plots, named by its date; stopped or failed, it leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from app.calibrations.changes import apply
from app.calibrations.figure_file import FIGURES, points_csv, read_figures
from app.calibrations.kinds import Calibration, CalibrationOrder
from app.calibrations.measure import Measured
from app.calibrations.run import CalibrationRun
from app.calibrations.shelf import read_record
from app.calibrations.shots import least_seconds, shots, why_impossible
from app.calibrations.storing import MeasuredOn, folders_of, read, store_new
from app.calibrations.target import CalibrationTarget
from app.calibrations.verdict import CalibrationState
from app.instrument.config import checked, load_config
from app.instrument.responses import find_response
from app.reporting.images import Picture
from app.reporting.plots import Limit, Plot, Role, Series
from app.reporting.rendering import Section
from calibration.stored import CalibrationError
from drivers.base import DeviceLostError
from tests.helpers.calibrations.stored import save_calibration, small_config, small_target

LUT = CalibrationOrder(what=Calibration.LUT, levels=16)


def ended(run: CalibrationRun, stop: threading.Event | None = None) -> Path | None:
    run.stage.start()
    return run.follow(lambda done, total: None, stop or threading.Event())


def test_a_measurement_is_stored_with_its_plots_and_devices(tmp_path: Path) -> None:
    target, rig = small_target(small_config(tmp_path))
    shown: list[str] = []
    steps: list[tuple[int, int]] = []
    run = CalibrationRun(LUT, target, rig, put_back=lambda: shown.append("before"))
    run.stage.start()
    folder = run.follow(lambda done, total: steps.append((done, total)), threading.Event())
    assert folder is not None
    assert folders_of(Calibration.LUT, target.root) == (folder,)
    stored = read(Calibration.LUT, folder)
    assert stored.devices == target.devices
    assert stored.values["fibre"] == target.fibre
    assert stored.values["seconds"] >= 0
    assert (folder / "lut.txt").read_text("utf-8").count("\n") == 256
    assert shown == ["before"]
    assert steps[-1] == (16, 16)
    record = read_record(Calibration.LUT, target)
    assert record.verdict.state is not CalibrationState.NEVER
    assert record.value.endswith(" rad at white")
    assert [section.title for section in record.figures] == ["Response", "Error of the response"]
    plot = record.figures[0].plots[0]
    assert isinstance(plot, Plot)
    assert points_csv(plot).splitlines()[0] == 'series,grey level,"phase, rad"'
    assert {series.role for series in plot.series} == {Role.BEFORE, Role.AFTER, Role.MEASURED}


def test_a_stopped_measurement_stores_nothing_and_leaves_the_one_before(tmp_path: Path) -> None:
    target, rig = small_target(small_config(tmp_path))
    before = save_calibration(Calibration.LUT, target)
    content = (before / "calibration.yaml").read_bytes()
    stop = threading.Event()
    stop.set()
    run = CalibrationRun(LUT, target, rig)
    run.stage.request_stop()
    assert ended(run, stop) is None
    assert folders_of(Calibration.LUT, target.root) == (before,)
    assert (before / "calibration.yaml").read_bytes() == content


def test_a_device_that_goes_fails_the_measurement_and_shows_what_was_there(tmp_path: Path) -> None:
    target, rig = small_target(small_config(tmp_path))
    rig.display().unplug()  # type: ignore[attr-defined]  # of the twin
    shown: list[str] = []
    order = CalibrationOrder(what=Calibration.CAMERA)
    with pytest.raises(DeviceLostError):
        ended(CalibrationRun(order, target, rig, put_back=lambda: shown.append("before")))
    assert shown == ["before"]
    assert folders_of(Calibration.CAMERA, target.root) == ()


def test_a_registration_of_another_fibre_is_refused_before_anything_is_shown(tmp_path: Path) -> None:
    target, rig = small_target(small_config(tmp_path))
    folder = save_calibration(Calibration.REGISTRATION, target, fibre="another")
    order = CalibrationOrder(what=Calibration.FIBRE, registration=folder)
    with pytest.raises(CalibrationError, match="holds for fibre 'another'"):
        ended(CalibrationRun(order, target, rig))
    assert rig.display().shown is None


def test_two_measurements_of_one_second_have_folders_of_their_own_and_the_newest_comes_first(tmp_path: Path) -> None:
    measured = Measured(kind="timing", numbers={"latency_s": 0.05}, arrays={}, sections=[])
    on = MeasuredOn(devices={}, fibre="mine")
    folders = [store_new(Calibration.TIMING, measured, on, tmp_path) for _ in range(12)]
    assert len(set(folders)) == 12
    assert folders_of(Calibration.TIMING, tmp_path) == tuple(reversed(folders))
    (tmp_path / "timing" / "notes").mkdir()
    assert len(folders_of(Calibration.TIMING, tmp_path)) == 12


def test_plots_and_pictures_come_back(tmp_path: Path) -> None:
    image = np.arange(48, dtype=np.uint8).reshape(6, 8)
    plot = Plot(
        series=[Series([0, 1, np.nan], [2, 3, 4], name="a", role=Role.BEFORE)], x_title="x", y_title="y", limit=Limit(0.5)
    )
    measured = Measured(
        kind="timing",
        numbers={},
        arrays={},
        sections=[
            Section(title="both", text="t", pictures=[[Picture(image, "left"), Picture(image.T, "right")]], plots=[plot])
        ],
    )
    folder = store_new(Calibration.TIMING, measured, MeasuredOn(devices={}, fibre=""), tmp_path)
    (section,) = read_figures(folder)
    assert [[picture.caption for picture in row] for row in section.pictures] == [["left", "right"]]
    assert np.array_equal(section.pictures[0][1].image, image.T)
    assert isinstance(section.plots[0], Plot)
    assert section.plots[0].limit == Limit(0.5)
    assert section.plots[0].series[0].points().tolist() == [[0, 2], [1, 3]]
    (folder / FIGURES).write_text('{"sections": [{"title": 1}]}', "utf-8")
    with pytest.raises(CalibrationError, match="open its report instead"):
        read_figures(folder)


def test_a_damaged_calibration_says_so_and_older_ones_stay_to_be_chosen(tmp_path: Path) -> None:
    target, _ = small_target(small_config(tmp_path))
    older = save_calibration(Calibration.TIMING, target, "20261101-000000")
    newer = save_calibration(Calibration.TIMING, target, "20261102-000000")
    content = yaml.safe_load((newer / "calibration.yaml").read_text("utf-8"))
    content["values"]["settle_s"] = 0.001
    (newer / "calibration.yaml").write_text(yaml.safe_dump(content), "utf-8")
    record = read_record(Calibration.TIMING, target)
    assert record.folders == (newer, older)
    assert record.verdict.state is CalibrationState.UNREADABLE
    assert "differs from its sha256" in record.verdict.reason
    assert record.why_not_applied
    chosen = read_record(Calibration.TIMING, target, older)
    assert chosen.verdict.state is CalibrationState.GOOD
    assert chosen.changes


def test_the_time_and_what_is_impossible_are_said_before(tmp_path: Path) -> None:
    target, _ = small_target(small_config(tmp_path))
    order = CalibrationOrder(what=Calibration.TIMING)
    assert shots(order, target) == 240
    assert least_seconds(order, target) == pytest.approx(240 * (2 * 0.065 + 3 / 60))
    assert shots(CalibrationOrder(what=Calibration.RESPONSE, probe_patterns=6), target) == 10
    assert not why_impossible(Calibration.RESPONSE, target)
    config = checked({"camera": "basler", "slm": "screen", "fibre": "mine"}, "test")
    assert "core positions" in why_impossible(
        Calibration.RESPONSE,
        CalibrationTarget(config=config, fibre="mine", devices={}, display=target.display, exposure_s=0.002, frame_s=0.01),
    )
    no_slm = CalibrationTarget(config=config, fibre="mine", devices={}, display=None, exposure_s=0.002, frame_s=0.01)
    assert "has no SLM" in why_impossible(Calibration.TIMING, no_slm)


@pytest.mark.slow
def test_a_response_is_measured_applied_and_found_by_what_needs_it(tmp_path: Path) -> None:
    optics = {"image_px": 96, "field_radius_um": 29.0, "mode_weights": [1.0], "coupling_sigma_um": 0.0}
    target, rig = small_target(checked({"twin": {"optics": optics}, "archive": str(tmp_path / "archive")}, "test"))
    folder = ended(CalibrationRun(CalibrationOrder(what=Calibration.RESPONSE), target, rig))
    assert folder is not None
    record = read_record(Calibration.RESPONSE, target)
    assert record.verdict.state is CalibrationState.GOOD, record.verdict
    assert [plot.x_title for section in record.figures for plot in section.plots if isinstance(plot, Plot)] == [
        "column from the centre, px"
    ]
    file = tmp_path / "instrument.yaml"
    apply(record.changes, folder, target.config, file)
    used = load_config(file).response
    assert used == folder
    assert find_response(used, target.fibre).quality == pytest.approx(read(Calibration.RESPONSE, folder).values["quality"])
    again = CalibrationOrder(what=Calibration.RESPONSE, previous=folder)
    assert shots(again, target) == 12
    assert ended(CalibrationRun(again, target, rig)) is not None
    assert len(folders_of(Calibration.RESPONSE, target.root)) == 2
