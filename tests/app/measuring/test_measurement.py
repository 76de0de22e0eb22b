"""Measurements: their numbers, what is unknown, plain data and CSV."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from app.measuring.measurement import (
    Kind,
    MeasuredPicture,
    Measurement,
    measure,
    profiles_csv,
    results_csv,
    series_csv,
    trace_value,
    traces_csv,
)
from app.measuring.shapes import EllipseShape, LineShape, PointShape, RectangleShape
from app.measuring.time_series import TimeSeries

COUNTS = np.random.default_rng(5).integers(0, 256, (60, 80)).astype(np.uint8)
PICTURE = MeasuredPicture(values=COUNTS, pitch_um=2.0, unit="counts", frame_index=41, full_scale=255, filters=("unwrapped",))
LINE = LineShape(5.0, 11.0, 45.0, 11.0)
ALL = [
    Measurement(name="Point 1", kind=Kind.POINT, picture="speckle", shape=PointShape(33.0, 21.0)),
    Measurement(name="Distance 1", kind=Kind.DISTANCE, picture="speckle", shape=LINE),
    Measurement(name="Profile 1", kind=Kind.PROFILE, picture="speckle", shape=LINE),
    Measurement(name="Rectangle 1", kind=Kind.RECTANGLE, picture="speckle", shape=RectangleShape(10.0, 20.0, 30.0, 40.0)),
    Measurement(name="Ellipse 1", kind=Kind.ELLIPSE, picture="speckle", shape=EllipseShape(10.0, 20.0, 30.0, 40.0)),
]


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))


def test_the_numbers_are_those_of_the_raw_array():
    point, distance, profile, rectangle, ellipse = (measure(each, PICTURE).numbers for each in ALL)
    assert (point["mean"], point["x_px"], point["y_px"]) == (COUNTS[10, 16], 16, 10)
    assert distance == {"x_um": 5.0, "y_um": 11.0, "x2_um": 45.0, "y2_um": 11.0, "length_um": 40.0, "angle_deg": 0.0}
    row = COUNTS[5, 2:23]
    assert (profile["mean"], profile["max"], profile["length_um"]) == (pytest.approx(row.mean()), row.max(), 40.0)
    raw = COUNTS[10:30, 5:20]
    assert (rectangle["mean"], rectangle["std"]) == pytest.approx((raw.mean(), raw.std()))
    assert (rectangle["min"], rectangle["max"], rectangle["pixels"]) == (raw.min(), raw.max(), raw.size)
    assert rectangle["saturated_fraction"] == np.mean(raw == 255)
    assert rectangle["area_um2"] == 1200.0
    assert ellipse["area_um2"] == pytest.approx(math.pi * 15 * 20, rel=0.03)
    assert trace_value(ALL[3], PICTURE) == pytest.approx(raw.mean())
    with pytest.raises(ValueError, match="Profile 1 is a line"):
        trace_value(ALL[2], PICTURE)


def test_without_a_picture_only_the_shape_has_numbers():
    for each in ALL:
        result = measure(each, None)
        assert "mean" not in result.numbers
        assert result.profile is None
    assert measure(ALL[1], None).numbers["length_um"] == 40.0
    rows = table(results_csv(measure(each, None) for each in ALL))
    assert {row["frame"] for row in rows} == {""}


def test_a_measurement_survives_as_plain_data():
    for each in ALL:
        assert Measurement.from_state(json.loads(json.dumps(each.state()))) == each
    for damage in ({"kind": "moon"}, {"shape": {"x_um": math.nan, "y_um": 1.0}}, {"shape": 3}, {"shape": {"x_um": 1.0}}):
        with pytest.raises((TypeError, ValueError)):
            Measurement.from_state({**ALL[0].state(), **damage})


def test_csv_tables_hold_frame_unit_and_all_digits():
    results = [measure(each, PICTURE) for each in ALL]
    rows = table(results_csv(results))
    assert [row["name"] for row in rows] == [each.name for each in ALL]
    assert {row["frame"] for row in rows} == {"41"}
    assert {row["filters"] for row in rows} == {"unwrapped"}
    assert float(rows[3]["std"]) == pytest.approx(COUNTS[10:30, 5:20].std(), rel=1e-14)
    assert rows[0]["length_um"] == ""
    samples = table(profiles_csv(results))
    np.testing.assert_allclose([float(row["value"]) for row in samples], COUNTS[5, 2:23])
    assert {(row["name"], row["unit"], row["frame"]) for row in samples} == {("Profile 1", "counts", "41")}


def test_series_as_csv():
    series = TimeSeries(("mean",))
    for k in range(3):
        series.add(k, k / 60, k / 7)
    rows = table(traces_csv({"Point 1": series, "Point 2": series}, {"Point 1": "rad", "Point 2": "counts"}))
    assert [row["unit"] for row in rows] == ["rad"] * 3 + ["counts"] * 3
    assert [float(row["mean"]) for row in rows] == [k / 7 for k in range(3)] * 2
    assert series_csv(series, ["a formula"]).startswith("# a formula\r\nframe,time_s,mean\r\n0,0,0\r\n1,")
