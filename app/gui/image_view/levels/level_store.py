"""The levels of every kind of values. Panes whose values can be compared share them, so that a colour means the same in all."""

from __future__ import annotations

from collections.abc import Mapping

from app.gui.image_view.contents import PaneFacts, ValueKind
from app.gui.image_view.levels.levels import Levels
from app.measuring.view_filters import FilterSettings


def _key(kind: ValueKind, filters: FilterSettings) -> str:
    # An average changes no scale of values; the other filters do.
    parts = [kind.value]
    parts += ["minus background"] if filters.subtract_background else []
    if kind is not ValueKind.COUNTS:
        parts += ["unwrapped"] if filters.unwrap else []
        parts += ["tilt removed"] if filters.remove_tilt else []
    return ", ".join(parts)


class LevelStore:
    """Makes the levels when they are first asked for.

    Parameters
    ----------
    facts : PaneFacts
        Gives the default levels.
    """

    def __init__(self, facts: PaneFacts) -> None:
        self._facts = facts
        self._levels: dict[str, Levels] = {}
        self._stored: dict[str, dict[str, object]] = {}

    def of(self, kind: ValueKind, filters: FilterSettings) -> Levels:
        """Return the levels of values that went through these filters."""
        key = _key(kind, filters)
        if key not in self._levels:
            limits = self._facts.limits(kind)
            if filters.subtract_background:
                limits = (-limits[1], limits[1])
            levels = Levels(self._facts.default_levels(kind), limits)
            # What is left of a picture after a filter has another scale.
            levels.set_every_frame(on=key != kind.value)
            if key in self._stored:
                levels.restore(self._stored.pop(key))
            self._levels[key] = levels
        return self._levels[key]

    def state(self) -> dict[str, object]:
        """Return plain data for :meth:`restore`."""
        return {key: levels.state() for key, levels in self._levels.items()}

    def restore(self, state: Mapping[str, object]) -> list[str]:
        """Set what :meth:`state` has returned; return a warning for each entry that cannot be used."""
        warnings = []
        for key, entry in state.items():
            try:
                if not isinstance(entry, dict):
                    raise TypeError("it is no mapping")
                Levels((0.0, 1.0), (-1e9, 1e9)).restore(entry)
            except (KeyError, TypeError, ValueError) as error:
                warnings.append(f"The stored levels of {key!r} cannot be used ({error}); the present ones stay")
                continue
            if key in self._levels:
                self._levels[key].restore(entry)
            else:
                self._stored[key] = entry
        return warnings
