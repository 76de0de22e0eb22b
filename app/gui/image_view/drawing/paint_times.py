"""Measures how long a pane takes to paint a new picture, in software and by OpenGL.

``python -m app.gui.image_view.drawing.paint_times [REPEATS]`` prints JSON.

Qt's platform is chosen once for each process. So a benchmark starts this module as a process on the screen that it measures.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QObject, QRectF
from PyQt6.QtOpenGLWidgets import QOpenGLWidget
from PyQt6.QtWidgets import QApplication, QWidget
from pyqtgraph.Qt import OpenGLHelpers

from app.gui.image_view.drawing.choice import Drawing, DrawingOption, choose_drawing
from app.gui.image_view.drawing.picture_item import PictureItem
from app.gui.image_view.drawing.software_item import SoftwarePictureItem
from drivers.base import SpeckleScopeError

_VIEW_PX = 600
_WARM_UP = 3
_VISIBLE_S = 10.0


class _Pane(QObject):
    """One picture in a view, as in the window."""

    def __init__(self, item: PictureItem) -> None:
        super().__init__()
        self.item = item
        self.view = pg.GraphicsView()
        item.prepare_view(self.view)
        self._box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.view.setCentralItem(self._box)
        self._box.addItem(item, ignoreBounds=True)
        self.view.setFixedSize(_VIEW_PX, _VIEW_PX)
        self._viewport: QWidget = self.view.viewport()
        self._viewport.installEventFilter(self)
        self._paints = 0

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Count how often the view is painted."""
        self._paints += event is not None and event.type() is QEvent.Type.Paint
        return False

    def show_whole(self, picture: NDArray[Any]) -> None:
        """Fit the view to pictures of this kind."""
        self.item.set_levels(0.0, float(picture.max()))
        self._box.setRange(QRectF(0.0, 0.0, picture.shape[1], picture.shape[0]), padding=0.0)

    def paint_s(self, picture: NDArray[Any], labels: NDArray[np.uint16] | None) -> float:
        """Show a new picture; return the time until it has been painted, in seconds."""
        QApplication.processEvents()
        before = self._paints
        start_s = time.perf_counter()
        self.item.set_picture(picture)
        self.item.set_outlines(labels)
        while self._paints == before:
            QApplication.processEvents()
            if time.perf_counter() - start_s > _VISIBLE_S:
                raise SpeckleScopeError("the window was not painted: keep it visible while it is measured")
        if isinstance(self._viewport, QOpenGLWidget):  # OpenGL works behind our back: wait until it has finished
            self._viewport.makeCurrent()
            OpenGLHelpers.getFunctions(self._viewport.context()).glFinish()
        return time.perf_counter() - start_s


def measure(repeats: int = 30) -> dict[str, object]:
    """Paint new pictures in software and by OpenGL in turn, and return the medians and the least times in milliseconds.

    Parameters
    ----------
    repeats : int
        How often each picture is painted in each way.

    Returns
    -------
    dict
        ``renderer``, and for each kind of picture ``paint_ms_software_...`` and ``paint_ms_card_...``; the latter is None
        without OpenGL. A renderer without a card says nothing about a card.

    Raises
    ------
    SpeckleScopeError
        The window is not visible.
    """
    chosen = choose_drawing(DrawingOption.CARD)
    panes = {"software": _Pane(SoftwarePictureItem())}
    if chosen.drawing is Drawing.GRAPHICS_CARD:
        panes["card"] = _Pane(chosen.new_item())
    # Each in a window of its own: a window with one OpenGL widget is put together by OpenGL as a whole.
    for number, pane in enumerate(panes.values()):
        pane.view.move(number * _VIEW_PX, 0)
        pane.view.show()
        _wait_until_visible(pane.view)
    result: dict[str, object] = {"renderer": chosen.reason, "repeats": repeats}
    for kind, pictures in _pictures().items():
        for outlines, labels in (("", None), ("_outlines", _discs(256))):
            times = _times(panes, pictures, labels, repeats)
            for name in ("software", "card"):
                seconds = times.get(name)
                key = f"paint_ms_{name}_{kind}{outlines}"
                result[key] = round(statistics.median(seconds) * 1e3, 2) if seconds else None
                result[f"{key}_least"] = round(min(seconds) * 1e3, 2) if seconds else None
    for pane in panes.values():
        pane.view.hide()
    return result


def _times(
    panes: dict[str, _Pane], pictures: list[NDArray[Any]], labels: NDArray[np.uint16] | None, repeats: int
) -> dict[str, list[float]]:
    """Return the times in seconds; the ways to draw take turns, so that a load of the machine meets both."""
    times: dict[str, list[float]] = {name: [] for name in panes}
    for pane in panes.values():
        pane.show_whole(pictures[0])
    for turn in range(repeats + _WARM_UP):
        for name, pane in panes.items():
            seconds = pane.paint_s(pictures[turn % len(pictures)], labels)
            if turn >= _WARM_UP:
                times[name].append(seconds)
    return times


def _wait_until_visible(window: QWidget) -> None:
    deadline_s = time.monotonic() + _VISIBLE_S
    while time.monotonic() < deadline_s:
        QApplication.processEvents()
        handle = window.windowHandle()
        if handle is not None and handle.isExposed():
            return
    raise SpeckleScopeError(f"the window did not become visible within {_VISIBLE_S:g} s: check the X server")


def _pictures() -> dict[str, list[NDArray[Any]]]:
    """Return three pictures of each kind: frames of a large camera, and phases."""
    rng = np.random.default_rng(0)
    return {
        "2048_uint16": [rng.integers(0, 4096, (2048, 2048), dtype=np.uint16) for _ in range(3)],
        "1024_float32": [rng.random((1024, 1024), dtype=np.float32) * np.float32(3.0) for _ in range(3)],
    }


def _discs(side_px: int) -> NDArray[np.uint16]:
    """Return labels of 64 discs."""
    rows, columns = np.mgrid[:side_px, :side_px]
    step = side_px // 8
    inside = np.hypot(rows % step - step / 2, columns % step - step / 2) < step * 0.4
    return np.where(inside, 1 + rows // step * 8 + columns // step, 0).astype(np.uint16)


if __name__ == "__main__":
    application = QApplication(sys.argv)
    print(json.dumps(measure(*map(int, sys.argv[1:2])), indent=1))
