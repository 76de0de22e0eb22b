"""What the operator can let the SLM show, and what it shows now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class SlmKind(StrEnum):
    """What the SLM shows in the live view."""

    #: The patterns of the instrument file, in turn.
    SCENE = "scene"
    #: A picture file; white is the phase range of the instrument.
    PICTURE = "picture"
    #: The flat pattern.
    BLANK = "blank"
    #: The USAF-1951 resolution chart.
    TEST_CARD = "test card"
    #: The phase whose far field is a picture.
    HOLOGRAM = "hologram"

    @property
    def needs_picture(self) -> bool:
        """Whether it is made from a picture file."""
        return self in (SlmKind.PICTURE, SlmKind.HOLOGRAM)


@dataclass(frozen=True)
class SlmContent:
    """What the operator wants on the SLM.

    Parameters
    ----------
    kind : SlmKind
        What it is.
    picture : Path, optional
        The picture file that it is made from; None for kinds that need none.
    """

    kind: SlmKind = SlmKind.SCENE
    picture: Path | None = None

    @property
    def text(self) -> str:
        """What it is, in words: ``hologram of dots.png``."""
        if not self.kind.needs_picture or self.picture is None:
            return "nothing" if self.kind.needs_picture else f"the {self.kind}"
        return self.picture.name if self.kind is SlmKind.PICTURE else f"the hologram of {self.picture.name}"


@dataclass(frozen=True, kw_only=True)
class SlmStatus:
    """What the SLM shows.

    Parameters
    ----------
    kinds : tuple of SlmKind
        What this instrument can show; empty without an SLM.
    content : SlmContent
        What is chosen and drawn.
    pending : SlmContent or None
        What is being drawn; None when there is nothing to wait for.
    """

    kinds: tuple[SlmKind, ...] = ()
    content: SlmContent = SlmContent()
    pending: SlmContent | None = None
