"""The shader that draws a picture, and its textures, in one OpenGL context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PyQt6 import sip
from PyQt6.QtGui import QOffscreenSurface, QOpenGLContext, QTransform
from PyQt6.QtOpenGL import QOpenGLBuffer, QOpenGLShader, QOpenGLShaderProgram, QOpenGLVertexArrayObject
from pyqtgraph.Qt import OpenGLHelpers

from drivers.base import SpeckleScopeError

#: The oldest version of OpenGL that the shader runs on.
OLDEST_OPENGL: Final = (3, 3)

# Constants of OpenGL, from its header.
_TEXTURE_2D: Final = 0x0DE1
_TEXTURE_0: Final = 0x84C0
_TEXTURE_MAG_FILTER: Final = 0x2800
_TEXTURE_MIN_FILTER: Final = 0x2801
_NEAREST: Final = 0x2600
_UNPACK_ALIGNMENT: Final = 0x0CF5
_UNSIGNED_BYTE: Final = 0x1401
_UNSIGNED_SHORT: Final = 0x1403
_UNSIGNED_INT: Final = 0x1405
_FLOAT: Final = 0x1406
_RED_INTEGER: Final = 0x8D94
_RGBA: Final = 0x1908
_RGBA8: Final = 0x8058
_R8UI: Final = 0x8232
_R16UI: Final = 0x8234
_R32UI: Final = 0x8236
_TRIANGLE_STRIP: Final = 0x0005
_BLEND: Final = 0x0BE2
_ONE: Final = 1
_ONE_MINUS_SRC_ALPHA: Final = 0x0303
_SCISSOR_TEST: Final = 0x0C11

_VERTEX_SHADER: Final = """#version 330
in vec2 corner;
void main() { gl_Position = vec4(corner, 0.0, 1.0); }
"""

# Values are unsigned integers, a float32 by its bits. So no card can round them, and NaN survives.
_FRAGMENT_SHADER: Final = """#version 330
uniform usampler2D picture;
uniform sampler2D colours;
uniform usampler2D labels;
uniform sampler2D outline_colours;
uniform vec2 origin;        // picture coordinates of the screen's corner, and their change per pixel of the screen
uniform vec2 along_x;
uniform vec2 along_y;
uniform ivec2 size;
uniform int is_float;
uniform int is_cyclic;
uniform int is_smooth;
uniform float low;
uniform float colours_per_unit;
uniform float opacity;
uniform ivec2 label_size;   // 0 0: no outlines
uniform float half_width;   // of an outline, in pixels of the screen
uniform int outline_count;
out vec4 result;

vec4 colour_at(ivec2 at) {  // with the colour multiplied by its opacity
    uint bits = texelFetch(picture, clamp(at, ivec2(0), size - 1), 0).r;
    ivec2 index = ivec2(bits & 255u, bits >> 8u);
    if (is_float == 1) {
        uint exponent_up = bits & 0x7FFFFFFFu;
        if (exponent_up > 0x7F800000u || (is_cyclic == 1 && exponent_up == 0x7F800000u)) return vec4(0.0);
        float position = (uintBitsToFloat(bits) - low) * colours_per_unit;
        if (is_cyclic == 1) position -= 256.0 * floor(position * (1.0 / 256.0));
        index = ivec2(int(clamp(position, 0.0, 255.0)), 0);
    }
    vec4 colour = texelFetch(colours, index, 0);
    return vec4(colour.rgb * colour.a, colour.a);
}

uint label_at(vec2 at) {
    if (any(lessThan(at, vec2(0.0))) || any(greaterThanEqual(at, vec2(size)))) return 0u;
    return texelFetch(labels, min(ivec2(at * vec2(label_size) / vec2(size)), label_size - 1), 0).r;
}

void main() {
    vec2 at = origin + along_x * gl_FragCoord.x + along_y * gl_FragCoord.y;
    if (any(lessThan(at, vec2(0.0))) || any(greaterThanEqual(at, vec2(size)))) discard;
    if (is_smooth == 1) {
        vec2 from = floor(at - 0.5);
        vec2 part = at - 0.5 - from;
        ivec2 first = ivec2(from);
        vec4 above = mix(colour_at(first), colour_at(first + ivec2(1, 0)), part.x);
        vec4 below = mix(colour_at(first + ivec2(0, 1)), colour_at(first + ivec2(1, 1)), part.x);
        result = mix(above, below, part.y);
    } else {
        result = colour_at(ivec2(at));
    }
    if (label_size.x > 0) {
        uint least = label_at(at), most = least;
        for (int k = 0; k < 4; k++) {
            float side = k < 2 ? half_width : -half_width;
            uint other = label_at(at + (k % 2 == 0 ? along_x : along_y) * side);
            least = min(least, other);
            most = max(most, other);
        }
        if (least != most) {
            vec4 colour = texelFetch(outline_colours, ivec2(int(most - 1u) % outline_count, 0), 0);
            result = vec4(colour.rgb * colour.a, colour.a) + result * (1.0 - colour.a);
        }
    }
    result *= opacity;
}
"""

_SAMPLERS: Final = ("picture", "colours", "labels", "outline_colours")


class ShaderError(SpeckleScopeError):
    """The graphics card cannot draw the picture."""


@dataclass(frozen=True, kw_only=True)
class ShaderInput:
    """What is drawn.

    Attributes
    ----------
    picture : ndarray of uint8, uint16 or float32, shape (h, w)
        Contiguous values.
    colours : ndarray of uint8, shape (n, 4)
        256 colours of a float picture; otherwise a colour for each count.
    labels : ndarray of uint16, shape (h, w), optional
        Of the objects, whose outlines are drawn.
    outline_colours : ndarray of uint8, shape (n, 4)
        Of the outlines.
    low, colours_per_unit : float
        Lower level, and colours for a difference of 1 between two values.
    is_cyclic, is_smooth : bool
        Whether values beyond a level continue at the other one; whether colours are interpolated.
    """

    picture: NDArray[np.generic]
    colours: NDArray[np.uint8]
    labels: NDArray[np.uint16] | None
    outline_colours: NDArray[np.uint8]
    low: float
    colours_per_unit: float
    is_cyclic: bool
    is_smooth: bool


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Where it is drawn.

    Attributes
    ----------
    to_picture : QTransform
        From pixels of the screen, with y upwards as OpenGL counts, to pixels of the picture.
    clip : (int, int, int, int)
        Left, lower edge, width and height of the visible part, in pixels of the screen.
    opacity : float
        1 is opaque.
    half_width_px : int
        Half the width of an outline.
    """

    to_picture: QTransform
    clip: tuple[int, int, int, int]
    opacity: float
    half_width_px: int


class _Texture:
    """A texture that follows an array. An array that was sent before is not sent again."""

    def __init__(self, functions: Any, unit: int) -> None:
        self._functions = functions
        self._unit = unit
        self._number: int = functions.glGenTextures(1)
        self._sent: NDArray[np.generic] | None = None
        self._allocated: tuple[int, int, int] | None = None
        self.bind()
        for which in (_TEXTURE_MIN_FILTER, _TEXTURE_MAG_FILTER):
            functions.glTexParameteri(_TEXTURE_2D, which, _NEAREST)

    def bind(self) -> None:
        self._functions.glActiveTexture(_TEXTURE_0 + self._unit)
        self._functions.glBindTexture(_TEXTURE_2D, self._number)

    def delete(self) -> None:
        self._functions.glDeleteTextures(1, [self._number])

    def send_values(self, values: NDArray[np.generic], *, again: bool = False) -> bool:
        """Send contiguous values (h, w) of uint8, uint16 or float32; return whether they were new, or sent ``again``."""
        if values is self._sent and not again:
            return False
        internal, kind = {1: (_R8UI, _UNSIGNED_BYTE), 2: (_R16UI, _UNSIGNED_SHORT), 4: (_R32UI, _UNSIGNED_INT)}[values.itemsize]
        height, width = values.shape
        self._send(values.view(f"u{values.itemsize}"), (width, height, internal), (_RED_INTEGER, kind))
        self._sent = values
        return True

    def send_colours(self, colours: NDArray[np.uint8], *, again: bool) -> None:
        """Send contiguous colours (n, 4) in rows of at most 256; ``again`` even if they were sent before."""
        if colours is self._sent and not again:
            return
        width = min(256, len(colours))
        self._send(colours, (width, len(colours) // width, _RGBA8), (_RGBA, _UNSIGNED_BYTE))
        self._sent = colours

    def _send(self, data: NDArray[Any], shape: tuple[int, int, int], source: tuple[int, int]) -> None:
        functions = self._functions
        width, height, internal = shape
        self.bind()
        if shape != self._allocated:
            functions.glGetError()  # an error from before is not ours
            functions.glTexImage2D(_TEXTURE_2D, 0, internal, width, height, 0, *source, None)
            error = functions.glGetError()
            if error:
                raise ShaderError(
                    f"the graphics card refused a texture of {width} x {height} (OpenGL error {error:#x}): draw in software"
                )
            self._allocated = shape
        functions.glPixelStorei(_UNPACK_ALIGNMENT, 1)  # rows of an odd width are not padded
        functions.glTexSubImage2D(_TEXTURE_2D, 0, 0, 0, width, height, *source, data)
        functions.glPixelStorei(_UNPACK_ALIGNMENT, 4)


class PictureShader:
    """Program, corners and textures of one picture in the current OpenGL context.

    Raises
    ------
    ShaderError
        The context cannot run the shader.
    """

    def __init__(self) -> None:
        context = QOpenGLContext.currentContext()
        if context is None:
            raise ShaderError("there is no OpenGL context: draw in software")
        version = context.format().version()
        if context.isOpenGLES() or version < OLDEST_OPENGL:
            kind = "OpenGL ES" if context.isOpenGLES() else "OpenGL"
            needed = ".".join(map(str, OLDEST_OPENGL))
            raise ShaderError(f"{kind} {version[0]}.{version[1]} is too old, OpenGL {needed} is needed: draw in software")
        self.context = context
        # Textures are deleted when the widget of the context has gone already: that needs a surface of its own.
        self._surface = QOffscreenSurface()
        self._surface.setFormat(context.format())
        self._surface.create()
        self._functions = OpenGLHelpers.getFunctions(context)
        self._program = self._linked_program()
        self._locations: dict[str, int] = {}
        self._corners = QOpenGLBuffer(QOpenGLBuffer.Type.VertexBuffer)
        self._array = QOpenGLVertexArrayObject()
        self._prepare_corners()
        self._textures = {name: _Texture(self._functions, unit) for unit, name in enumerate(_SAMPLERS)}
        self._functions.glActiveTexture(_TEXTURE_0)
        context.aboutToBeDestroyed.connect(self.release)

    @property
    def is_released(self) -> bool:
        """Whether the context has gone."""
        return not self._textures

    def release(self) -> None:
        """Delete the textures; Qt deletes the rest itself. A second call does nothing."""
        # At the end of the program Qt may have deleted the surface before.
        if self.is_released or sip.isdeleted(self._surface) or not self.context.makeCurrent(self._surface):
            self._textures = {}
            return
        for texture in self._textures.values():
            texture.delete()
        self._textures = {}
        self.context.doneCurrent()

    def draw(self, drawn: ShaderInput, screen: Screen) -> None:
        """Draw a picture in the current context.

        Raises
        ------
        ShaderError
            The card has no room for the picture.
        """
        # A driver may lose textures while the computer sleeps. So the small ones go up again with every new picture.
        again = self._textures["picture"].send_values(drawn.picture)
        self._textures["colours"].send_colours(drawn.colours, again=again)
        if drawn.labels is not None:
            self._textures["labels"].send_values(drawn.labels, again=again)
            self._textures["outline_colours"].send_colours(drawn.outline_colours, again=again)
        functions = self._functions
        self._program.bind()
        self._set_uniforms(drawn, screen)
        for texture in self._textures.values():
            texture.bind()
        functions.glEnable(_BLEND)
        functions.glBlendFunc(_ONE, _ONE_MINUS_SRC_ALPHA)
        functions.glEnable(_SCISSOR_TEST)  # QPainter switches it off again
        functions.glScissor(*screen.clip)
        self._array.bind()
        functions.glDrawArrays(_TRIANGLE_STRIP, 0, 4)
        self._array.release()
        self._program.release()
        functions.glActiveTexture(_TEXTURE_0)

    def _linked_program(self) -> QOpenGLShaderProgram:
        program = QOpenGLShaderProgram()
        kind = QOpenGLShader.ShaderTypeBit
        program.addShaderFromSourceCode(kind.Vertex, _VERTEX_SHADER)
        program.addShaderFromSourceCode(kind.Fragment, _FRAGMENT_SHADER)
        program.bindAttributeLocation("corner", 0)
        if not program.link():
            raise ShaderError(f"the graphics driver refused the shader ({' '.join(program.log().split())}): draw in software")
        return program

    def _prepare_corners(self) -> None:
        """Cover the whole screen; the shader leaves out what lies beside the picture."""
        corners = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]], np.float32)
        self._array.create()
        self._array.bind()
        self._corners.create()
        self._corners.bind()
        self._corners.allocate(sip.voidptr(corners.tobytes()), corners.nbytes)
        self._program.enableAttributeArray(0)
        self._program.setAttributeBuffer(0, _FLOAT, 0, 2)
        self._corners.release()
        self._array.release()

    def _set_uniforms(self, drawn: ShaderInput, screen: Screen) -> None:
        to_picture = screen.to_picture
        height, width = drawn.picture.shape
        label_height, label_width = (0, 0) if drawn.labels is None else drawn.labels.shape
        functions = self._functions
        for unit, name in enumerate(_SAMPLERS):
            functions.glUniform1i(self._location(name), unit)
        for name, (first, second) in {
            "origin": (to_picture.dx(), to_picture.dy()),
            "along_x": (to_picture.m11(), to_picture.m12()),
            "along_y": (to_picture.m21(), to_picture.m22()),
        }.items():
            functions.glUniform2f(self._location(name), first, second)
        functions.glUniform2i(self._location("size"), width, height)
        functions.glUniform2i(self._location("label_size"), label_width, label_height)
        for name, number in {
            "is_float": drawn.picture.dtype.kind == "f",
            "is_cyclic": drawn.is_cyclic,
            "is_smooth": drawn.is_smooth,
            "outline_count": len(drawn.outline_colours),
        }.items():
            functions.glUniform1i(self._location(name), int(number))
        for name, value in {
            "low": drawn.low,
            "colours_per_unit": drawn.colours_per_unit,
            "opacity": screen.opacity,
            "half_width": float(screen.half_width_px),
        }.items():
            functions.glUniform1f(self._location(name), value)

    def _location(self, name: str) -> int:
        if name not in self._locations:
            self._locations[name] = self._program.uniformLocation(name)
        return self._locations[name]
