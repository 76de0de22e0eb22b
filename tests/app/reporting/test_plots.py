"""Plots in reports: every point, name and unit is there, and the same numbers give the same text."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from app.reporting.plots import Limit, Role, Series, line_plot, new_figure, plot, png

SVG = "{http://www.w3.org/2000/svg}"
X = np.arange(12.0)


def markers(drawn: str) -> int:
    """Count the points that lie inside the axes, without those of the legend and the ticks."""
    axes = next(group for group in ET.fromstring(drawn).iter(f"{SVG}g") if group.get("id") == "axes_1")
    lines = [group for group in axes.findall(f"{SVG}g") if str(group.get("id")).startswith("line2d")]
    return sum(len(list(line.iter(f"{SVG}use"))) for line in lines)


def texts(drawn: str) -> list[str]:
    return [str(element.text) for element in ET.fromstring(drawn).iter(f"{SVG}text")]


def test_a_plot_has_its_titles_names_and_points() -> None:
    series = [Series(X, X**2, name="measured", role=Role.MEASURED), Series(X, X, name="fit", role=Role.AFTER)]
    drawn = plot(series, "exposure, ms", "variance, counts²", Limit(50.0, "largest accepted value"))
    assert {"exposure, ms", "variance, counts²", "measured", "fit", "largest accepted value"} <= set(texts(drawn))
    assert markers(drawn) == len(X)
    assert drawn.startswith("<svg ")
    assert 'aria-label="variance, counts²"' in drawn


def test_points_that_are_not_finite_are_not_drawn() -> None:
    assert markers(line_plot(X, np.where(X % 4, X, np.nan), "x", "y")) == 9
    assert line_plot([], [], "pair", "correlation <1>") == "<p>correlation &lt;1&gt;: nothing to plot</p>"
    assert "nothing to plot" in line_plot(X, np.full(12, np.inf), "x", "y")


def test_long_series_have_a_limited_number_of_markers() -> None:
    x = np.arange(4000.0)
    assert markers(plot([Series(x, x, role=Role.MEASURED)], "x", "y")) == 400
    assert markers(line_plot(x, x, "x", "y")) == 0


def test_the_same_numbers_give_the_same_text() -> None:
    assert line_plot(X, X**2, "x", "y") == line_plot(X, X**2, "x", "y")
    assert line_plot(X, X**2, "x", "y") != line_plot(X, X, "x", "y")
    drawn = line_plot(X, X**2, "x", "y")
    assert "<dc:date>" not in drawn
    images = []
    for _ in range(2):
        with new_figure(2, 2) as figure:
            figure.add_subplot().plot(X, X)
            images.append(png(figure, 50))
    assert images[0] == images[1]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", "costs $5 or $6", "名前"])
def test_any_name_is_shown_as_it_is(name: str) -> None:
    """Also names that matplotlib takes for a formula or has no letters for."""
    drawn = plot([Series(X, X, name=name)], name, name)
    assert texts(drawn).count(name) == 3
    assert "<script" not in drawn


def test_matplotlib_is_loaded_when_the_first_plot_is_drawn() -> None:
    program = (
        "import sys, app.reporting.rendering\n"
        "from app.reporting.plots import line_plot\n"
        "assert not {'matplotlib', 'jinja2'} & set(sys.modules), 'loaded too early'\n"
        "line_plot([0, 1], [0, 1], 'x', 'y')\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
