"""Chooses where pictures are drawn: on the graphics card, or in software where there is none."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from PyQt6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

from app.gui.image_view.drawing.picture_item import PictureItem
from app.gui.image_view.drawing.software_item import SoftwarePictureItem
from drivers.base import SpeckleScopeError

_SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software", "swiftshader", "basic render", "gdi generic")
#: Qt's platforms whose windows OpenGL cannot reach.
_PLATFORMS_WITHOUT = ("offscreen", "minimal", "vnc", "linuxfb")
_GL_RENDERER = 0x1F01


class Drawing(enum.Enum):
    """Where pictures are drawn."""

    SOFTWARE = "software"
    GRAPHICS_CARD = "graphics card"


class DrawingOption(enum.Enum):
    """Where pictures should be drawn."""

    AUTO = "auto"
    SOFTWARE = "software"
    CARD = "card"


@dataclass(frozen=True)
class DrawingChoice:
    """Where pictures are drawn, and why, in words for the status bar."""

    drawing: Drawing
    reason: str

    def new_item(self) -> PictureItem:
        """Return an item that draws one picture there."""
        if self.drawing is Drawing.SOFTWARE:
            return SoftwarePictureItem()
        from app.gui.image_view.drawing.shader_item import ShaderPictureItem

        return ShaderPictureItem()


_in_use = DrawingChoice(Drawing.SOFTWARE, "Drawn in software")


def use_drawing(option: DrawingOption) -> None:
    """Choose where the pictures of all windows are drawn that are made from now on. Needs a ``QGuiApplication``."""
    global _in_use
    _in_use = choose_drawing(option)


def drawing_in_use() -> DrawingChoice:
    """Return where pictures are drawn: in software, until something else was chosen."""
    return _in_use


def new_picture_item() -> PictureItem:
    """Return an item that draws one picture where pictures are drawn."""
    return _in_use.new_item()


def choose_drawing(option: DrawingOption = DrawingOption.AUTO) -> DrawingChoice:
    """Choose where pictures are drawn. Needs a ``QGuiApplication``.

    Parameters
    ----------
    option : DrawingOption
        AUTO draws on a card, and in software where OpenGL runs on the processor itself. CARD uses OpenGL in any case.

    Returns
    -------
    DrawingChoice
        Software, with the reason, whenever OpenGL does not work.
    """
    if option is DrawingOption.SOFTWARE:
        return _software("as chosen")
    try:
        renderer = _renderer()
    except SpeckleScopeError as error:
        return _software(str(error))
    name = renderer.split(" (")[0]  # without versions
    if option is DrawingOption.AUTO and is_software_renderer(renderer):
        return _software(name)
    return DrawingChoice(Drawing.GRAPHICS_CARD, f"Drawn by {name}")


def is_software_renderer(renderer: str) -> bool:
    """Return whether a renderer of OpenGL, by its name, runs on the processor."""
    return any(name in renderer.lower() for name in _SOFTWARE_RENDERERS)


def _software(reason: str) -> DrawingChoice:
    return DrawingChoice(Drawing.SOFTWARE, f"Drawn in software: {reason}")


def _renderer() -> str:
    """Return the name of the renderer, after it has compiled the shader.

    Raises
    ------
    SpeckleScopeError
        There is no OpenGL, or it is too old.
    """
    if QGuiApplication.platformName() in _PLATFORMS_WITHOUT:
        raise SpeckleScopeError("no screen")
    try:  # Linux distributions package Qt's part for OpenGL separately
        from pyqtgraph.Qt import OpenGLHelpers

        from app.gui.image_view.drawing.picture_shader import PictureShader
    except ImportError as error:
        raise SpeckleScopeError(f"PyQt6 has no OpenGL ({error})") from None
    surface = QOffscreenSurface()
    surface.create()
    context = QOpenGLContext()
    if not context.create() or not context.makeCurrent(surface):
        raise SpeckleScopeError("no OpenGL driver")
    try:
        shader = PictureShader()
        renderer = OpenGLHelpers.getFunctions(context).glGetString(_GL_RENDERER)
        shader.release()
    finally:
        context.doneCurrent()
    return renderer or "OpenGL"
