"""How a pane shows its picture, as plain data for layouts and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from app.gui.image_view.colour_maps import ColourMap
from app.gui.image_view.contents import Content
from app.gui.image_view.orientation import Orientation
from app.measuring.view_filters import FilterSettings


class PaneFlag(StrEnum):
    """What can be switched on or off in a pane."""

    #: Pixels at or beyond a level have colours of their own.
    CLIPPED = "clipped"
    #: Pixels have sharp edges when they are enlarged.
    NEAREST = "nearest"
    CROSS_HAIR = "cross_hair"
    GRID = "grid"
    #: The strip with histogram and levels.
    LEVELS = "levels"


@dataclass(frozen=True, kw_only=True)
class PaneOptions:
    """How a pane shows its picture.

    Parameters
    ----------
    content : Content
        What it shows.
    colours : ColourMap
        Its colours.
    flags : frozenset of PaneFlag
        What is switched on.
    orientation : Orientation
        How the picture is turned and mirrored on the screen.
    filters : FilterSettings
        Which filters are on.
    """

    content: Content
    colours: ColourMap
    flags: frozenset[PaneFlag] = frozenset({PaneFlag.LEVELS})
    orientation: Orientation = field(default_factory=Orientation)
    filters: FilterSettings = field(default_factory=FilterSettings)

    @classmethod
    def of(cls, content: Content) -> PaneOptions:
        """Return the options of a pane that nobody has changed."""
        return cls(content=content, colours=content.colours)

    def toggled(self, flag: PaneFlag) -> PaneOptions:
        """Return the options with one flag switched."""
        return replace(self, flags=self.flags ^ {flag})

    def state(self) -> dict[str, object]:
        """Return plain data for :meth:`from_state`."""
        return {
            "content": self.content.value,
            "colours": self.colours.value,
            "flags": sorted(flag.value for flag in self.flags),
            "orientation": asdict(self.orientation),
            "filters": asdict(self.filters),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, object]) -> PaneOptions:
        """Return the options from plain data; raises KeyError, TypeError or ValueError for other content."""
        content = Content(str(state["content"]))
        flags, orientation, filters = state.get("flags", ["levels"]), state.get("orientation", {}), state.get("filters", {})
        if not isinstance(flags, list) or not isinstance(orientation, dict) or not isinstance(filters, dict):
            raise TypeError("flags are a list, orientation and filters are mappings")
        return cls(
            content=content,
            colours=ColourMap(str(state.get("colours", content.colours))),
            flags=frozenset(PaneFlag(str(flag)) for flag in flags),
            orientation=Orientation(**orientation),
            filters=FilterSettings(**filters),
        )
