"""Both themes can be read: contrasts as WCAG 2.1 computes them, level AA."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from app.gui.widgets.palette import DARK, LIGHT, PICTURE, Palette
from app.gui.widgets.style_sheet import style_sheet

_TEXT = 4.5
_SIGN = 3.0  # large text, edges of inputs, focus rings, icons
_SURFACES = ("background", "panel", "raised", "field")
_MESSAGES = ("info_fill", "warning_fill", "error_fill")
_TEXT_PAIRS = [
    *((text, on) for text in ("text", "muted") for on in (*_SURFACES, *_MESSAGES)),
    *((text, on) for text in ("good", "warning", "alarm") for on in ("background", "panel", "field")),
    *(("text", on) for on in ("primary_fill", "selection_fill", "line")),
    *(("on_fill", on) for on in ("alarm_fill", "recording_fill")),
    ("warning", "warning_fill"),
]
_SIGN_PAIRS = [
    *((sign, on) for sign in ("accent", "edge", "good", "warning", "alarm") for on in _SURFACES),
    ("accent", "info_fill"),
    ("warning", "warning_fill"),
    ("alarm", "error_fill"),
    ("primary_line", "panel"),
    ("primary_line", "background"),
]


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=["dark", "light"])
def test_text_and_signs_can_be_read(palette):
    def too_faint(pairs: list[tuple[str, str]], least: float) -> list[str]:
        ratios = {(one, on): contrast(getattr(palette, one), getattr(palette, on)) for one, on in pairs}
        return [f"{one} on {on}: {ratio:.2f}" for (one, on), ratio in ratios.items() if ratio < least]

    assert too_faint(_TEXT_PAIRS, _TEXT) == []
    assert too_faint(_SIGN_PAIRS, _SIGN) == []


def _rules(palette: Palette) -> list[tuple[str, dict[str, str]]]:
    """Return every rule of the style sheet: its selector and its properties."""
    return [
        (selector.strip(), dict(part.strip().split(": ", 1) for part in body.split(";") if ":" in part and "url" not in part))
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style_sheet(palette))
    ]


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=["dark", "light"])
def test_every_text_colour_of_the_style_sheet_is_among_these_pairs(palette):
    """A rule that sets both colours must be among the pairs; one that sets the text alone may stand on panel and background."""
    values = {f.name: getattr(palette, f.name) for f in fields(palette)}
    checked = {(values[text], values[on]) for text, on in _TEXT_PAIRS}
    missing = []
    for selector, properties in _rules(palette):
        colour = properties.get("color") or properties.get("selection-color")
        if colour is None or "disabled" in selector:
            continue
        ground = properties.get("selection-background-color" if "color" not in properties else "background", "transparent")
        grounds = [palette.background, palette.panel] if ground == "transparent" else [ground]
        missing += [(selector, colour, on) for on in grounds if (colour, on) not in checked]
    assert missing == []


def test_texts_on_pictures_stay_light_on_dark():
    assert PICTURE is DARK
