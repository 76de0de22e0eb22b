"""A small stand-in for wxPython and slmPy, so that the real window program runs without a display.

Only the libraries are replaced. The process, its protocol, its loss and its return are the real ones.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Longest time that a busy computer may need to end a process, in seconds.
GRACE_S = 20.0

# What the window program uses of wxPython and slmPy. Files in the folder control it: "shape" is the size of the monitors;
# "move" moves and "close" closes the window at the next image; "hang" keeps the window from opening.
WX = """
from pathlib import Path

HERE = Path(__file__).parent

class Display:
    GetCount = staticmethod(lambda: 2)
    def __init__(self, number):
        self.number = number
    def GetGeometry(self):
        height, width = map(int, (HERE / "shape").read_text().split())
        return (100 * self.number, 0, width, height)

def CallAfter(function):
    function()
"""
SLMPY = """
import os, threading, wx
from pathlib import Path

HERE = Path(wx.__file__).parent
(HERE / "pid").write_text(str(os.getpid()))

class Window:
    def __init__(self, monitor):
        if monitor >= wx.Display.GetCount():
            raise ValueError('Invalid monitor (monitor %d).' % monitor)
        self.Window = self
        self.rect = (0, 0, 20, 20)  # not where it should be
        self.closed = threading.Event()
    def SetSize(self, rect):
        self.rect = rect
    def GetScreenRect(self):
        return self.rect
    def Update(self):
        with (HERE / "painted").open("ab") as file:
            file.write(self.image)
        if (HERE / "move").exists():
            self.rect = (0, 0, *self.rect[2:])
        if (HERE / "close").exists():
            self.closed.set()

class SLMdisplay:
    def __init__(self, monitor=1, isImageLock=False, alwaysTop=False):
        assert isImageLock and alwaysTop
        self.monitor, self.opened, self.eventLock = monitor, threading.Lock(), threading.Lock()
        self.opened.acquire()
        self.vt = threading.Thread(target=self.run, daemon=True)
        self.vt.start()
        self.opened.acquire()  # as in slmPy: blocks for ever when its thread failed
    def run(self):
        self.vt.frame = Window(self.monitor)
        if not (HERE / "hang").exists():
            self.opened.release()
        self.vt.frame.closed.wait()
    def getSize(self):
        return wx.Display(self.monitor).GetGeometry()[2:]
    def updateArray(self, array, sleep=0.2):
        assert sleep == 0 and array.shape[2] == 3
        self.eventLock.acquire()
        threading.Timer(0.01, self.deliver, [array.tostring()]).start()
    def deliver(self, image):
        self.vt.frame.image = image
        self.eventLock.release()
"""


def write_checkout(folder: Path, shape: tuple[int, int]) -> Path:
    """Make ``folder`` look like a checkout of slmPy whose monitors have ``shape`` (H, W); return it."""
    (folder / "wx.py").write_text(WX)
    (folder / "slmpy").mkdir()
    (folder / "slmpy" / "__init__.py").write_text(SLMPY)
    (folder / "shape").write_text("{} {}".format(*shape))
    return folder


def painted_images(checkout: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return all images that the window has painted, (N, H, W); each must be grey."""
    rgb = np.fromfile(checkout / "painted", np.uint8).reshape(-1, *shape, 3)
    assert (rgb == rgb[..., :1]).all()
    return rgb[..., 0]


def window_process(checkout: Path) -> int:
    """Return the process number of the window that was opened last."""
    return int((checkout / "pid").read_text())


@contextmanager
def process_ends(process: int) -> Iterator[None]:
    """Check that a process runs at the start of the context, and ends in it or within ``GRACE_S`` after it."""
    descriptor = os.pidfd_open(process)
    try:
        assert not select.select([descriptor], [], [], 0)[0]
        yield
        assert select.select([descriptor], [], [], GRACE_S)[0], f"process {process} still runs"
    finally:
        os.close(descriptor)


def kill(process: int) -> None:
    """Kill a process and wait for its end."""
    with process_ends(process):
        os.kill(process, signal.SIGKILL)
