"""Events of a drag from another program, as Qt sends them: to the widget under the mouse, and on to whoever takes it.

They do not come from the X server: such a drag is a talk between two programs (XDND), and xdotool only moves the mouse.
"""

from __future__ import annotations

from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PyQt6.QtWidgets import QApplication, QWidget

_KEYS = (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)


def files(*paths: object) -> QMimeData:
    """Return what a file manager hands over."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


def drag(widget: QWidget, mime: QMimeData) -> bool:
    """Drag something onto a widget and a little further; return whether it can be dropped there."""
    entering = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, mime, *_KEYS)
    QApplication.sendEvent(widget, entering)
    if not entering.isAccepted():
        return False
    moving = QDragMoveEvent(QPoint(6, 6), Qt.DropAction.CopyAction, mime, *_KEYS)
    QApplication.sendEvent(widget, moving)
    return moving.isAccepted()


def leave(widget: QWidget) -> None:
    """Drag it away again."""
    QApplication.sendEvent(widget, QDragLeaveEvent())


def drop(widget: QWidget, mime: QMimeData) -> bool:
    """Drag something onto a widget and drop it there; return whether it was taken."""
    if not drag(widget, mime):
        return False
    dropping = QDropEvent(QPointF(6, 6), Qt.DropAction.CopyAction, mime, *_KEYS)
    QApplication.sendEvent(widget, dropping)
    return dropping.isAccepted()
