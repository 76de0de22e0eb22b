"""Reports as HTML pages: one file each that any browser opens, with plots and images inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from app.reporting.images import Picture
from app.reporting.plots import Plot

if TYPE_CHECKING:
    from jinja2 import Environment

Rows = Sequence[Sequence[object]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a report, shown in the order of its fields.

    Parameters
    ----------
    title : str
        Heading.
    text : str
        A plain paragraph.
    rows : sequence of rows
        A table; the first cell of each row is its name.
    pictures : sequence of sequences of Picture
        Rows of images, side by side.
    plots : sequence of Plot or Markup
        Plots, or what :func:`app.reporting.plots.plot` has drawn.
    """

    title: str
    text: str = ""
    rows: Rows = ()
    pictures: Sequence[Sequence[Picture]] = ()
    plots: Sequence[Plot | Markup] = ()


@dataclass(frozen=True)
class Verdict:
    """The result in one line, at the top of a report."""

    text: str
    good: bool


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole report.

    Parameters
    ----------
    title : str
        Heading, and title of the browser's window.
    verdict : Verdict, optional
        Result in one line.
    rows : sequence of rows
        What the report is about: devices, dates, settings.
    sections : sequence of Section
        The rest.
    """

    title: str
    verdict: Verdict | None = None
    rows: Rows = ()
    sections: Sequence[Section] = ()


def render(page: Page) -> str:
    """Return a report as HTML. All text is escaped: names may contain any character."""
    return _environment().get_template("page.html.j2").render(page=page)


def utc_text(iso: str) -> str:
    """Return a date and time, ISO 8601 in UTC, as people read it; text that is none stays as it is."""
    try:
        return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return iso


@cache
def _environment() -> Environment:
    # Imported here because only reports need it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
