"""Pages of reports: whole, in order, and safe against any text."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from app.reporting.images import Picture
from app.reporting.plots import line_plot
from app.reporting.rendering import Page, Section, Verdict, render, utc_text

HOSTILE = '<img src="x" onerror="alert(1)"> & \'more\''


class Outline(HTMLParser):
    """Collect the tags and the text of a page; every tag must be closed in order."""

    EMPTY = frozenset({"meta", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_page_holds_everything_once_and_in_order() -> None:
    picture = Picture(np.zeros((4, 4), np.uint8), "a dark frame")
    page = Page(
        title="Calibration",
        verdict=Verdict("3 of 3 pairs, verified", good=True),
        rows=[("Fibre", "twin 1")],
        sections=[
            Section(title="Numbers", text="Measured today.", rows=[("Phase", "6.3 rad", "slm_range_rad"), ("Cores", 457)]),
            Section(title="Images", pictures=[[picture, picture], [picture]], plots=[line_plot([0, 1], [0, 1], "x", "y")]),
        ],
    )
    html = render(page)
    assert html.startswith("<!doctype html>")
    outline = Outline(html)
    assert outline.open == []
    text = "\n".join(outline.text)
    expected = ["3 of 3 pairs, verified", "Fibre", "twin 1", "Numbers", "Measured today.", "6.3 rad", "457", "a dark frame"]
    places = [text.index(part) for part in expected]
    assert places == sorted(places)
    assert outline.tags.count("img") == outline.tags.count("figcaption") == 3
    assert outline.tags.count("svg") == 1
    assert outline.tags.count("section") == 2
    assert ("class", "good") in outline.attributes
    sources = [value for name, value in outline.attributes if name == "src"]
    assert all(str(value).startswith("data:image/png;base64,") for value in sources), "the page needs no other file"


def test_a_bad_verdict_looks_bad_and_an_empty_page_is_whole() -> None:
    outline = Outline(render(Page(title="d", verdict=Verdict("NOT verified", good=False))))
    assert ("class", "bad") in outline.attributes
    assert Outline(render(Page(title="nothing"))).open == []


def test_text_is_never_markup() -> None:
    picture = Picture(np.zeros((4, 4), np.uint8), HOSTILE)
    section = Section(title=HOSTILE, text=HOSTILE, rows=[(HOSTILE, HOSTILE)], pictures=[[picture]])
    html = render(Page(title=HOSTILE, verdict=Verdict(HOSTILE, good=True), rows=[(HOSTILE, HOSTILE)], sections=[section]))
    assert '<img src="x"' not in html
    assert "&lt;img src=" in html
    outline = Outline(html)
    assert outline.tags.count("img") == 1
    assert not [name for name, _ in outline.attributes if name == "onerror"]
    assert "".join(outline.text).count(HOSTILE) == 10
    assert ("alt", HOSTILE) in outline.attributes


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        ("2026-11-29T16:25:38.5+00:00", "2026-11-29 16:25:38 UTC"),
        ("2026-11-29T17:25:38+01:00", "2026-11-29 16:25:38 UTC"),
        ("", ""),
    ],
)
def test_dates_are_read_by_people(iso: str, text: str) -> None:
    assert utc_text(iso) == text
