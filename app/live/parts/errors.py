"""What a session raises when it refuses a command."""

from __future__ import annotations

from drivers.base import SpeckleScopeError


class SessionError(SpeckleScopeError):
    """A command that the session cannot carry out in its present state."""
