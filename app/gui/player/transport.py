"""The buttons of the player: play, single frames, markers, speed and loop; and where it is, in numbers."""

from __future__ import annotations

from enum import Enum

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from app.gui.widgets.icons import icon
from app.gui.widgets.labels import ElidedLabel
from app.playback.playhead import PACES, TRUE_PACE, Pace, PlayState

_PLAY_PX = 104


class Link(Enum):
    """What two sides have in common; the value is how it is called in the window."""

    TIME = "Same time"
    FRAME = "Same frame"


class Move(Enum):
    """Where the operator goes; the value is icon, tool tip and key."""

    FIRST = ("first frame", "Go to the first frame", "Home")
    PREVIOUS = ("previous frame", "Go one frame back, with Shift ten", "Left")
    NEXT = ("next frame", "Go one frame on, with Shift ten", "Right")
    LAST = ("last frame", "Go to the last frame", "End")
    PREVIOUS_MARKER = ("previous marker", "Go to the marker before", "PgUp")
    NEXT_MARKER = ("next marker", "Go to the next marker", "PgDown")


class Transport(QWidget):
    """What the operator uses to play, and what the player says of its place."""

    play_clicked = pyqtSignal()
    moved = pyqtSignal(object)  # a Move
    pace_chosen = pyqtSignal(object)  # a Pace
    loop_switched = pyqtSignal()
    link_chosen = pyqtSignal(object)  # a Link

    def __init__(self) -> None:
        super().__init__()
        self.play = QPushButton("Play")
        self.play.setFixedWidth(_PLAY_PX)
        self.play.setToolTip("Play or pause  (Space)")
        self.play.setIcon(icon("play"))
        self._moves = QActionGroup(self)
        self.moves = {move: self._move_button(move) for move in Move}
        self.speed = QComboBox()
        for pace in PACES:
            self.speed.addItem(pace.text, pace)
        self.speed.setCurrentIndex(PACES.index(TRUE_PACE))
        self.speed.setToolTip("How fast it plays by the recorded times; 10 frames/s pays no attention to them")
        self.speed.setAccessibleName("Speed")
        self.loop = QCheckBox("Loop")
        self.loop.setToolTip("Start again at the end; otherwise the player stops there")
        self.link = QComboBox()
        self.link.addItems([link.value for link in Link])
        self.link.setToolTip("What both sides show: the same time after the first frame, or the frame of the same number")
        self.link.setAccessibleName("What both sides have in common")
        self.note = ElidedLabel("muted")
        self.place = QLabel()
        self.place.setTextFormat(Qt.TextFormat.PlainText)
        self.place.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.place.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.place.setAccessibleName("Where the player is")
        self._layout()
        self.play.clicked.connect(self.play_clicked)
        self._moves.triggered.connect(self._tell_move)
        self.speed.activated.connect(self._tell_pace)
        self.loop.toggled.connect(self._tell_loop)
        self.link.activated.connect(self._tell_link)

    def _layout(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.play)
        row.addSpacing(6)
        for move, button in self.moves.items():
            if move is Move.PREVIOUS_MARKER:
                row.addSpacing(10)
            row.addWidget(button)
        row.addSpacing(10)
        for widget in (self.speed, self.loop, self.link):
            row.addWidget(widget)
        row.addWidget(self.note, 1)
        row.addWidget(self.place)
        self.show_linked(on=False)

    def _move_button(self, move: Move) -> QToolButton:
        name, tip, key = move.value
        action = QAction(icon(name), tip, self._moves)
        action.setData(move)
        action.setToolTip(f"{tip}  ({QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)})")
        button = QToolButton()
        button.setDefaultAction(action)
        button.setIconSize(QSize(20, 20))
        button.setFixedSize(36, 34)
        button.setAccessibleName(tip)
        return button

    @property
    def pace(self) -> Pace:
        """How fast the operator wants it to play."""
        return PACES[self.speed.currentIndex()]

    def choose_pace(self, pace: Pace) -> None:
        """Show another speed."""
        self.speed.setCurrentIndex(PACES.index(pace))

    def show_state(self, state: PlayState) -> None:
        """Show whether it plays."""
        is_playing = state is PlayState.PLAYING
        self.play.setText("Pause" if is_playing else "Play")
        self.play.setIcon(icon("pause" if is_playing else "play"))

    def show_possible(self, moves: frozenset[Move], *, can_play: bool) -> None:
        """Enable what can be done now."""
        self.play.setEnabled(can_play)
        for move, button in self.moves.items():
            action = button.defaultAction()
            assert action is not None
            action.setEnabled(move in moves)

    def show_linked(self, *, on: bool) -> None:
        """Show or hide the choice of what two sides have in common."""
        self.link.setVisible(on)

    def _tell_move(self, action: QAction) -> None:
        self.moved.emit(action.data())

    def _tell_pace(self) -> None:
        self.pace_chosen.emit(self.pace)

    def _tell_loop(self) -> None:
        self.loop_switched.emit()

    def _tell_link(self, number: int) -> None:
        self.link_chosen.emit(tuple(Link)[number])
