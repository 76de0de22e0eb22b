"""A film that looks like a pane: every frame is painted by a pane that nobody sees."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QRectF, QSize, Qt
from PyQt6.QtGui import QImage

from acquisition.exchange.export import export_film
from acquisition.exchange.export_base import ExportError
from acquisition.exchange.export_video import write_pictures
from acquisition.exchange.formats.excerpt import result_of
from acquisition.exchange.formats.film_picture import write_time
from app.exporting.order import ExportOrder, OrderedArchive
from app.gui.image_view.contents import Content, Newest, PaneFacts
from app.gui.image_view.drawing.software_item import SoftwarePictureItem
from app.gui.image_view.levels.level_store import LevelStore
from app.gui.image_view.pane import Pane
from app.gui.image_view.pane_options import PaneOptions
from app.gui.pages.waker import Waker
from app.gui.player.moment import moment_of, pane_facts
from app.playback.played_archive import PlayedArchive
from app.playback.played_frame import Layer, PlayedFrame

#: The longer side of a film whose pane is not seen.
_SIDE_PX = 640
#: A pane that takes longer for one frame has been closed.
_PATIENCE_S = 30.0
#: What a recording can show.
_RECORDED = (Content.SPECKLE, Content.PHASE, Content.OVERLAY, Content.UNCERTAINTY)


@dataclass(frozen=True, kw_only=True)
class DisplayedLook:
    """How a pane looks.

    Parameters
    ----------
    options : PaneOptions
        What it shows, and how.
    levels : tuple of float
        The values of the first and the last colour.
    part_um : QRectF, optional
        The part of the picture that is seen, in micrometres; None for all of it.
    size_px : QSize
        How large this part is on the screen.
    """

    options: PaneOptions
    levels: tuple[float, float]
    part_um: QRectF | None
    size_px: QSize


def look_of(pane: Pane) -> DisplayedLook | None:
    """Return how a pane looks now; None where it has no picture, or shows what is not recorded."""
    canvas = pane.canvas
    picture = canvas.annotations.picture
    if pane.content not in _RECORDED or pane.shown is None or not picture.isValid():
        return None
    return DisplayedLook(
        options=pane.options,
        levels=pane.strip.levels.pair,
        part_um=canvas.visible_um.intersected(canvas.extent_um),
        size_px=picture.size().toSize(),
    )


def first_look(archive: PlayedArchive) -> DisplayedLook:
    """Return how the player shows an archive at first."""
    content = Content.OVERLAY if Layer.LABELS in archive.layers else Content.PHASE
    content = content if archive.facts.is_recording else Content.SLM
    facts = pane_facts(archive)
    size = QSize(_SIDE_PX, _SIDE_PX)
    return DisplayedLook(
        options=PaneOptions.of(content), levels=facts.default_levels(content.values), part_um=None, size_px=size
    )


class HiddenPane:
    """A pane that is painted into images; only the thread of the window may use it.

    Parameters
    ----------
    facts : PaneFacts
        What it has to know about the archive.
    look : DisplayedLook
        How it looks.
    painted : callable
        Called with each picture: ndarray of uint8 (H, W, 3), blue, green, red, with even sides.
    """

    def __init__(self, facts: PaneFacts, look: DisplayedLook, painted: Callable[[NDArray[Any]], None]) -> None:
        self._look = look
        self._painted = painted
        self._store = LevelStore(facts)
        self._pane = Pane(facts, self._store, look.options, SoftwarePictureItem())
        self._pane.strip.levels.set_pair(*look.levels)
        self._canvas = self._pane.canvas
        # Alone, it is exactly as large as the film; the rest of the pane is not seen in it.
        self._canvas.setParent(None)
        self._canvas.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
        self._canvas.setMinimumSize(16, 16)
        self._canvas.resize(_even(look.size_px))
        self._canvas.show()
        self._pane.picture_changed.connect(self._paint_picture)

    def show_moment(self, moment: Newest) -> None:
        """Paint a frame, or the reason why there is no picture of it."""
        picture = moment.picture(self._pane.content)
        self._pane.show_picture(picture)
        if isinstance(picture, str):
            self._paint()

    def close(self) -> None:
        """Free it."""
        self._pane.picture_changed.disconnect(self._paint_picture)
        self._canvas.close()
        self._canvas.deleteLater()
        self._pane.deleteLater()

    def _paint_picture(self, *_: object) -> None:
        if self._pane.shown is not None:  # it may come later, after a slow filter; a reason is painted when it is told
            self._paint()

    def _paint(self) -> None:
        canvas = self._canvas
        if self._pane.shown is not None:
            canvas.show_part(self._look.part_um or canvas.extent_um)
            self._pane.refresh_numbers("")
        image = canvas.viewport.grab().toImage()
        self._painted(pixels_of(image))


def pixels_of(image: QImage) -> NDArray[np.uint8]:
    """Return the pixels of an image, (H, W, 3): blue, green, red; an odd last row or column is left out."""
    image = image.convertToFormat(QImage.Format.Format_BGR888)
    bits = image.constBits()
    assert bits is not None
    rows = np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8).reshape(image.height(), image.bytesPerLine())
    height, width = image.height() // 2 * 2, image.width() // 2 * 2
    return rows[:height, : 3 * width].reshape(height, width, 3).copy()


def _even(size: QSize) -> QSize:
    return QSize(max(16, size.width() + size.width() % 2), max(16, size.height() + size.height() % 2))


class DisplayedFilm(QObject):
    """Writes films as displayed: a job reads and encodes frames, and the thread of the window paints them.

    Parameters
    ----------
    look : DisplayedLook, optional
        How the pane looks; None for a pane that nobody has changed.
    """

    def __init__(self, look: DisplayedLook | None) -> None:
        super().__init__()
        self._look = look
        self._asked: queue.Queue[tuple[PaneFacts, DisplayedLook, PlayedFrame] | None] = queue.Queue()
        self._answers: queue.Queue[NDArray[Any] | Exception] = queue.Queue()
        self._pane: HiddenPane | None = None
        self._waker = Waker(self._work)

    def write(self, one: OrderedArchive, order: ExportOrder, step: Callable[[], None]) -> None:
        """Write the film of an archive; called in the thread of the job. ``step`` is called for each frame.

        Raises
        ------
        SpeckleScopeError
            The film exists or cannot be written, or a frame cannot be painted.
        """
        played = PlayedArchive(one.path)
        part = one.excerpt(order)
        result = result_of(one.archive, order.result) if order.result else None
        look = self._look or first_look(played)
        facts = pane_facts(played)
        first_ns = part.row(0).t_ns

        def pictures() -> Iterator[NDArray[Any]]:
            for number in part.numbers:
                step()
                frame = played.load(number, result)
                picture = self._painted(facts, look, frame)
                if order.options.film.time_stamp:
                    write_time(picture, (frame.row.t_ns - first_ns) * 1e-9)
                yield picture

        low, high = look.levels
        content = look.options.content
        comment = f"for viewing only: lossy, {content.label} as displayed, {low:g} to {high:g} {content.values.unit}"
        try:
            write = partial(write_pictures, part, pictures(), comment)
            export_film(part, order.displayed_film(one.path), write, overwrite=order.overwrite)
        finally:
            self._asked.put(None)
            self._waker.wake()

    def _painted(self, facts: PaneFacts, look: DisplayedLook, frame: PlayedFrame) -> NDArray[Any]:
        self._asked.put((facts, look, frame))
        self._waker.wake()
        try:
            answer = self._answers.get(timeout=_PATIENCE_S)
        except queue.Empty as error:
            raise ExportError("the film as displayed cannot be painted any more; export it again") from error
        if isinstance(answer, Exception):
            raise ExportError(f"the film as displayed cannot be painted: {answer}") from answer
        return answer

    def _work(self) -> None:
        """Paint what was asked for; called in the thread of the window."""
        while not self._asked.empty():
            asked = self._asked.get()
            if asked is None:
                self._close()
                continue
            facts, look, frame = asked
            try:
                if self._pane is None:
                    self._pane = HiddenPane(facts, look, self._answers.put)
                self._pane.show_moment(moment_of(frame, facts))
            except (ValueError, RuntimeError) as error:
                self._answers.put(error)

    def _close(self) -> None:
        if self._pane is not None:
            self._pane.close()
            self._pane = None
