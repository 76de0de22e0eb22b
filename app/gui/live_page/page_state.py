"""The adjustable state of the live page as plain data, for presets and for the next start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from app.gui.image_view.pane_grid import PaneGrid
from app.gui.live_page.cells.panel import CellsPanel
from app.gui.live_page.record_panel import RecordPanel
from app.gui.session_protocol import SessionLike
from app.live.slm.content import SlmContent, SlmKind
from drivers.base import SpeckleScopeError
from drivers.camera_settings import SettingName, find, value_from_text
from reconstruction.sampling import Sampling, Shown
from reconstruction.segmentation.config import SegmentationConfig


class PageParts(Protocol):
    """The parts of the live page whose state is stored."""

    session: SessionLike
    pictures: PaneGrid
    recorder: RecordPanel
    cells: CellsPanel

    def panel_places(self) -> str:
        """Return which panels are open and where."""

    def move_panels(self, places: str) -> bool:
        """Open and move panels; return whether the places could be read."""


def layout_of(page: PageParts) -> dict[str, object]:
    """Return panes, panels and the form of recordings with its operator: what comes back at the next start."""
    return {**_places_of(page), "credits": page.recorder.credits()}


def _places_of(page: PageParts) -> dict[str, object]:
    return {
        "panes": page.pictures.state(),
        "record": page.recorder.state(),
        "cells": page.cells.state(),
        "panels": page.panel_places(),
    }


def preset_of(page: PageParts) -> dict[str, object]:
    """Return everything that can be adjusted: the layout, camera, SLM, how samples are drawn, how cells are labelled.

    Operator and sample are left out: whoever applies a preset is not who saved it.
    """
    content = page.session.slm_status().content
    slm = {"kind": content.kind.value, "picture": str(content.picture) if content.picture is not None else None}
    camera = {setting.name.value: str(setting.value) for setting in page.session.camera_settings()}
    has_slm = bool(page.session.slm_status().kinds)
    sampler = page.session.live_status().sampler
    sampling = asdict(sampler.sampling) if sampler is not None else None
    return {
        **_places_of(page),
        "camera": camera,
        "segmentation": {**asdict(page.session.segmentation), "weights": str(page.session.segmentation.weights or "")},
        **({"slm": slm} if has_slm else {}),
        **({"sampling": sampling} if sampling is not None else {}),
    }


def restore(page: PageParts, state: Mapping[str, object]) -> list[str]:
    """Set what :func:`layout_of` or :func:`preset_of` has returned, as far as it fits.

    Returns
    -------
    list of str
        One sentence for everything that does not fit; it stays as it is.
    """
    problems = []
    for key, apply in (
        ("panes", _panes),
        ("record", _record),
        ("credits", _credits),
        ("cells", _cells),
        ("panels", _panels),
        ("segmentation", _segmentation),
        ("camera", _camera),
        ("slm", _slm),
        ("sampling", _sampling),
    ):
        if key in state:
            problems += apply(page, state[key])
    return problems


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _panes(page: PageParts, stored: object) -> list[str]:
    return page.pictures.restore(_mapping(stored))


def _record(page: PageParts, stored: object) -> list[str]:
    if page.session.recording_status().active:
        return ["a recording is running, so the form of recordings stays as it is"]
    return page.recorder.restore(_mapping(stored))


def _credits(page: PageParts, stored: object) -> list[str]:
    page.recorder.show_credits(_mapping(stored))
    return []


def _cells(page: PageParts, stored: object) -> list[str]:
    return page.cells.restore(_mapping(stored))


def _segmentation(page: PageParts, stored: object) -> list[str]:
    entry = _mapping(stored)
    kind, threshold, area, weights = (entry.get(key) for key in ("kind", "threshold", "min_area_px", "weights"))
    if not (isinstance(kind, str) and isinstance(area, int) and isinstance(weights, str)):
        return [f"cells cannot be labelled as {stored!r}"]
    if threshold is not None and not isinstance(threshold, int | float):
        return [f"cells cannot be labelled as {stored!r}"]

    def change(kind: str = kind, threshold: float | None = threshold, area: int = area, weights: str = weights) -> None:
        config = SegmentationConfig(
            kind=kind, threshold=threshold, min_area_px=area, weights=Path(weights) if weights else None
        )
        if config != page.session.segmentation:
            page.session.choose_segmentation(config)

    return _problem(change)


def _panels(page: PageParts, stored: object) -> list[str]:
    return [] if page.move_panels(str(stored)) else ["the places of the panels cannot be read"]


def _camera(page: PageParts, stored: object) -> list[str]:
    problems = []
    settings = page.session.camera_settings()
    for name, text in _mapping(stored).items():
        if name not in set(SettingName):
            problems.append(f"there is no setting {name!r} of a camera")
            continue
        key = SettingName(name)

        def change(key: SettingName = key, text: str = str(text)) -> None:
            value = value_from_text(key, text)
            if find(settings, key).value != value:
                page.session.set_camera(key, value)

        problems += _problem(change)
    return problems


def _slm(page: PageParts, stored: object) -> list[str]:
    entry = _mapping(stored)
    kind, picture = entry.get("kind"), entry.get("picture")
    if kind not in set(SlmKind):
        return [f"the SLM cannot show {kind!r}"]
    content = SlmContent(SlmKind(str(kind)), Path(picture) if isinstance(picture, str) else None)
    if content == page.session.slm_status().content and page.session.slm_status().pending is None:
        return []
    return _problem(lambda: page.session.show_on_slm(content))


def _sampling(page: PageParts, stored: object) -> list[str]:
    sampler, entry = page.session.live_status().sampler, _mapping(stored)
    if sampler is None:
        return ["the model in use draws no samples"]
    steps, shown, seed = entry.get("steps"), entry.get("shown"), entry.get("seed")
    if not isinstance(steps, int) or not isinstance(seed, int) or shown not in list(Shown):
        return [f"samples cannot be drawn as {stored!r}"]

    def change() -> None:
        sampling = Sampling(steps=steps, shown=Shown(str(shown)), seed=seed)
        if sampling != sampler.sampling:
            page.session.choose_sampling(sampling)

    return _problem(change)


def _problem(change: Callable[[], None]) -> list[str]:
    try:
        change()
    except (SpeckleScopeError, ValueError) as error:
        return [str(error)]
    return []
