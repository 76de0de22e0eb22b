"""Pictures of the whole screen, small enough for the documentation."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from PyQt6.QtCore import QBuffer, QIODevice
from PyQt6.QtWidgets import QApplication

from app.gui.command import Command
from app.gui.main_window.window import MainWindow
from tests.helpers.x_server.operator import wait_until

_COLOURS = (256, 128, 96, 64, 48)
_MOST_BYTES = 140_000


class Photographer:
    """Takes pictures of the screen, dialogs included.

    Parameters
    ----------
    window : MainWindow
        The window.
    folder : Path
        Where the pictures go.
    """

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self._window = window
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def capture(self, name: str, *, both: bool = False) -> None:
        """Save what is seen now; ``both`` takes another picture in the light theme."""
        self._save(f"newcomer-{name}.png")
        if both:
            self._window.carry_out(Command.LIGHT_THEME)
            wait_until(self._window.commands[Command.LIGHT_THEME].isChecked)
            self._save(f"newcomer-{name}-light.png")
            self._window.carry_out(Command.LIGHT_THEME)

    def _save(self, name: str) -> None:
        QApplication.processEvents()
        screen = self._window.screen()
        assert screen is not None
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        assert screen.grabWindow(0).save(buffer, "PNG")
        picture = Image.open(io.BytesIO(buffer.data().data())).convert("RGB")
        assert np.ptp(np.asarray(picture)) > 100, f"{name}: nothing is seen"
        for colours in _COLOURS:
            picture.quantize(colours, dither=Image.Dither.NONE).save(self._folder / name, optimize=True)
            if (self._folder / name).stat().st_size <= _MOST_BYTES:
                break
