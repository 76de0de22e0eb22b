"""One of the two sides of the player: a recording or a dataset with its panes, and which of its results they show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from acquisition.archive.results.stored_result import StoredResult
from app.gui.image_view.contents import PaneFacts
from app.gui.image_view.pane_grid import PaneGrid
from app.gui.image_view.pane_options import PaneOptions
from app.gui.pages.waker import Waker
from app.gui.player.corrections import CellCorrections
from app.gui.player.moment import first_contents, moment_of, pane_facts
from app.gui.player.time_text import clock_text
from app.gui.widgets.icons import Ink, icon
from app.gui.widgets.labels import ElidedLabel, caption_label
from app.playback.frame_reader import FrameReader
from app.playback.opening import Opening
from app.playback.played_archive import PlayedArchive
from app.playback.played_frame import PlayedFrame
from drivers.base import SpeckleScopeError
from drivers.visible_text import visible

#: The result that was there first.
AS_RECORDED = "As recorded"
_NARROWEST_PX = 300
_FACTS = PaneFacts(field_um=1.0, full_scale=255, display_range_rad=(0.0, 1.0))  # until an archive is open


class Side(QWidget):
    """What one archive shows at one moment; the player says which.

    Attributes
    ----------
    archive : PlayedArchive or None
        The archive, once it is open.
    path : Path or None
        Its folder, from the moment in which it is asked for.
    problem : str
        Why it cannot be opened; empty when it can.
    shown : PlayedFrame or None
        The frame that the panes show.
    pictures : PaneGrid
        The panes.
    """

    # Each carries the side itself: a function that remembered it would keep it for ever.
    opened = pyqtSignal(object)  # the archive is open, or open again with more frames or results; or it cannot be opened
    result_chosen = pyqtSignal(object)
    close_clicked = pyqtSignal(object)
    frame_shown = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.archive: PlayedArchive | None = None
        self.path: Path | None = None
        self.problem = ""
        self.shown: PlayedFrame | None = None
        self._wanted = 0
        self._opening: Opening | None = None
        self._result_name = ""  # of its folder; empty for what was recorded
        self._is_sharing = False
        self._waker = Waker(self._look)
        self._reader: FrameReader[PlayedFrame] = FrameReader(self._waker.wake)
        self.pictures = PaneGrid(_FACTS)
        self.corrections = CellCorrections(self.pictures)
        self._facts = _FACTS
        self._layout()
        self.results.activated.connect(self._choose_result)
        self.corrections.changed.connect(self._show_again)
        self.close_button.clicked.connect(self._ask_to_close)
        # The thread would keep the reader, and whatever it wakes.
        self.destroyed.connect(self._reader.close)
        self.destroyed.connect(self._waker.release)

    def _layout(self) -> None:
        self.name = ElidedLabel("heading")
        self.results = QComboBox()
        self.results.setObjectName("compact")
        self.results.setToolTip("Which phase and labels are shown: those that were recorded, or those computed later")
        self.results.setAccessibleName("Result that is shown")
        self.results.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.close_button = QToolButton()
        self.close_button.setObjectName("flat")
        self.close_button.setIcon(icon("error", Ink.MUTED))
        self.close_button.setToolTip("Close this side")
        self.close_button.setAccessibleName("Close this side")
        self.close_button.setFixedSize(28, 28)
        self.header = QWidget()
        row = QHBoxLayout(self.header)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.name, 1)
        self._caption = caption_label("Result that is shown")
        row.addWidget(self._caption)
        row.addWidget(self.results)
        row.addWidget(self.close_button)
        row.addStretch(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.header)
        layout.addWidget(self.pictures, 1)

    def minimumSizeHint(self) -> QSize:
        """Return the size for one column of panes, so that two sides and a panel fit on a small screen."""
        return QSize(_NARROWEST_PX, super().minimumSizeHint().height())

    # -- what is played -------------------------------------------------------------------------------------------

    def open(self, path: Path, result_name: str = "") -> None:
        """Open an archive, with what was recorded or with a result; returns at once, and ``opened`` tells the end."""
        self.forget()
        self.path = path
        self._result_name = result_name
        self.name.show_text(path.name)
        self.pictures.show_message("Opening\N{HORIZONTAL ELLIPSIS}")
        self._begin_to_open(path)

    def open_again(self) -> None:
        """Look for further frames and results; what is shown stays meanwhile."""
        if self.path is not None and self._opening is None:
            self._begin_to_open(self.path)

    def try_again(self) -> None:
        """Look again at what is still growing or could not be read: a disk that was pulled out may be back."""
        archive, shown = self.archive, self.shown
        if archive is None or archive.facts.is_being_written:
            self.open_again()
        elif shown is not None and not shown.is_whole:
            self._reader.forget_broken()
            self.show_at(self._wanted)

    def _begin_to_open(self, path: Path) -> None:
        self._opening = Opening(path, self._waker.wake)

    def forget(self) -> None:
        """Show nothing; corrections that are not stored are stored first."""
        self.store_corrections()
        self.corrections.forget()
        self._opening = None
        self._reader.use(None)
        self.archive = None
        self.path = None
        self.problem = ""
        self.shown = None
        self._wanted = 0
        self.name.show_text("")
        self.pictures.clear()
        self.pictures.show_message("")
        self._fill_results()

    def release(self) -> None:
        """Read nothing any more; corrections that are not stored are stored first."""
        self.store_corrections()
        self._opening = None
        self._waker.release()
        self._reader.close()
        self.pictures.close_pop_outs()

    @property
    def is_opening(self) -> bool:
        """Whether the archive is being opened for the first time."""
        return self._opening is not None and self.archive is None

    @property
    def result(self) -> StoredResult | None:
        """The result that is shown; None for what was recorded."""
        results = self.archive.results if self.archive is not None else ()
        return next((one for one in results if one.path.name == self._result_name), None)

    def choose_result(self, name: str) -> None:
        """Show a result by the name of its folder; an empty name shows what was recorded.

        Corrections that are not stored belong to the result that was shown, and are stored first.
        """
        self.store_corrections()
        self.corrections.forget()
        self._result_name = name
        self._use_result()
        self.result_chosen.emit(self)

    def store_corrections(self) -> StoredResult | None:
        """Store corrected labels beside the automatic ones; return the result, or None where there is nothing to store.

        Where they cannot be stored, ``corrections.refused`` says why.
        """
        if self.path is None or not self.corrections.count:
            return None
        try:
            return self.corrections.store(self.path, self.result)
        except SpeckleScopeError as error:
            self.corrections.refused.emit(str(error))
            return None

    def _choose_result(self, number: int) -> None:
        self.choose_result(str(self.results.itemData(number)))

    def _use_result(self) -> None:
        archive = self.archive
        self._fill_results()
        if archive is not None:
            self._reader.use(partial(archive.load, result=self.result))

    def _fill_results(self) -> None:
        results = self.archive.results if self.archive is not None else ()
        with QSignalBlocker(self.results):
            self.results.clear()
            self.results.addItem(AS_RECORDED, "")
            for one in results:
                self.results.addItem(result_name(one), one.path.name)
                self.results.setItemData(self.results.count() - 1, result_tip(one), Qt.ItemDataRole.ToolTipRole)
            self.results.setCurrentIndex(max(0, self.results.findData(self._result_name)))
        self.results.setVisible(bool(results))
        self._show_header()

    # -- what is shown --------------------------------------------------------------------------------------------

    def show_sharing(self, *, on: bool, closable: bool = False) -> None:
        """Be one of two sides, with a line above the panes that says which recording this is; or be alone."""
        self.close_button.setVisible(closable)
        if on is not self._is_sharing:
            self._is_sharing = on
            self._choose_panes()
        self._show_header()

    def _show_header(self) -> None:
        self.name.setVisible(self._is_sharing)
        self._caption.setVisible(not self._is_sharing)
        self.header.setVisible(self._is_sharing or self.results.count() > 1)

    def _choose_panes(self) -> None:
        if self.archive is None:
            return
        contents = first_contents(self.archive, sharing=self._is_sharing)
        self.pictures.set_number(len(contents))
        for pane, content in zip(self.pictures.panes, contents, strict=True):
            pane.set_options(PaneOptions.of(content))

    def show_at(self, position: int, coming: Sequence[int] = (), *, is_over: bool = False) -> None:
        """Show a frame as soon as it is read, and read those that come next.

        Parameters
        ----------
        position : int
            Number of the frame; the last one is shown in place of later ones.
        coming : sequence of int
            Frames that are shown next.
        is_over : bool
            Whether this archive ended before the moment that the other side shows.
        """
        if self.archive is None or not self.archive.rows:
            return
        name = self.archive.facts.name
        self.name.show_text(f"{name} (it ends here)" if is_over else name)
        last = len(self.archive.rows) - 1
        self._wanted = min(max(0, position), last)
        self._reader.want((self._wanted, *(other for other in coming if 0 <= other <= last and other != self._wanted)))
        self._show_read()

    @property
    def is_waiting(self) -> bool:
        """Whether the frame that the player wants is still being read."""
        has_frames = self.archive is not None and bool(self.archive.rows)
        return has_frames and (self.shown is None or self.shown.position != self._wanted)

    def refresh_numbers(self) -> None:
        """Update subtitles, histograms and measurements; a few times a second is enough."""
        self.pictures.refresh_numbers()

    def _look(self) -> None:
        """Take what the threads have for this side."""
        opening = self._opening
        if opening is not None and opening.is_done:
            self._opening = None
            self._accept(opening)
        if self.archive is not None:
            self._show_read()

    def _accept(self, opening: Opening) -> None:
        before, archive = self.archive, opening.archive
        self.problem = opening.problem
        if archive is None:
            if before is None:
                self.pictures.show_message(opening.problem)
            self.opened.emit(self)
            return
        self.archive = archive
        self.name.show_text(archive.facts.name)
        facts = pane_facts(archive)
        if facts != self._facts:
            self._facts = facts
            self.pictures.set_facts(facts)
        self._fill_results()
        # What was read stays: a journal only grows, and its frames are the same.
        self._reader.use(partial(archive.load, result=self.result), keep=before is not None)
        if before is None:
            self._choose_panes()
            self.pictures.show_message("" if archive.rows else f"{archive.facts.name} has no frames")
        self.opened.emit(self)

    def _show_read(self) -> None:
        frame = self._reader.get(self._wanted)
        if frame is None and self.shown is not None:  # the disk is slower than the player: show how far it is
            frame = self._reader.newest(self.shown.position, self._wanted)
        if frame is None or frame is self.shown:
            return
        self.shown = frame
        self._show_again()
        self.frame_shown.emit(self)

    def _show_again(self) -> None:
        """Show the present frame with its corrected labels, if there are some."""
        frame = self.shown
        if frame is not None:
            moment = moment_of(frame, self._facts)
            moment.overlay = self.corrections.corrected(frame.row.index, frame.overlay)
            self.pictures.show_moment(moment)

    def _ask_to_close(self) -> None:
        self.close_clicked.emit(self)


def result_name(result: StoredResult) -> str:
    """Return what a result is called, with when it was made: there may be several of one kind."""
    made = clock_text(result.card.created_utc)[:16]
    return visible(f"{result.card.name}, {made}" if made else result.card.name)


def result_tip(result: StoredResult) -> str:
    """Return how a result was made, for people."""
    card = result.card
    lines = [f"Made {clock_text(card.created_utc)[:19]}"]
    lines += [f"{name}: {visible(value)}" for name, value in (("Method", card.method), ("Engine", card.engine)) if value]
    return "\n".join(lines)
