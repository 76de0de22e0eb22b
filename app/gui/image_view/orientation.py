"""How a picture is turned and mirrored on the screen. Coordinates and measurements stay those of the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QTransform


@dataclass(frozen=True)
class Orientation:
    """Quarter turns clockwise, after mirroring.

    Parameters
    ----------
    quarter_turns : int
        0 to 3, clockwise.
    mirrored : bool
        Whether left and right are exchanged before the picture is turned.
    """

    quarter_turns: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.quarter_turns not in range(4):
            raise ValueError(f"{self.quarter_turns} quarter turns are outside 0 .. 3")

    def turned(self) -> Orientation:
        """Return the orientation after a further quarter turn clockwise."""
        return replace(self, quarter_turns=(self.quarter_turns + 1) % 4)

    def flipped_horizontally(self) -> Orientation:
        """Return the orientation after left and right on the screen are exchanged."""
        return Orientation(-self.quarter_turns % 4, not self.mirrored)

    def flipped_vertically(self) -> Orientation:
        """Return the orientation after top and bottom on the screen are exchanged."""
        return Orientation((2 - self.quarter_turns) % 4, not self.mirrored)

    @property
    def text(self) -> str:
        """The orientation in words; empty when the picture is shown as it is."""
        parts = ["mirrored"] if self.mirrored else []
        return ", ".join([*parts, f"turned by {90 * self.quarter_turns}\N{DEGREE SIGN}"] if self.quarter_turns else parts)

    def transform(self, centre: QPointF) -> QTransform:
        """Return the transform from the picture to the screen, about a point that stays in place."""
        return (
            QTransform.fromTranslate(-centre.x(), -centre.y())
            * QTransform.fromScale(-1.0 if self.mirrored else 1.0, 1.0)
            * QTransform().rotate(90.0 * self.quarter_turns)
            * QTransform.fromTranslate(centre.x(), centre.y())
        )

    def map_rect(self, rect: QRectF, centre: QPointF) -> QRectF:
        """Return where a rectangle of the picture lies on the screen."""
        return self.transform(centre).mapRect(rect)

    def unmap_rect(self, rect: QRectF, centre: QPointF) -> QRectF:
        """Return which rectangle of the picture lies at a place of the screen."""
        back, _ = self.transform(centre).inverted()
        return back.mapRect(rect)
