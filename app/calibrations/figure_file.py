"""The plots and pictures of a stored calibration: the file that keeps them, and the table of a plot's points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acquisition.archive.atomic_files import image_bytes
from app.measuring.csv_text import csv_text
from app.reporting.images import Picture, grey
from app.reporting.plots import Limit, Plot, Role, Series
from app.reporting.rendering import Section
from calibration.stored import CalibrationError
from drivers.base import SpeckleScopeError
from drivers.limits import check_inside
from drivers.pictures import read_picture
from drivers.safe_text import parse_json

#: The file with the points of all plots, and the names of the pictures.
FIGURES = "figures.json"


def figure_files(sections: Sequence[Section]) -> dict[str, bytes]:
    """Return the files that keep the plots and pictures of a calibration: name and content of each."""
    files: dict[str, bytes] = {}

    def named(picture: Picture) -> dict[str, str]:
        name = f"picture-{len(files) + 1}.png"
        files[name] = image_bytes(picture.image)
        return {"file": name, "caption": picture.caption}

    content = [
        {
            "title": section.title,
            "text": section.text,
            "pictures": [[named(picture) for picture in row] for row in section.pictures],
            "plots": [_plain(plot) for plot in section.plots if isinstance(plot, Plot)],
        }
        for section in sections
    ]
    return {**files, FIGURES: json.dumps({"sections": content}, indent=1).encode()}


def read_figures(folder: Path) -> tuple[Section, ...]:
    """Read the plots and pictures of a stored calibration; pictures come back as grey.

    Returns
    -------
    tuple of Section
        Empty where the calibration was stored without them, as version 0.1.0 did.

    Raises
    ------
    CalibrationError
        The file, or one of its pictures, cannot be read.
    """
    file = folder / FIGURES
    if not file.exists():
        return ()
    try:
        check_inside(folder, [FIGURES])
        content = parse_json(file.read_bytes())
        return tuple(_section(folder, each) for each in content["sections"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SpeckleScopeError) as error:
        reason = " ".join(str(error).split())
        raise CalibrationError(f"the plots in {folder} cannot be read ({reason}); open its report instead") from error


def points_csv(plot: Plot) -> str:
    """Return the points of a plot as CSV: the name of the series, and the two coordinates with their units."""
    rows = [(series.name, float(x), float(y)) for series in plot.series for x, y in series.points()]
    return csv_text(("series", plot.x_title, plot.y_title), rows)


def _plain(plot: Plot) -> dict[str, Any]:
    return {
        "x_title": plot.x_title,
        "y_title": plot.y_title,
        "limit": None if plot.limit is None else {"value": plot.limit.value, "name": plot.limit.name},
        "series": [
            {"name": each.name, "role": each.role.value, "points": [list(map(float, point)) for point in each.points()]}
            for each in plot.series
        ],
    }


def _section(folder: Path, content: Mapping[str, Any]) -> Section:
    return Section(
        title=str(content["title"]),
        text=str(content["text"]),
        pictures=[[_picture(folder, picture) for picture in row] for row in content["pictures"]],
        plots=[_plot(plot) for plot in content["plots"]],
    )


def _picture(folder: Path, content: Mapping[str, Any]) -> Picture:
    name = str(content["file"])
    check_inside(folder, [name])
    picture = read_picture(folder / name)
    return Picture(grey(picture.pixels, 0, picture.white or 1), str(content["caption"]))


def _plot(content: Mapping[str, Any]) -> Plot:
    limit = content["limit"]
    return Plot(
        series=[_series(each) for each in content["series"]],
        x_title=str(content["x_title"]),
        y_title=str(content["y_title"]),
        limit=None if limit is None else Limit(float(limit["value"]), str(limit["name"])),
    )


def _series(content: Mapping[str, Any]) -> Series:
    points = np.array(content["points"], np.float64).reshape(-1, 2)
    return Series(points[:, 0], points[:, 1], name=str(content["name"]), role=Role(str(content["role"])))
