"""The version of the program, as exports, the command and the window state it."""

from __future__ import annotations

from importlib import metadata

_NOT_INSTALLED = "not installed"


def program_version() -> str:
    """Return the version of the installed program, or ``not installed`` where it runs from its source alone."""
    return next((distribution.version for distribution in metadata.distributions(name="specklescope")), _NOT_INSTALLED)
