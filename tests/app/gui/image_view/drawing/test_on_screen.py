"""On a real X screen the shader draws the pixels that software draws; Mesa's software renderer runs the shader."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.benchmarks.virtual_screens import VirtualScreens
from tests.conftest import ROOT
from tests.helpers.drawn_pictures import cases

LOOKS = {name.split(";")[0] for name in cases()}
#: What can happen to a pane.
EVENTS = (
    "copied",
    "hidden and shown",
    "in a window of its own",
    "back",
    "a second one",
    "the first one beside it",
    "after the second has gone",
    "after the failure",
)


@pytest.fixture(scope="module")
def screens() -> Iterator[VirtualScreens]:
    with VirtualScreens((1100, 1100), (16, 16)) as screens:
        yield screens


def drawn(screens: VirtualScreens, *names: str, **environment: str) -> dict[str, Any]:
    """Draw cases with these names in a process of its own; return the comparison."""
    return run_there(screens, "tests.helpers.drawn_pictures", *names, **environment)


def run_there(screens: VirtualScreens, module: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """Run a module on these screens, and return its JSON. Qt's platform is chosen once for each process."""
    command = [sys.executable, "-W", "error", "-m", module, *arguments]
    surroundings = {**os.environ, **screens.environment, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=100, check=False)
    assert not done.returncode, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def answer(screens: VirtualScreens) -> dict[str, Any]:
    answer = drawn(screens)
    assert answer["chosen"]["card"].startswith("Drawn by "), "apt-get install libgl1-mesa-dri"
    return answer


def sharp(name: str) -> bool:
    """Whether every pixel of the screen shows one pixel of the picture."""
    return name.endswith(" nearest") or ("; 1x " in name and not name.startswith("turned"))


@pytest.mark.parametrize("look", sorted(LOOKS))
def test_both_draw_the_same_pixels_within_one_grey_level(answer, look):
    shown = {name: result for name, result in answer["results"].items() if name.startswith(f"{look};") and sharp(name)}
    assert len(shown) >= 2
    for name, result in shown.items():
        assert result["drawn"] > 60, name
        assert result["largest"] <= 1, (name, result)


def test_interpolated_pixels_differ_by_three_grey_levels_at_most(answer):
    """Qt interpolates with whole numbers. An outline may move by a pixel where a label ends on the centre of a screen pixel."""
    shown = {name: result for name, result in answer["results"].items() if ";" in name and not sharp(name)}
    assert len(shown) >= 18
    for name, result in shown.items():
        assert result["drawn"] > 60, name
        assert result["beyond_3"] <= (0.001 * result["drawn"] if "outlines" in name or "turned" in name else 0), (name, result)


@pytest.mark.parametrize("event", EVENTS)
def test_a_pane_is_drawn_as_before_after_what_happens_to_it(answer, event):
    result = answer["results"][event]
    assert result["drawn"] > 6000
    assert result["largest"] == 0


def test_a_window_of_its_own_has_a_new_context_and_a_picture_too_large_for_the_card_is_drawn_in_software(answer):
    assert answer["results"]["new_context"]
    assert answer["results"]["failure"] == ""
    assert "refused a texture of 101000 x 67" in answer["results"]["failure_of_too_large"]
    assert answer["results"]["failure_after_it"] == ""


@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed; apt-get install xdotool")
def test_both_follow_the_mouse(answer):
    assert answer["results"]["follows_the_mouse"] == [True, True]


def test_software_opengl_is_no_card_and_qt_has_nothing_to_complain_about(answer):
    assert answer["chosen"]["auto"] == "Drawn in software: llvmpipe"
    assert answer["chosen"]["software"] == "Drawn in software: as chosen"
    assert answer["chosen"]["card"].startswith("Drawn by llvmpipe")
    assert answer["messages"] == []


def test_without_a_driver_software_is_chosen_with_the_reason(screens):
    chosen = drawn(screens, "choice", QT_XCB_GL_INTEGRATION="none")["chosen"]
    assert chosen["auto"] == chosen["card"] == "Drawn in software: no OpenGL driver"


@pytest.mark.slow
def test_the_time_to_paint_is_measured_for_both(screens):
    times = run_there(screens, "app.gui.image_view.drawing.paint_times", "2")
    assert times.pop("renderer") == "Drawn by llvmpipe"
    assert times.pop("repeats") == 2
    assert len(times) == 16
    for key, milliseconds in times.items():
        assert key.startswith(("paint_ms_software_", "paint_ms_card_"))
        assert 0.1 < milliseconds < 10_000, key


@pytest.mark.slow
def test_a_screen_of_twice_the_resolution_shows_the_same_pixels(screens):
    names = [name for name in cases() if name.endswith(" nearest")]
    results = drawn(screens, *names, QT_SCALE_FACTOR="2")["results"]
    for name in (*names, *EVENTS):
        assert results[name]["drawn"] > 240, name
        assert results[name]["largest"] <= 1, (name, results[name])
