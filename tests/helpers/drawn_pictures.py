"""Draws the same pictures in software and by the shader, in one process, and prints how much their pixels differ (JSON)."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, QtMsgType, qInstallMessageHandler
from PyQt6.QtGui import QImage, QTransform
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QWidget

from app.gui.image_view.drawing.choice import DrawingOption, choose_drawing
from app.gui.image_view.drawing.picture_item import PictureItem
from app.gui.image_view.drawing.shader_item import ShaderPictureItem
from app.gui.image_view.drawing.software_item import SoftwarePictureItem

#: Odd, so that rows are not aligned to four bytes.
WIDTH, HEIGHT = 101, 67
VIEW_PX = (240, 210)
_SMOOTH_TOO = ("16 bits, colours and levels", "float with NaN", "cyclic float with NaN", "outlines", "smooth ramp", "turned")
SETTLED_S = 10.0
TURN = 2 * math.pi


@dataclass(frozen=True, kw_only=True)
class Case:
    """One picture, and how it is shown: ``zoom`` in pixels of the screen per pixel of the picture."""

    picture: np.ndarray
    levels: tuple[float, float] = (0.0, 255.0)
    table: str = ""
    cyclic: bool = False
    full_scale: int | None = None
    labels: np.ndarray | None = None
    colours: np.ndarray | None = None
    opacity: float = 1.0
    alpha: bool = False
    zoom: float = 1.0
    nearest: bool = True
    quarter_turns: int = 0


def table_of(case: Case) -> np.ndarray:
    if not case.table:
        table = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    else:
        table = pg.colormap.get(case.table).getLookupTable(nPts=256, alpha=False, mode="byte")
    return np.column_stack([table, np.arange(256)[::-1]]).astype(np.uint8) if case.alpha else table


def counts(dtype: Any, most: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, most + 1, (HEIGHT, WIDTH)).astype(dtype)


def phase(low: float, high: float) -> np.ndarray:
    """A ramp with noise, with some pixels that are not numbers."""
    picture = np.linspace(low, high, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH).copy()
    picture += np.random.default_rng(2).normal(0, 0.2, picture.shape).astype(np.float32)
    picture[10:14, 20:31] = np.nan
    picture[0, 0] = np.nan
    picture[50, 3:9] = np.inf
    picture[51, 3:9] = -np.inf
    return picture


def discs() -> np.ndarray:
    """Labels: objects that touch, one at the border, and a small one with the largest number."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    for number, (y, x, r) in enumerate(((16, 20, 12), (16, 40, 14), (50, 80, 16), (60, 4, 12), (40, 44, 6)), start=1):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= r * r] = number
    labels[32:38, 60:66] = 65535
    return labels


def cases() -> dict[str, Case]:
    """Return every case by its name."""
    colours = np.array([[255, 181, 69], [90, 200, 250], [255, 80, 80], [120, 255, 120]], np.uint8)
    smooth = np.tile(np.linspace(0, 255, WIDTH, dtype=np.uint8), (HEIGHT, 1))
    looks = {
        "8 bits": Case(picture=counts(np.uint8, 255)),
        "8 bits, colours and levels": Case(picture=counts(np.uint8, 255), levels=(37, 137), table="viridis"),
        "12 bits": Case(picture=counts(np.uint16, 4095), levels=(0, 4095)),
        "16 bits, colours and levels": Case(picture=counts(np.uint16, 65535), levels=(1000, 41000), table="viridis"),
        "float with NaN": Case(picture=phase(-1, 4), levels=(0, math.pi), table="viridis"),
        "cyclic float with NaN": Case(picture=phase(-9, 15), levels=(0, TURN), table="CET-C1s", cyclic=True),
        "cyclic float within its levels": Case(
            picture=np.clip(np.nan_to_num(phase(0.1, 6), posinf=1, neginf=1), 0, 6.2),
            levels=(0, TURN),
            table="CET-C1s",
            cyclic=True,
        ),
        "cyclic 8 bits": Case(picture=counts(np.uint8, 255), levels=(0, 100), table="CET-C1s", cyclic=True),
        "cyclic 16 bits": Case(picture=counts(np.uint16, 4095), levels=(0, 1000), table="CET-C1s", cyclic=True),
        "8 bits, clipped": Case(picture=counts(np.uint8, 255), full_scale=250),
        "12 bits, clipped": Case(picture=counts(np.uint16, 4095), levels=(0, 4095), full_scale=4000),
        "outlines": Case(picture=counts(np.uint8, 255), labels=discs()),
        "outlines in colours": Case(picture=phase(-1, 4), levels=(0, math.pi), labels=discs(), colours=colours),
        "opacity": Case(picture=counts(np.uint8, 255), opacity=0.4, labels=discs(), colours=colours),
        "table with opacity": Case(picture=counts(np.uint8, 255), alpha=True, table="viridis"),
        "turned": Case(picture=counts(np.uint16, 4095), levels=(0, 4095), labels=discs(), quarter_turns=1),
        "a column": Case(picture=counts(np.uint8, 255)[:, :1]),
        "smooth ramp": Case(picture=smooth, table="viridis"),
    }
    shown: dict[str, Case] = {}
    for name, look in looks.items():
        views = [(1.0, True), (3.0, True), (1.0, False)]
        if name in _SMOOTH_TOO:
            views += [(3.0, False), (0.37, False), (1.73, False)]
        for zoom, nearest in views:
            options = {"zoom": zoom, "nearest": nearest}
            shown[f"{name}; {zoom:g}x {'nearest' if nearest else 'smooth'}"] = Case(**{**vars(look), **options})
    return shown


@dataclass
class View:
    """A view with one picture, as a pane has it."""

    item: PictureItem
    canvas: pg.GraphicsView = field(init=False)

    def __post_init__(self) -> None:
        self.canvas = pg.GraphicsView(background=(21, 26, 32))
        self.item.prepare_view(self.canvas)
        self.box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False, defaultPadding=0.0)
        self.canvas.setCentralItem(self.box)
        self.box.addItem(self.item, ignoreBounds=True)
        self.canvas.setFixedSize(*VIEW_PX)

    def show_case(self, case: Case) -> None:
        item = self.item
        item.set_picture(case.picture)
        item.set_levels(*case.levels)
        item.set_colours(table_of(case), cyclic=case.cyclic)
        item.mark_clipped(case.full_scale)
        item.set_outlines(case.labels, case.colours)
        item.set_opacity(case.opacity)
        item.set_nearest(nearest=case.nearest)
        turned = QTransform().rotate(90.0 * case.quarter_turns)  # in the view only
        edges = turned.mapRect(item.boundingRect())
        item.setTransform(turned * QTransform.fromTranslate(-edges.left(), -edges.top()))
        self.box.setRange(QRectF(-10.0, -5.0, VIEW_PX[0] / case.zoom, VIEW_PX[1] / case.zoom), padding=0.0)

    def pixels(self, shot: QImage) -> np.ndarray:
        """Cut the view out of a picture of the screen."""
        ratio = self.canvas.devicePixelRatioF()
        corner = self.canvas.mapToGlobal(QPoint())
        left, top = round(corner.x() * ratio), round(corner.y() * ratio)
        width, height = (round(side * ratio) for side in VIEW_PX)
        return array_of(shot.copy(left, top, width, height))


def array_of(image: QImage) -> np.ndarray:
    """Return red, green, blue of an image, (h, w, 3)."""
    image = image.convertToFormat(QImage.Format.Format_RGBX8888)
    memory = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
    return memory.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), :3].astype(int)


def wait_until_exposed(window: QWidget) -> None:
    deadline_s = time.monotonic() + SETTLED_S
    while not ((handle := window.windowHandle()) and handle.isExposed()):
        assert time.monotonic() < deadline_s, "the X server has not shown the window"
        QApplication.processEvents()


def pixels_on_screen(views: list[View]) -> list[np.ndarray]:
    """Return what the X server shows of each view, as soon as this is more than one colour and does not change any more."""
    for view in views:
        wait_until_exposed(view.canvas.window())
        view.canvas.viewport().repaint()
    before: list[np.ndarray] = []
    deadline_s = time.monotonic() + SETTLED_S
    while True:
        for _ in range(3):
            QApplication.processEvents()
        shot = QApplication.primaryScreen().grabWindow(0).toImage()
        shown = [view.pixels(shot) for view in views]
        settled = bool(before) and all(np.array_equal(*pair) for pair in zip(before, shown, strict=True))
        if (settled and all(np.ptp(pixels, axis=(0, 1)).any() for pixels in shown)) or time.monotonic() > deadline_s:
            return shown
        before = shown


def difference(views: list[View], case: Case, *, grabbed: bool = False) -> dict[str, Any]:
    """Show a case in both views; return how much they differ on the screen, or in a copy of the second widget.

    ``largest`` is the largest difference of a pixel, ``beyond_1`` and ``beyond_3`` are the numbers of pixels that differ by
    more than so many grey levels, and ``drawn`` is the number of pixels that do not have the colour of the background.
    """
    for view in views:
        view.show_case(case)
    copied = views[1].canvas.grab() if grabbed else None  # before the screen shows it
    software, card = pixels_on_screen(views)
    if copied is not None:
        card = array_of(copied.toImage())
    off = np.abs(software - card).max(axis=2)
    drawn = np.any(software != software[-1, -1], axis=2)
    return {
        "largest": int(off.max()),
        "beyond_1": int((off > 1).sum()),
        "beyond_3": int((off > 3).sum()),
        "drawn": int(drawn.sum()),
    }


def follows_the_mouse(view: View) -> bool:
    """Whether the scene is told where the mouse is while no button is pressed. The X server moves it, asked by xdotool."""
    positions: list[QPointF] = []
    view.canvas.scene().sigMouseMoved.connect(positions.append)
    deadline_s = time.monotonic() + SETTLED_S
    while QPointF(60, 50) not in positions and time.monotonic() < deadline_s:
        for place in (QPoint(20, 20), QPoint(60, 50)):
            there = view.canvas.viewport().mapToGlobal(place) * view.canvas.devicePixelRatioF()
            subprocess.run(["xdotool", "mousemove", str(there.x()), str(there.y())], check=True, timeout=SETTLED_S)
            QApplication.processEvents()
    return bool(positions)


def compare(names: list[str]) -> dict[str, Any]:
    """Return the differences of some cases, all if none is named, and of two cases after what happens to panes."""
    window, aside = QWidget(), QWidget()
    layout, aside_layout = QHBoxLayout(window), QHBoxLayout(aside)
    views = [View(SoftwarePictureItem()), View(ShaderPictureItem())]
    card = views[1]
    for view in views:
        layout.addWidget(view.canvas)
    window.show()
    results: dict[str, Any] = {}
    for name, case in cases().items():
        if not names or name in names:
            results[name] = difference(views, case)
    case = cases()["outlines in colours; 3x nearest"]
    other = cases()["cyclic 16 bits; 1x nearest"]
    if shutil.which("xdotool") is not None:
        results["follows_the_mouse"] = [follows_the_mouse(view) for view in views]
    results["copied"] = difference(views, case, grabbed=True)
    window.hide()
    window.show()
    results["hidden and shown"] = difference(views, case)
    context = card.canvas.viewport().context()
    aside.move(0, VIEW_PX[1] + 60)
    aside_layout.addWidget(card.canvas)
    aside.show()
    results["in a window of its own"] = difference(views, other)
    results["new_context"] = card.canvas.viewport().context() is not context
    layout.addWidget(card.canvas)
    aside.hide()
    results["back"] = difference(views, case)
    second = View(ShaderPictureItem())
    aside_layout.addWidget(second.canvas)
    aside.show()
    results["a second one"] = difference([views[0], second], other)
    results["the first one beside it"] = difference(views, case)
    aside.deleteLater()
    QApplication.sendPostedEvents(aside, QEvent.Type.DeferredDelete)
    results["after the second has gone"] = difference(views, other)
    results["failure"] = card.item.failure
    card.show_case(Case(picture=np.tile(counts(np.uint8, 255), (1, 1000))))
    pixels_on_screen(views)
    results["failure_of_too_large"] = card.item.failure
    results["after the failure"] = difference(views, case)
    results["failure_after_it"] = card.item.failure
    window.close()
    return results


def main(names: list[str]) -> None:
    """Print the comparison, what was chosen, and the messages of Qt."""
    messages: list[str] = []
    qInstallMessageHandler(lambda kind, _, text: messages.append(text or "") if kind is not QtMsgType.QtDebugMsg else None)
    app = QApplication(sys.argv)
    chosen = {option.value: choose_drawing(option).reason for option in DrawingOption}
    results = {} if names == ["choice"] else compare(names)
    app.processEvents()
    print(json.dumps({"chosen": chosen, "results": results, "messages": messages}))


if __name__ == "__main__":
    main(sys.argv[1:])
