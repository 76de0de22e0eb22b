"""Measuring the frame period of a monitor: how often a window that waits for the vertical blank is swapped."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

from PyQt6.QtCore import QEventLoop, QTimer
from PyQt6.QtGui import QOpenGLContext, QScreen, QSurfaceFormat
from PyQt6.QtOpenGL import QOpenGLWindow

_FRAMES = 60
_TIMEOUT_MS = 3000


class _BlackWindow(QOpenGLWindow):
    """Draws nothing. PyQt cannot create a QOpenGLWindow itself, only a subclass."""


def frame_period_s(screen: QScreen) -> float:
    """Measure the frame period of a monitor with a small black window, which takes about a second.

    Returns
    -------
    float
        Median time between swaps in seconds. 0 where swaps do not wait for the monitor: without OpenGL, without vertical
        synchronisation, or on a virtual monitor.
    """
    if not QOpenGLContext().create():
        return 0.0
    window = _BlackWindow()
    surface = QSurfaceFormat()
    surface.setSwapInterval(1)
    window.setFormat(surface)
    window.setScreen(screen)
    window.setGeometry(screen.geometry().x(), screen.geometry().y(), 64, 64)
    times: list[float] = []
    loop = QEventLoop()

    def swapped() -> None:
        times.append(time.perf_counter())
        if len(times) > _FRAMES:
            loop.quit()
        else:
            window.update()

    window.frameSwapped.connect(swapped)
    QTimer.singleShot(_TIMEOUT_MS, loop.quit)
    window.show()
    loop.exec()
    window.hide()
    window.deleteLater()
    if len(times) <= _FRAMES:
        return 0.0
    period_s = statistics.median(later - earlier for earlier, later in pairwise(times[10:]))
    nominal_s = 1 / screen.refreshRate() if screen.refreshRate() > 0 else 1 / 60
    return period_s if 0.8 * nominal_s < period_s < 1.25 * nominal_s else 0.0
