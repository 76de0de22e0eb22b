"""Reports of calibrations: every number has a label, a unit and its key, and every plot is there."""

from __future__ import annotations

import numpy as np
import pytest

from app.calibrations.kinds import Calibration
from app.calibrations.measure import MEASURE, Task
from app.calibrations.report import document, labelled
from app.instrument.config import InstrumentConfig, TwinConfig
from app.instrument.opening import open_rig
from calibration.stored import Stored, devices_of
from drivers.clock import VirtualClock
from drivers.twin.optics_config import OpticsConfig


@pytest.mark.parametrize(
    ("kind", "plots", "titles"),
    [
        (
            "lut",
            2,
            ["grey level", "phase, rad", "phase error, rad", "measured response", "after: grey levels left out of the fit"],
        ),
        ("timing", 1, ["completed part of the step", "settled, as the driver declares", "settled, as measured"]),
    ],
)
def test_a_report_shows_all_numbers_and_plots(kind: str, plots: int, titles: list[str]) -> None:
    settings = InstrumentConfig(twin=TwinConfig(optics=OpticsConfig(image_px=64, field_radius_um=14.0)))
    rig, fibre = open_rig(settings, VirtualClock())
    stages: set[str] = set()
    task = Task(rig=rig, settings=settings, report=lambda stage, *_: stages.add(stage), levels=32)
    measured = MEASURE[Calibration(kind)](task)
    stored = Stored(measured.kind, devices_of(rig), {**measured.numbers, "fibre": fibre}, measured.arrays)
    rig.close()
    page = document(stored, measured.numbers, measured.sections)
    assert page.count("<svg ") == plots
    for title in titles:
        assert f">{title}</text>" in page
    for key in measured.numbers:
        assert f"<td>{key}</td>" in page
        assert f">{key}</th>" not in page, f"{key} has no label"
    assert fibre in page
    assert "simulated camera" in page
    assert stages == {"frames"}


def test_values_have_units_and_few_digits() -> None:
    assert labelled("slm_range_rad", 6.299123) == ("Phase of white minus phase of black", "6.299 rad", "slm_range_rad")
    mirrored = False
    assert labelled("flipped", mirrored) == ("Mirrored", "no", "flipped")
    assert labelled("camera_shape", [128, 96])[1] == "128 × 96 px"
    assert labelled("hot_pixels", 3)[1] == "3"
    assert labelled("unknown_number", 0.25) == ("unknown_number", "0.25", "unknown_number")


def test_names_of_devices_and_fibres_are_text() -> None:
    stored = Stored("phase LUT", {"camera": "<i>cam</i>"}, {"fibre": "<b>mine</b>"}, {"phases_rad": np.zeros(3)})
    page = document(stored, {}, [])
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "<i>" not in page
