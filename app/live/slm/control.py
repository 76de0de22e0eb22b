"""What the operator wants on the SLM: it is drawn in a thread of its own, and the capture thread shows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from app.live.slm.content import SlmContent, SlmKind, SlmStatus
from app.live.slm.drawing import Drawn, SlmContentError, SlmFacts, draw
from app.live.slm.scene import Scene
from app.status import Message, MessageLevel, Topic
from drivers.base import Pattern, SpeckleScopeError
from drivers.pictures import SUFFIXES, is_picture_name

#: Patterns whose truth is kept after another one was chosen: some frames of them are still on their way.
_MOST_TRUTHS = 8


class SlmControl:
    """What one SLM shows in the live view.

    ::

        request() --> work(), in a thread of its own --> at(), asked by the capture thread for every frame

    Of several requests only the newest counts.

    Parameters
    ----------
    scene : Scene or None
        The patterns of the instrument file; None where there is no scene.
    facts : SlmFacts
        What drawing has to know.
    on_message : callable
        Called with the result of every request, from the thread that draws.
    """

    def __init__(self, scene: Scene | None, facts: SlmFacts, on_message: Callable[[Message], None]) -> None:
        self._scene = scene
        self._facts = facts
        self._on_message = on_message
        self._lock = threading.Lock()
        self._pending: SlmContent | None = None
        self._drawn: Drawn | None = None  # this and the truths are replaced as a whole, so any thread may read them
        self._truths: Mapping[str, NDArray[np.float32]] = {}
        self._override: Pattern | None = None  # replaced as a whole too
        scenes = (SlmKind.SCENE,) if scene is not None else ()
        holograms = (SlmKind.HOLOGRAM,) if facts.has_hologram else ()
        self._kinds = (*scenes, SlmKind.PICTURE, SlmKind.BLANK, SlmKind.TEST_CARD, *holograms)

    def status(self) -> SlmStatus:
        """Return what is chosen, and what is being drawn."""
        drawn = self._drawn
        return SlmStatus(kinds=self._kinds, content=drawn.content if drawn else SlmContent(), pending=self._pending)

    def request(self, content: SlmContent) -> Callable[[], Pattern | None]:
        """Choose what is shown.

        Parameters
        ----------
        content : SlmContent
            What is wanted.

        Returns
        -------
        callable
            Draws it and puts it into force; to be called in another thread. It returns the pattern, of the scene the first
            one; or None when this request does not count any more, or when the picture cannot be used: a message says so, and
            what was shown stays.

        Raises
        ------
        SlmContentError
            The instrument cannot show this kind, or there is no such picture.
        """
        if content.kind not in self._kinds:
            known = ", ".join(self._kinds)
            raise SlmContentError(f"this instrument cannot show the {content.kind} on the SLM; choose one of {known}")
        if content.kind.needs_picture:
            _check_picture(content)
        with self._lock:
            self._pending = content
        return lambda: self._draw(content)

    def override(self, pattern: Pattern | None) -> None:
        """Show a pattern in place of what was chosen, from the next frame on; None shows what was chosen again."""
        self._override = pattern

    def at(self, elapsed_s: float) -> Pattern | None:
        """Return what to show ``elapsed_s`` seconds after the start; None where there is nothing to show."""
        override, drawn = self._override, self._drawn
        if override is not None:
            return override
        if drawn is not None:
            return drawn.pattern
        return self._scene.at(elapsed_s) if self._scene is not None else None

    def truth(self, pattern_id: str | None) -> NDArray[np.float32] | None:
        """Return the displayed phase in radians, (grid_px, grid_px); None for a pattern that was not shown here lately."""
        known = self._truths.get(pattern_id) if pattern_id else None
        return known if known is not None or self._scene is None else self._scene.truth(pattern_id)

    def _draw(self, content: SlmContent) -> Pattern | None:
        try:
            drawn = None if content.kind is SlmKind.SCENE else draw(content, self._facts)
        except SpeckleScopeError as error:
            with self._lock:
                if self._pending is not content:
                    return None
                self._pending = None
            self._on_message(Message(MessageLevel.WARNING, f"not shown on the SLM: {error}", Topic.SLM))
            return None
        with self._lock:
            if self._pending is not content:
                return None
            if drawn is not None and drawn.truth_rad is not None:
                latest = dict(list(self._truths.items())[1 - _MOST_TRUTHS :])
                self._truths = {**latest, drawn.pattern.id: drawn.truth_rad}
            self._drawn = drawn
            self._pending = None
        notes = "; ".join(drawn.notes) if drawn is not None else ""
        text = f"the SLM shows {content.text}" + (f" ({notes})" if notes else "")
        self._on_message(Message(MessageLevel.INFO, text, Topic.SLM))
        return self.at(0.0)


def _check_picture(content: SlmContent) -> None:
    if content.picture is None:
        raise SlmContentError(f"a {content.kind} needs a picture file; choose one")
    if not content.picture.is_file():
        raise SlmContentError(f"there is no picture {content.picture}; choose another one")
    if not is_picture_name(content.picture):
        raise SlmContentError(f"{content.picture} is no picture; choose one of {', '.join(SUFFIXES)}")
